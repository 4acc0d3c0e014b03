/*
 * text_neon.c - the kernel for arm64, which always has NEON: 16 bytes a vector.
 */
#if defined(__aarch64__)
#include <arm_neon.h>

#define TARGET
#define VECTOR uint8x16_t
#define NARROW(call) text_plain.call

enum { WIDTH = 16 };

static inline uint8x16_t v_load(const void *p)
{
	return vld1q_u8(p);
}

static inline void v_store(void *p, uint8x16_t v)
{
	vst1q_u8(p, v);
}

static inline uint8x16_t v_zero(void)
{
	return vdupq_n_u8(0);
}

static inline uint8x16_t v_bytes(int b)
{
	return vdupq_n_u8((uint8_t)b);
}

static inline uint8x16_t v_repeat(uint32_t key)
{
	return vreinterpretq_u8_u32(vdupq_n_u32(key));
}

static inline uint8x16_t v_table(const void *p)
{
	return v_load(p);
}

static inline uint8x16_t v_lookup(uint8x16_t table, uint8x16_t v)
{
	return vqtbl1q_u8(table, v);
}

static inline uint8x16_t v_high(uint8x16_t v)
{
	return vshrq_n_u8(v, 4);
}

#define v_before(v, prev, n) vextq_u8(prev, v, 16 - (n))

static inline uint8x16_t v_minus(uint8x16_t v, int b)
{
	return vqsubq_u8(v, v_bytes(b));
}

static inline int v_ascii(uint8x16_t v)
{
	return vmaxvq_u8(v) < 0x80;
}

static inline int v_is_zero(uint8x16_t v)
{
	return vmaxvq_u8(v) == 0;
}

#include "proto/text_lookup.h"

static bool usable(void)
{
	return true;
}

const struct text_kernel text_neon = {
	.name = "neon",
	.usable = usable,
	.mask = mask,
	.unmask = unmask,
	.feed = feed,
};
#endif
