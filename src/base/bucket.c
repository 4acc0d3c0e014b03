/*
 * bucket.c - see bucket.h.
 *
 * Instead of a number of tokens and the time that it is of, the time at which the bucket is
 * full again: each one that passes puts that off by `every`.
 */
#include "base/bucket.h"

enum { PAUSE = 1000 };

/* Milliseconds until it is full. A time further ahead than that can be is one that is past. */
static uint32_t until_full(const struct bucket *b, const struct bucket_size *size, uint32_t now)
{
	uint32_t ahead = b->full_at - now;

	return ahead <= size->burst * size->every ? ahead : 0;
}

/* Whether there are tokens for `ms` in it. */
static bool has(const struct bucket *b, const struct bucket_size *size, uint32_t now, uint32_t ms)
{
	return until_full(b, size, now) + ms <= size->burst * size->every;
}

static void take(struct bucket *b, const struct bucket_size *size, uint32_t now)
{
	b->full_at = now + until_full(b, size, now) + size->every;
}

bool bucket_take(struct bucket *b, const struct bucket_size *size, uint32_t now)
{
	if (b->missed == 0 && has(b, size, now, size->every)) {
		take(b, size, now);
		return true;
	}
	bucket_miss(b, 1);
	return false;
}

void bucket_miss(struct bucket *b, uint32_t n)
{
	b->missed += n < UINT32_MAX - b->missed ? n : UINT32_MAX - b->missed;
}

/* A second's worth; of a slow or a small bucket, one for the count and one more, or what it holds. */
static uint32_t worth(const struct bucket_size *size)
{
	uint32_t two = 2 * size->every, all = size->burst * size->every;
	uint32_t ms = two > PAUSE ? two : PAUSE;

	return ms < all ? ms : all;
}

uint32_t bucket_missed(struct bucket *b, const struct bucket_size *size, uint32_t now)
{
	if (b->missed == 0 || !has(b, size, now, worth(size)))
		return 0;
	take(b, size, now);
	return bucket_rest(b);
}

uint32_t bucket_rest(struct bucket *b)
{
	uint32_t missed = b->missed;

	b->missed = 0;
	return missed;
}
