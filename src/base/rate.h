/*
 * rate.h - so many in a while, and so many at once: a token bucket in eight bytes, which several
 * processes may share.
 *
 * Instead of a number of tokens and the time that it is of, the time at which the bucket is full
 * again: each one that passes puts that off. So nothing has to be done as time passes, and a
 * process that dies leaves nothing undone.
 */
#ifndef BASE_RATE_H
#define BASE_RATE_H

#include <stdatomic.h>
#include <stdint.h>

struct rate_size {
	int64_t every; /* nanoseconds from one to the next; 0: there is no limit */
	int64_t depth; /* of so many together, at least `every` */
};

/* Zeroed it is full. */
struct rate {
	_Atomic int64_t full_at; /* nanoseconds of the monotonic clock */
};

/* burst: how many at once; 0: what comes in a second, and at least one. */
struct rate_size rate_size_of(int64_t every, int64_t burst);

/* So far the times may be apart that processes which share a bucket take for now: nanoseconds. */
#define RATE_APART INT64_C(1000000000)

/* Takes a token at the time now (nanoseconds). 0: it has; else so many until there is one. */
int64_t rate_take(struct rate *r, const struct rate_size *size, int64_t now);

/* Gives one back that was not used. */
void rate_give(struct rate *r, const struct rate_size *size);

#endif
