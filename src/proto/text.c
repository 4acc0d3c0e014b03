/*
 * text.c - the choice of a kernel, what all share, and the plain kernel.
 *
 * The plain kernel is written in vectors of 16 bytes that the compiler knows
 * on each machine: SSE2 on x86-64, NEON on arm64. It finds ASCII in vectors and
 * leaves the rest to the scalar check, block by block, while it is in the cache.
 */
#include "proto/text.h"

#include <string.h>

typedef uint8_t vector __attribute__((vector_size(16)));

enum { BLOCK = 4 * sizeof(vector) };

static inline vector load(const uint8_t *p)
{
	vector v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void store(uint8_t *p, vector v)
{
	memcpy(p, &v, sizeof(v));
}

static inline vector repeat(uint32_t key)
{
	typedef uint32_t words __attribute__((vector_size(16)));

	return (vector)(words){ key, key, key, key };
}

static inline bool is_ascii(vector v)
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

static inline bool mask_16_to_64(uint8_t *p, size_t n, uint32_t key)
{
	vector k = repeat(key), k_end = repeat(text_turn_key(key, n));
	vector first = load(p) ^ k, last = load(p + n - 16) ^ k_end, any = first | last;

	if (n > 32) {
		vector second = load(p + 16) ^ k, third = load(p + n - 32) ^ k_end;

		store(p + 16, second);
		store(p + n - 32, third);
		any |= second | third;
	}
	store(p, first);
	store(p + n - 16, last);
	return is_ascii(any);
}

static inline bool mask_8_to_16(uint8_t *p, size_t n, uint32_t key)
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

/* Both ends are read before either is written, so that they may overlap. */
bool text_mask_short(uint8_t *p, size_t n, uint32_t key)
{
	uint8_t any = 0;

	if (n >= 16)
		return mask_16_to_64(p, n, key);
	if (n >= 8)
		return mask_8_to_16(p, n, key);
	for (size_t i = 0; i < n; i++) {
		p[i] ^= ((const uint8_t *)&key)[i & 3];
		any |= p[i];
	}
	return any < 0x80;
}

size_t text_unmask_rest(uint8_t *p, size_t n, uint32_t *key, utf8_state *s)
{
	size_t i = 0;

	for (; i < n && *s != UTF8_BOUNDARY && *s != UTF8_INVALID; i++) {
		p[i] ^= *(const uint8_t *)key;
		*key = text_turn_key(*key, 1);
		*s = utf8_feed_scalar(*s, p + i, 1);
	}
	return i;
}

utf8_state text_ending(const uint8_t *p, size_t n)
{
	size_t from = n;

	if (p[n - 1] >= 0xc0)
		from = n - 1;
	else if (p[n - 2] >= 0xe0)
		from = n - 2;
	else if (p[n - 3] >= 0xf0)
		from = n - 3;
	return utf8_feed_scalar(UTF8_BOUNDARY, p + from, n - from);
}

static void plain_mask(uint8_t *p, size_t n, uint32_t key)
{
	vector k = repeat(key);
	size_t i = 0;

	for (; i + BLOCK <= n; i += BLOCK)
		for (size_t j = i; j < i + BLOCK; j += sizeof(k))
			store(p + j, load(p + j) ^ k);
	text_mask_short(p + i, n - i, key);
}

static utf8_state plain_unmask(uint8_t *p, size_t n, uint32_t key, utf8_state s)
{
	size_t taken;
	bool ascii;

	for (size_t i = 0; i < n && s != UTF8_INVALID; i += taken) {
		taken = n - i < BLOCK ? n - i : BLOCK;
		ascii = text_mask_short(p + i, taken, key);
		if (!ascii || s != UTF8_BOUNDARY)
			s = utf8_feed_scalar(s, p + i, taken);
	}
	return s;
}

static bool anywhere(void)
{
	return true;
}

const struct text_kernel text_plain = {
	.name = "plain",
	.usable = anywhere,
	.mask = plain_mask,
	.unmask = plain_unmask,
	.feed = utf8_feed_scalar,
};

const struct text_kernel *const text_kernels[] = {
#if defined(__x86_64__)
	&text_avx512, &text_avx2, &text_ssse3,
#elif defined(__aarch64__)
	&text_neon,
#endif
	&text_plain,  NULL,
};

const struct text_kernel *text_best = &text_plain;

/* Once, before there is a second process or thread: no lock, no test in each call. */
static void __attribute__((constructor)) choose(void)
{
	size_t i = 0;

	while (!text_kernels[i]->usable())
		i++;
	text_best = text_kernels[i];
}
