/*
 * mask.c - masking, eight bytes at a time; the compiler makes vectors of it.
 */
#include "proto/mask.h"

#include <string.h>

void ws_mask(uint8_t *p, size_t n, uint32_t key, size_t offset)
{
	uint8_t k[8];
	uint64_t wide, word;
	size_t i = 0;

	for (size_t j = 0; j < sizeof(k); j++)
		k[j] = ((const uint8_t *)&key)[(offset + j) & 3];
	memcpy(&wide, k, sizeof(wide));
	for (; i + sizeof(wide) <= n; i += sizeof(wide)) {
		memcpy(&word, p + i, sizeof(word));
		word ^= wide;
		memcpy(p + i, &word, sizeof(word));
	}
	for (; i < n; i++)
		p[i] ^= k[i & 7];
}

utf8_state ws_unmask_text(uint8_t *p, size_t n, uint32_t key, size_t offset, utf8_state s)
{
	ws_mask(p, n, key, offset);
	return utf8_feed(s, p, n);
}
