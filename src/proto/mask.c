/*
 * mask.c - masking: what is short here, what is long by the machine's kernel.
 */
#include "proto/mask.h"

#include "proto/text_short.h"

void ws_mask(uint8_t *p, size_t n, uint32_t key, size_t offset)
{
	key = text_turn_key(key, offset);
	if (n <= TEXT_SHORT)
		text_mask_short(p, n, key);
	else
		text_best->mask(p, n, key);
}

utf8_state ws_unmask_text(uint8_t *p, size_t n, uint32_t key, size_t offset, utf8_state s)
{
	key = text_turn_key(key, offset);
	if (n > TEXT_SHORT)
		return text_best->unmask(p, n, key, s);
	if (text_mask_short(p, n, key) && s == UTF8_BOUNDARY)
		return s;
	return utf8_feed(s, p, n);
}
