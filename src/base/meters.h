/*
 * meters.h - how often each of very many does something, counted over processes: a token bucket
 * (rate.h) for each that has been at it of late, in memory of a fixed size.
 *
 * Nobody waits for a lock, and nobody is refused because the table is full: one more takes the place
 * of the one whose bucket is the nearest to being full, of those few whose places it may have. A
 * full bucket is what one gets who has none, so nothing is lost with it. A process that dies leaves
 * nothing undone.
 */
#ifndef BASE_METERS_H
#define BASE_METERS_H

#include <stddef.h>
#include <stdint.h>

#include "base/rate.h"

enum { METERS_BYTES = 16 /* of memory, for each bucket */ };

/* What any of it is ahead of the clock by, at the most, in nanoseconds: a day. */
#define METERS_AHEAD (INT64_C(24) * 3600 * 1000000000)

/*
 * And what one that takes a token may be behind another that took one: as far as turns that began
 * earlier last. So many together are let through even then.
 */
#define METERS_APART INT64_C(20000000)

struct meters;

/* Who, and what of him is counted. Found by a secret, so that nobody chooses whose place he takes. */
struct meters_key {
	uint64_t of[2];
};

/*
 * Makes one, empty, to be shared with children to be forked. count: of buckets, a power of two from 8
 * on. Memory is touched as they are used. NULL: errno is set.
 */
struct meters *meters_new(size_t count);
void meters_free(struct meters *m); /* here alone; NULL: nothing */

/*
 * Takes a token of k's bucket, which then has this size, at the time now (nanoseconds of the monotonic
 * clock; those of the others may be up to RATE_APART away). 0: it has; else so many until there is one.
 */
int64_t meters_take(struct meters *m, const struct meters_key *k, const struct rate_size *size,
		    int64_t now);

/* Holds k for so many nanoseconds from now on: a key that no token is taken of. */
void meters_hold(struct meters *m, const struct meters_key *k, int64_t ns, int64_t now);

/*
 * How long k is held still; 0: it is not. most: as long as anybody is by now, so that less than was said
 * at first is enough.
 */
int64_t meters_held(const struct meters *m, const struct meters_key *k, int64_t most, int64_t now);

#endif
