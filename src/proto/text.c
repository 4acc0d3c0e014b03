/*
 * text.c - the choice of a kernel, what all share, and the plain kernel.
 *
 * The plain kernel is written in vectors of 16 bytes that the compiler knows
 * on each machine: SSE2 on x86-64, NEON on arm64. It finds ASCII in vectors and
 * leaves the rest to the scalar check, block by block, while it is in the cache.
 */
#include "proto/text.h"

#include "proto/text_short.h"

enum { BLOCK = TEXT_SHORT };

size_t text_unmask_rest(uint8_t *p, size_t n, uint32_t *key, utf8_state *s)
{
	size_t i = 0;

	for (; i < n && *s != UTF8_BOUNDARY && *s != UTF8_INVALID; i++) {
		p[i] ^= text_key_byte(*key);
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
	text_vector k = text_repeat(key);
	size_t i = 0;

	for (; i + BLOCK <= n; i += BLOCK)
		for (size_t j = i; j < i + BLOCK; j += sizeof(k))
			text_store(p + j, text_load(p + j) ^ k);
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
