/*
 * The request head.
 *
 * Invariants: a head that comes in two parts is the same head; the views lie in
 * the bytes; what is wrong at once is never right in parts.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "proto/http.h"

enum { MAX = 8192 };

static void check_view(struct http_text t, const char *bytes, ssize_t n)
{
	fuzz_require(t.p >= bytes && t.p + t.len <= bytes + n);
	fuzz_require(memchr(t.p, '\n', t.len) == NULL && memchr(t.p, '\0', t.len) == NULL);
}

static void check_head(const struct http_head *h, const char *bytes, ssize_t n)
{
	fuzz_require(h->count <= HTTP_HEADERS_MAX);
	check_view(h->method, bytes, n);
	check_view(h->target, bytes, n);
	for (size_t i = 0; i < h->count; i++) {
		struct http_text list = h->headers[i].value, e;

		check_view(h->headers[i].name, bytes, n);
		check_view(h->headers[i].value, bytes, n);
		while (http_list_next(&list, &e))
			check_view(e, bytes, n);
	}
}

static ssize_t parse(const char *bytes, size_t n, struct http_progress *g, struct http_head *h)
{
	ssize_t r = http_parse_head(bytes, n, MAX, g, h);

	fuzz_require(r >= HTTP_BAD && r <= MAX && (r != HTTP_MORE || n < MAX));
	if (r == HTTP_BAD) {
		fuzz_require(h->why.reason != REASON_NONE && *refusal_text(&h->why));
		for (const char *p = refusal_text(&h->why); *p; p++)
			fuzz_require(*p >= ' ' && *p < 0x7f);
	}
	return r;
}

static ssize_t parse_pieces(const char *bytes, size_t size, size_t piece, struct http_head *h)
{
	struct http_progress g = { 0 };
	ssize_t r = HTTP_MORE;

	for (size_t have = 0; r == HTTP_MORE && have < size;) {
		have += piece < size - have ? piece : size - have;
		r = parse(bytes, have, &g, h);
		fuzz_require(g.at <= g.looked && g.looked <= have);
	}
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http_head whole, parts;
	struct http_progress none = { 0 };
	char *bytes = malloc(size + 1);
	ssize_t n, m;

	memcpy(bytes, data, size);
	n = parse(bytes, size, &none, &whole);
	if (n > 0)
		check_head(&whole, bytes, n);
	for (size_t piece = 1; piece < size; piece = piece * 2 + 1) {
		m = parse_pieces(bytes, size, piece, &parts);
		/* a wrong line without its end is found at once, or with its end */
		fuzz_require(n < 0 ? m <= 0 : m == n);
		fuzz_require(m <= 0 || parts.count == whole.count);
		if (m > 0)
			check_head(&parts, bytes, n);
	}
	free(bytes);
	return 0;
}
