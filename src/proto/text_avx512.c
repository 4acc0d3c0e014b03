/*
 * text_avx512.c - the kernel for AVX-512: 64 bytes a vector.
 *
 * It needs AVX512BW alone, but asks for VBMI too: that leaves out the first
 * processors with AVX-512, which lower their clock for vectors so wide.
 */
#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw")))
#define VECTOR __m512i
#define NARROW(call) text_avx2.call

enum { WIDTH = 64 };

static inline TARGET __m512i v_load(const void *p)
{
	return _mm512_loadu_si512(p);
}

static inline TARGET void v_store(void *p, __m512i v)
{
	_mm512_storeu_si512(p, v);
}

static inline TARGET __m512i v_zero(void)
{
	return _mm512_setzero_si512();
}

static inline TARGET __m512i v_bytes(int b)
{
	return _mm512_set1_epi8((char)b);
}

static inline TARGET __m512i v_repeat(unsigned key)
{
	return _mm512_set1_epi32((int)key);
}

static inline TARGET __m512i v_table(const void *p)
{
	return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)p));
}

static inline TARGET __m512i v_lookup(__m512i table, __m512i v)
{
	return _mm512_shuffle_epi8(table, v);
}

static inline TARGET __m512i v_high(__m512i v)
{
	return _mm512_srli_epi16(v, 4) & v_bytes(0x0f);
}

/* The four quarters shift apart: each needs the quarter before it beside it. */
#define v_before(v, prev, n) _mm512_alignr_epi8(v, _mm512_alignr_epi64(v, prev, 6), 16 - (n))

static inline TARGET __m512i v_minus(__m512i v, int b)
{
	return _mm512_subs_epu8(v, v_bytes(b));
}

static inline TARGET int v_ascii(__m512i v)
{
	return _mm512_movepi8_mask(v) == 0;
}

static inline TARGET int v_is_zero(__m512i v)
{
	return _mm512_test_epi8_mask(v, v) == 0;
}

#include "proto/text_lookup.h"

static bool usable(void)
{
	return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi");
}

const struct text_kernel text_avx512 = {
	.name = "avx512",
	.usable = usable,
	.mask = mask,
	.unmask = unmask,
	.feed = feed,
};
#endif
