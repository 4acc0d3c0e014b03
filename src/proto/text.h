/*
 * text.h - the loops behind masking and the check of UTF-8; only mask.c, utf8.c,
 * the kernels and their tests include it.
 *
 * A kernel is one way to go over many bytes. text.c lists those that were
 * compiled, the fastest first, and chooses one for the machine before main().
 */
#ifndef PROTO_TEXT_H
#define PROTO_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/utf8.h"

/*
 * Each call takes any n. The key is turned: its first byte in memory belongs to
 * p[0]. The results are those of ws_mask, ws_unmask_text and utf8_feed.
 */
struct text_kernel {
	const char *name;
	bool (*usable)(void); /* on this machine */
	void (*mask)(uint8_t *p, size_t n, uint32_t key);
	utf8_state (*unmask)(uint8_t *p, size_t n, uint32_t key, utf8_state s);
	utf8_state (*feed)(utf8_state s, const uint8_t *p, size_t n);
};

/* The kernels of this build, best first; NULL ends it. The last is usable anywhere. */
extern const struct text_kernel *const text_kernels[];

/* The first usable one; text_plain until the constructor ran. */
extern const struct text_kernel *text_best;

extern const struct text_kernel text_avx512, text_avx2, text_ssse3, text_neon, text_plain;

/* utf8_feed byte by byte, but for ASCII: the reference for all others. */
utf8_state utf8_feed_scalar(utf8_state s, const uint8_t *p, size_t n);

/*
 * The first of n bytes, until the state is a boundary (or invalid). Returns how
 * many were taken; they are unmasked, *key is turned and *s has gone on.
 */
size_t text_unmask_rest(uint8_t *p, size_t n, uint32_t *key, utf8_state *s);

/* The state behind n >= 3 bytes, given that only what the last of them begin can be bad. */
utf8_state text_ending(const uint8_t *p, size_t n);

/* The key as it lies for bytes that begin `offset` bytes later. */
static inline uint32_t text_turn_key(uint32_t key, size_t offset)
{
	unsigned bits = (unsigned)(offset & 3) * 8;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	bits = (32 - bits) & 31;
#endif
	return key >> bits | key << (-bits & 31);
}

/* The key's first byte; by shifts, so that the key stays in a register. */
static inline uint8_t text_key_byte(uint32_t key)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	key >>= 24;
#endif
	return (uint8_t)key;
}

#endif
