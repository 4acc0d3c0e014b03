/*
 * patience.h - how long another process is waited for that may be standing still.
 *
 * That is a bounded time, and after a wait in vain it is not waited for at all for a while: who has
 * a thousand things to ask is not to wait a thousand times.
 */
#ifndef BASE_PATIENCE_H
#define BASE_PATIENCE_H

#include <stdint.h>
#include <time.h>

/* Zeroed: there is some. */
struct patience {
	uint64_t lost_until;
};

/* The monotonic clock, in nanoseconds, as are all times here. */
static inline uint64_t patience_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Until when it may be waited, that long at most. 0: not at all. */
static inline uint64_t patience_until(const struct patience *p, uint64_t most)
{
	uint64_t now = patience_clock();

	return now < p->lost_until ? 0 : now + most;
}

/* It was in vain: for so long it is only tried. */
static inline void patience_lost(struct patience *p, uint64_t how_long)
{
	p->lost_until = patience_clock() + how_long;
}

#endif
