/*
 * The PROXY header.
 *
 * Invariants: less than a whole header is never more than "more"; what is wrong
 * stays wrong; what follows changes nothing; the views lie in the header.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fuzz.h"
#include "proto/proxy.h"

/* A copy of just that size, so that the sanitizer sees what is read behind it. */
static ssize_t parse_prefix(const uint8_t *data, size_t n, struct proxy_header *h)
{
	uint8_t *copy = malloc(n + !n);
	ssize_t r;

	if (n > 0)
		memcpy(copy, data, n);
	r = proxy_parse(copy, n, h);
	free(copy);
	return r;
}

static void check_name(struct http_text t, const uint8_t *data, ssize_t n)
{
	const uint8_t *p = (const uint8_t *)t.p;

	fuzz_require(!p == (t.len == 0));
	if (!p)
		return;
	fuzz_require(t.len <= PROXY_NAME_MAX && p >= data && p + t.len <= data + n);
	for (size_t i = 0; i < t.len; i++)
		fuzz_require(p[i] >= ' ' && p[i] != 0x7f);
}

static void check_header(const struct proxy_header *h, const uint8_t *data, ssize_t n)
{
	fuzz_require(n <= (data[0] == 'P' ? PROXY_V1_MAX : PROXY_V2_MAX));
	if (data[0] == 'P')
		fuzz_require(memcmp(data + n - 2, "\r\n", 2) == 0);
	if (h->local)
		fuzz_require(h->family == AF_UNSPEC && !h->tls && !h->server_name.p);
	else
		fuzz_require(h->family == AF_INET || h->family == AF_INET6 || h->family == AF_UNIX);
	fuzz_require(h->tls || !h->client_verified);
	check_name(h->server_name, data, n);
	check_name(h->client_name, data, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header whole, part;
	ssize_t n = proxy_parse(data, size, &whole);
	size_t end = n > 0 ? (size_t)n : size, step = 1 + size / 32;
	bool bad = false;

	fuzz_require(n >= PROXY_BAD && n <= (ssize_t)size);
	fuzz_require(n != PROXY_MORE || size < PROXY_HEADER_MAX);
	if (n > 0) {
		check_header(&whole, data, n);
		fuzz_require(parse_prefix(data, end, &part) == n);
		fuzz_require(parse_prefix(data, end - 1, &part) == PROXY_MORE);
	}
	for (size_t cut = 0; cut < end; cut += step) {
		ssize_t r = parse_prefix(data, cut, &part);

		fuzz_require(r == PROXY_MORE || (n == PROXY_BAD && r == PROXY_BAD));
		fuzz_require(!bad || r == PROXY_BAD);
		bad = r == PROXY_BAD;
	}
	return 0;
}
