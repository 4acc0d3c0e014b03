/*
 * mix.h - numbers that look drawn, of numbers that do not: what splitmix64 does with its counter.
 *
 * A bijection, so that no two have the same; no secret, so that whoever chooses what goes in chooses
 * what comes out.
 */
#ifndef BASE_MIX_H
#define BASE_MIX_H

#include <stdint.h>

/* What a counter is to grow by, whose values are mixed. */
#define MIX_STEP UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t mix64(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

#endif
