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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http_head whole, parts;
	char *bytes = malloc(size + 1);
	ssize_t n, m;

	memcpy(bytes, data, size);
	n = http_parse_head(bytes, size, 0, &whole);
	if (n > 0)
		check_head(&whole, bytes, n);
	for (size_t cut = 0; cut < size; cut += 1 + size / 16) {
		if (http_parse_head(bytes, cut, 0, &parts) != HTTP_MORE)
			continue;
		m = http_parse_head(bytes, size, cut, &parts);
		/* a wrong line without its end is found at once, or with its end */
		fuzz_require(n < 0 ? m <= 0 : m == n);
		fuzz_require(m <= 0 || parts.count == whole.count);
	}
	free(bytes);
	return 0;
}
