/*
 * ticks.c - see ticks.h.
 *
 * A counter, so that what is timed by it can be tested without waiting, and no time passes in a
 * process that is stopped.
 */
#include "process/ticks.h"

static uint64_t now;

uint64_t ticks_now(void)
{
	return now;
}

void ticks_advance(void)
{
	now++;
}
