/*
 * clock.h - what time it is, in whole milliseconds.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Since the epoch of Unix; it may be set meanwhile. */
static inline int64_t clock_wall_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}

/* Since the machine was started. All processes share it, and it never goes back. */
static inline int64_t clock_steady_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

#endif
