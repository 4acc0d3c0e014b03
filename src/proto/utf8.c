/*
 * utf8.c - UTF-8 by what is awaited.
 *
 * The state holds, in its bytes from the lowest: how many continuation bytes
 * are awaited, and the range that the next one must be in. Only the byte behind
 * a lead byte has a range of its own (RFC 3629 4): that is where overlong forms,
 * surrogates and what is beyond U+10FFFF show.
 *
 * This is the scalar check, and the way to the vectors of text.h for what is long.
 */
#include "proto/utf8.h"

#include <string.h>

#include "proto/text.h"

#define AWAIT(count, low, high)                                                                    \
	((utf8_state)(count) << 4 | (utf8_state)(low) << 8 | (utf8_state)(high) << 16)
#define ASCII_MASK 0x8080808080808080u

/* Bytes: what a kernel takes, what is worth padding to that, what may be ASCII as a whole. */
enum { KERNEL_MIN = 32, PADDED_MIN = 12, SHORT = 64 };

static utf8_state lead(uint8_t b)
{
	if (b < 0x80)
		return UTF8_BOUNDARY;
	if (b >= 0xc2 && b <= 0xdf)
		return AWAIT(1, 0x80, 0xbf);
	if (b == 0xe0)
		return AWAIT(2, 0xa0, 0xbf);
	if (b == 0xed)
		return AWAIT(2, 0x80, 0x9f);
	if (b >= 0xe1 && b <= 0xef)
		return AWAIT(2, 0x80, 0xbf);
	if (b == 0xf0)
		return AWAIT(3, 0x90, 0xbf);
	if (b >= 0xf1 && b <= 0xf3)
		return AWAIT(3, 0x80, 0xbf);
	if (b == 0xf4)
		return AWAIT(3, 0x80, 0x8f);
	return UTF8_INVALID;
}

static utf8_state continuation(utf8_state s, uint8_t b)
{
	utf8_state count = s >> 4 & 0xf;

	if (b < (s >> 8 & 0xff) || b > (s >> 16 & 0xff))
		return UTF8_INVALID;
	return count == 1 ? UTF8_BOUNDARY : AWAIT(count - 1, 0x80, 0xbf);
}

/* Bytes from i on that are ASCII, in steps of eight. */
static size_t skip_ascii(const uint8_t *p, size_t i, size_t n)
{
	uint64_t word;

	for (; i + sizeof(word) <= n; i += sizeof(word)) {
		memcpy(&word, p + i, sizeof(word));
		if (word & ASCII_MASK)
			break;
	}
	return i;
}

utf8_state utf8_feed_scalar(utf8_state s, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s == UTF8_BOUNDARY) {
			i = skip_ascii(p, i, n);
			if (i == n)
				break;
			s = lead(p[i]);
		} else if (s != UTF8_INVALID) {
			s = continuation(s, p[i]);
		}
		if (s == UTF8_INVALID)
			return s;
	}
	return s;
}

/*
 * A kernel begins at 32 bytes. Fewer go to their place at the end of 32: the
 * zeros before them are text too.
 */
static utf8_state feed_padded(const uint8_t *p, size_t n)
{
	uint8_t padded[KERNEL_MIN] = { 0 };

	memcpy(padded + sizeof(padded) - n, p, n);
	return text_best->feed(UTF8_BOUNDARY, padded, sizeof(padded));
}

utf8_state utf8_feed(utf8_state s, const uint8_t *p, size_t n)
{
	size_t ascii = s == UTF8_BOUNDARY && n <= SHORT ? skip_ascii(p, 0, n) : 0;

	p += ascii;
	n -= ascii;
	if (n >= KERNEL_MIN)
		return text_best->feed(s, p, n);
	if (s == UTF8_BOUNDARY && n >= PADDED_MIN)
		return feed_padded(p, n);
	return utf8_feed_scalar(s, p, n);
}
