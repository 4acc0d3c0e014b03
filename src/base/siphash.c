/*
 * siphash.c - see siphash.h.
 *
 * SipHash-2-4 with the 128-bit output, after Aumasson and Bernstein, "SipHash: a fast
 * short-input PRF" (2012); the wide output is from the authors' later reference code.
 */
#include "base/siphash.h"

static inline uint64_t rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static void mix(uint64_t v[4], int rounds)
{
	while (rounds-- > 0) {
		v[0] += v[1];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[0] = rotate(v[0], 32);
		v[2] += v[3];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[2] = rotate(v[2], 32);
	}
}

static void absorb(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	mix(v, 2);
	v[0] ^= word;
}

static uint64_t little_endian(const uint8_t *p, size_t len)
{
	uint64_t word = 0;

	for (size_t i = 0; i < len; i++)
		word |= (uint64_t)p[i] << (8 * i);
	return word;
}

void siphash(const uint64_t key[2], const void *data, size_t len, uint64_t out[2])
{
	uint64_t v[4] = { key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d ^ 0xee,
			  key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573 };
	const uint8_t *p = data;
	size_t rest = len;

	for (; rest >= 8; p += 8, rest -= 8)
		absorb(v, little_endian(p, 8));
	absorb(v, (uint64_t)len << 56 | little_endian(p, rest));

	v[2] ^= 0xee;
	mix(v, 4);
	out[0] = v[0] ^ v[1] ^ v[2] ^ v[3];
	v[1] ^= 0xdd;
	mix(v, 4);
	out[1] = v[0] ^ v[1] ^ v[2] ^ v[3];
}
