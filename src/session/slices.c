/*
 * slices.c - see slices.h.
 */
#include "session/slices.h"

#include "config/config.h"
#include "session/conn_internal.h"

/*
 * How much slower a level is, for each searches longer for a match. Text that is chosen for it takes 0.1
 * us a byte at 6, 0.2 at 7, 0.7 at 8 and up to 4 at 9: so a slice takes 2 ms at worst, and what needs none 4.
 */
static size_t slowness(const struct config_compression *k)
{
	static const uint8_t by_level[] = { [7] = 2, [8] = 8, [9] = 32 };

	return by_level[k->level] > 0 ? by_level[k->level] : 1;
}

size_t slices_size(const struct config_compression *k)
{
	return COMPRESS_SLICE / slowness(k);
}

size_t slices_short(const struct config_compression *k)
{
	return COMPRESS_SHORT / slowness(k);
}

size_t slices_weight(const struct config_compression *k, size_t len)
{
	return len * slowness(k);
}

bool slices_are_more(const struct config_compression *k, size_t len)
{
	return k->enabled && len >= (size_t)k->threshold && len > slices_short(k);
}

bool slices_are_more_for(const struct conn *c, size_t len)
{
	return c->deflate && slices_are_more(&c->endpoint->limits.compression, len);
}
