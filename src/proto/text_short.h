/*
 * text_short.h - masking of a few bytes, inline, in the vectors that each machine has.
 *
 * What does not fill a whole vector is done by two that overlap: both are read
 * before either is written.
 */
#ifndef PROTO_TEXT_SHORT_H
#define PROTO_TEXT_SHORT_H

#include <string.h>

#include "proto/text.h"

enum { TEXT_SHORT = 64 };

typedef uint8_t text_vector __attribute__((vector_size(16)));

static inline text_vector text_load(const uint8_t *p)
{
	text_vector v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void text_store(uint8_t *p, text_vector v)
{
	memcpy(p, &v, sizeof(v));
}

static inline text_vector text_repeat(uint32_t key)
{
	typedef uint32_t words __attribute__((vector_size(16)));

	return (text_vector)(words){ key, key, key, key };
}

static inline bool text_is_ascii(text_vector v)
{
#ifdef __SSE2__
	typedef char signed_bytes __attribute__((vector_size(16)));

	return __builtin_ia32_pmovmskb128((signed_bytes)v) == 0;
#else
	uint64_t halves[2];

	memcpy(halves, &v, sizeof(v));
	return ((halves[0] | halves[1]) & 0x8080808080808080u) == 0;
#endif
}

static inline bool text_mask_16_to_64(uint8_t *p, size_t n, uint32_t key)
{
	text_vector k = text_repeat(key), k_end = text_repeat(text_turn_key(key, n));
	text_vector first = text_load(p) ^ k, last = text_load(p + n - 16) ^ k_end,
		    any = first | last;

	if (n > 32) {
		text_vector second = text_load(p + 16) ^ k, third = text_load(p + n - 32) ^ k_end;

		text_store(p + 16, second);
		text_store(p + n - 32, third);
		any |= second | third;
	}
	text_store(p, first);
	text_store(p + n - 16, last);
	return text_is_ascii(any);
}

static inline bool text_mask_8_to_16(uint8_t *p, size_t n, uint32_t key)
{
	uint32_t end = text_turn_key(key, n);
	uint64_t first, last;

	memcpy(&first, p, 8);
	memcpy(&last, p + n - 8, 8);
	first ^= (uint64_t)key << 32 | key;
	last ^= (uint64_t)end << 32 | end;
	memcpy(p, &first, 8);
	memcpy(p + n - 8, &last, 8);
	return ((first | last) & 0x8080808080808080u) == 0;
}

static inline bool text_mask_4_to_8(uint8_t *p, size_t n, uint32_t key)
{
	uint32_t first, last;

	memcpy(&first, p, 4);
	memcpy(&last, p + n - 4, 4);
	first ^= key;
	last ^= text_turn_key(key, n);
	memcpy(p, &first, 4);
	memcpy(p + n - 4, &last, 4);
	return ((first | last) & 0x80808080u) == 0;
}

/* Masks n <= TEXT_SHORT bytes. Returns whether the result is ASCII. */
static inline __attribute__((always_inline)) bool text_mask_short(uint8_t *p, size_t n,
								  uint32_t key)
{
	uint8_t any = 0;

	if (n >= 16)
		return text_mask_16_to_64(p, n, key);
	if (n >= 8)
		return text_mask_8_to_16(p, n, key);
	if (n >= 4)
		return text_mask_4_to_8(p, n, key);
	for (; n > 0; n--, key = text_turn_key(key, 1)) {
		*p ^= text_key_byte(key);
		any |= *p++;
	}
	return any < 0x80;
}

#endif
