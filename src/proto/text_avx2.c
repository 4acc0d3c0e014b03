/*
 * text_avx2.c - the kernel for AVX2: 32 bytes a vector.
 */
#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx2")))
#define VECTOR __m256i
#define NARROW(call) text_ssse3.call

enum { WIDTH = 32 };

static inline TARGET __m256i v_load(const void *p)
{
	return _mm256_loadu_si256((const __m256i *)p);
}

static inline TARGET void v_store(void *p, __m256i v)
{
	_mm256_storeu_si256((__m256i *)p, v);
}

static inline TARGET __m256i v_zero(void)
{
	return _mm256_setzero_si256();
}

static inline TARGET __m256i v_bytes(int b)
{
	return _mm256_set1_epi8((char)b);
}

static inline TARGET __m256i v_repeat(unsigned key)
{
	return _mm256_set1_epi32((int)key);
}

static inline TARGET __m256i v_table(const void *p)
{
	return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)p));
}

static inline TARGET __m256i v_lookup(__m256i table, __m256i v)
{
	return _mm256_shuffle_epi8(table, v);
}

static inline TARGET __m256i v_high(__m256i v)
{
	return _mm256_srli_epi16(v, 4) & v_bytes(0x0f);
}

/* The two halves shift apart: the middle has the upper half of prev, the lower of v. */
#define v_before(v, prev, n)                                                                       \
	_mm256_alignr_epi8(v, _mm256_permute2x128_si256(prev, v, 0x21), 16 - (n))

static inline TARGET __m256i v_minus(__m256i v, int b)
{
	return _mm256_subs_epu8(v, v_bytes(b));
}

static inline TARGET int v_ascii(__m256i v)
{
	return _mm256_movemask_epi8(v) == 0;
}

static inline TARGET int v_is_zero(__m256i v)
{
	return _mm256_testz_si256(v, v);
}

#include "proto/text_lookup.h"

static bool usable(void)
{
	return __builtin_cpu_supports("avx2");
}

const struct text_kernel text_avx2 = {
	.name = "avx2",
	.usable = usable,
	.mask = mask,
	.unmask = unmask,
	.feed = feed,
};
#endif
