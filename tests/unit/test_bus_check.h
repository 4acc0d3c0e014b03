/*
 * test_bus_check.h - what the tests of the bus share: fixtures with eventfds, a look at the whole
 * directory, and a seed that can be repeated.
 */
#ifndef TEST_BUS_CHECK_H
#define TEST_BUS_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "bus/bus_internal.h"

static inline void bus_check_open(int wakeups[SLOTS])
{
	for (int i = 0; i < SLOTS; i++)
		wakeups[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

static inline void bus_check_close(const int wakeups[SLOTS])
{
	for (int i = 0; i < SLOTS; i++)
		close(wakeups[i]);
}

/* $BUS_TEST_SEED, to repeat a failure, or one of the day. */
static inline unsigned bus_check_seed(void)
{
	const char *given = getenv("BUS_TEST_SEED");
	struct timespec t;

	if (given)
		return (unsigned)strtoul(given, NULL, 10);
	clock_gettime(CLOCK_REALTIME, &t);
	return (unsigned)t.tv_nsec ^ (unsigned)t.tv_sec ^ (unsigned)getpid();
}

/*
 * Every room in use is at most once in one chain, its own; a room in none is free. NULL, or what
 * is wrong. Nobody may be changing the directory meanwhile.
 */
static inline const char *bus_check_directory(const struct bus *b)
{
	bool *seen = calloc(b->max_rooms, sizeof(*seen));
	const char *wrong = NULL;

	for (uint32_t chain = 0; chain <= b->chain_mask && !wrong; chain++) {
		for (uint32_t i = b->chains[chain]; i != 0 && !wrong; i = b->rooms[i - 1].next) {
			if (i > b->shared->used)
				wrong = "a chain leads to a room that was never used";
			else if (seen[i - 1])
				wrong = "a room is in two chains, or a chain is a ring";
			else if ((b->rooms[i - 1].hash[0] & b->chain_mask) != chain)
				wrong = "a room is in the wrong chain";
			else
				seen[i - 1] = true;
		}
	}
	for (uint32_t i = 0; i < b->shared->used && !wrong; i++)
		if (!seen[i] && b->rooms[i].members != 0)
			wrong = "a room with members cannot be found";
	free(seen);
	return wrong;
}

#endif
