/*
 * base64url.c - see base64url.h.
 */
#include "proto/base64url.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* 0..63, or -1. */
static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	return c == '_' ? 63 : -1;
}

ssize_t base64url_decode(struct http_text t, uint8_t *out, size_t size)
{
	uint32_t bits = 0;
	unsigned count = 0;
	size_t n = 0;

	if (t.len % 4 == 1)
		return -1;
	for (size_t i = 0; i < t.len; i++) {
		const int v = value_of(t.p[i]);

		if (v < 0)
			return -1;
		bits = bits << 6 | (uint32_t)v;
		count += 6;
		if (count < 8)
			continue;
		if (n == size)
			return -1;
		count -= 8;
		out[n++] = (uint8_t)(bits >> count);
		bits &= (1U << count) - 1;
	}
	return bits == 0 ? (ssize_t)n : -1;
}

void base64url_encode(const uint8_t *p, size_t len, char *out)
{
	uint32_t bits = 0;
	unsigned count = 0;

	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | p[i];
		for (count += 8; count >= 6;) {
			count -= 6;
			*out++ = alphabet[bits >> count & 63];
		}
		bits &= (1U << count) - 1;
	}
	if (count > 0)
		*out++ = alphabet[bits << (6 - count) & 63];
	*out = '\0';
}
