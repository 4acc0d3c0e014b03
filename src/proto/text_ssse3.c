/*
 * text_ssse3.c - the kernel for SSSE3, the first that looks up: 16 bytes a vector.
 */
#if defined(__x86_64__)
#include <tmmintrin.h>

#define TARGET __attribute__((target("ssse3")))
#define VECTOR __m128i
#define NARROW(call) text_plain.call

enum { WIDTH = 16 };

static inline TARGET __m128i v_load(const void *p)
{
	return _mm_loadu_si128((const __m128i *)p);
}

static inline TARGET void v_store(void *p, __m128i v)
{
	_mm_storeu_si128((__m128i *)p, v);
}

static inline TARGET __m128i v_zero(void)
{
	return _mm_setzero_si128();
}

static inline TARGET __m128i v_bytes(int b)
{
	return _mm_set1_epi8((char)b);
}

static inline TARGET __m128i v_repeat(unsigned key)
{
	return _mm_set1_epi32((int)key);
}

static inline TARGET __m128i v_table(const void *p)
{
	return v_load(p);
}

static inline TARGET __m128i v_lookup(__m128i table, __m128i v)
{
	return _mm_shuffle_epi8(table, v);
}

static inline TARGET __m128i v_high(__m128i v)
{
	return _mm_srli_epi16(v, 4) & v_bytes(0x0f);
}

#define v_before(v, prev, n) _mm_alignr_epi8(v, prev, 16 - (n))

static inline TARGET __m128i v_minus(__m128i v, int b)
{
	return _mm_subs_epu8(v, v_bytes(b));
}

static inline TARGET int v_ascii(__m128i v)
{
	return _mm_movemask_epi8(v) == 0;
}

static inline TARGET int v_is_zero(__m128i v)
{
	return _mm_movemask_epi8(_mm_cmpeq_epi8(v, v_zero())) == 0xffff;
}

#include "proto/text_lookup.h"

static bool usable(void)
{
	return __builtin_cpu_supports("ssse3");
}

const struct text_kernel text_ssse3 = {
	.name = "ssse3",
	.usable = usable,
	.mask = mask,
	.unmask = unmask,
	.feed = feed,
};
#endif
