/*
 * The PROXY header.
 *
 * Invariants: the pieces that it comes in change nothing; less than a whole header is never
 * more than "more"; what follows it is not taken; what is shown can be shown.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fuzz.h"
#include "proto/proxy.h"

/* A copy of just that size, so that the sanitizer sees what is read behind it. */
static ssize_t read_copy(struct proxy_reader *r, const uint8_t *data, size_t n)
{
	uint8_t *copy = malloc(n + !n);
	ssize_t used;

	if (n > 0)
		memcpy(copy, data, n);
	used = proxy_read(r, copy, n);
	fuzz_require(used >= PROXY_BAD && used <= (ssize_t)n);
	fuzz_require(used < 0 || r->done || used == (ssize_t)n);
	free(copy);
	return used;
}

static void check_header(const struct proxy_header *h, const uint8_t *data, ssize_t n)
{
	fuzz_require(n <= (data[0] == 'P' ? PROXY_V1_MAX : PROXY_V2_MAX));
	if (data[0] == 'P')
		fuzz_require(memcmp(data + n - 2, "\r\n", 2) == 0);
	if (h->local)
		fuzz_require(h->family == AF_UNSPEC && !h->client_verified && !*h->client_name);
	else
		fuzz_require(h->family == AF_INET || h->family == AF_INET6 || h->family == AF_UNIX);
	fuzz_require(strlen(h->client_name) <= PROXY_NAME_MAX);
	for (const char *p = h->client_name; *p; p++)
		fuzz_require((unsigned char)*p >= ' ' && *p != 0x7f);
}

/* In pieces of a size: the same length or verdict, and the same header. */
static void check_pieces(const uint8_t *data, size_t size, size_t piece, ssize_t n,
			 const struct proxy_reader *whole)
{
	struct proxy_reader r;
	size_t at = 0;

	memset(&r, 0, sizeof(r));
	while (at < size && !r.done) {
		ssize_t used = read_copy(&r, data + at, piece < size - at ? piece : size - at);

		if (used < 0) {
			fuzz_require(n == PROXY_BAD);
			return;
		}
		at += (size_t)used;
		fuzz_require(!r.done || (whole->done && at == (size_t)n));
	}
	fuzz_require(n == (ssize_t)at && r.done == whole->done);
	if (r.done)
		fuzz_require(memcmp(&r.header, &whole->header, sizeof(r.header)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_reader whole;
	ssize_t n;

	memset(&whole, 0, sizeof(whole));
	n = read_copy(&whole, data, size);
	if (n > 0 && whole.done)
		check_header(&whole.header, data, n);
	for (size_t piece = 1; piece < size; piece = piece * 3 + 1)
		check_pieces(data, size, piece, n, &whole);
	return 0;
}
