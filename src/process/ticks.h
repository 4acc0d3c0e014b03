/*
 * ticks.h - the master's clock: ticks, never wall time. When the machine was suspended, or the
 * master stopped, no time has passed.
 */
#ifndef PROCESS_TICKS_H
#define PROCESS_TICKS_H

#include <stdint.h>

enum { MASTER_TICK = 250 }; /* milliseconds */

/* As many ticks as are no shorter than so many milliseconds. */
static inline uint64_t ticks_of(int64_t ms)
{
	return ms <= 0 ? 0 : ((uint64_t)ms + MASTER_TICK - 1) / MASTER_TICK;
}

/* How many there were. */
uint64_t ticks_now(void);

/* One more, with each MASTER_TICK of the master's loop. */
void ticks_advance(void);

#endif
