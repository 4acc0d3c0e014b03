/*
 * ticks.c - see ticks.h.
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
