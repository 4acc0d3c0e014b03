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

/* Whether the links of a window lead through as many entries and bytes as it says. */
static inline bool bus_check_window(const struct bus *b, uint32_t index, struct bus_window w)
{
	while (w.count > 0) {
		struct bus_head head;

		if (!bus_keep_oldest(b, index, &w, &head))
			return false;
		w.count--;
		w.size -= bus_entry_size(head.frame_len);
		w.from = head.next;
	}
	return w.size == 0;
}

/*
 * All that is kept is where the rooms say, ahead of what is about to be overwritten, and the sums
 * are the sums. NULL, or what is wrong.
 */
static inline const char *bus_check_kept(const struct bus *b)
{
	static uint64_t kept[BUS_GROUPS];
	const struct bus_keeping *all = b->keeping;
	uint64_t size = 0, keepers = 0;

	if (all->groups > BUS_GROUPS)
		return "there are more groups than there can be";
	memset(kept, 0, all->groups * sizeof(kept[0]));
	for (uint32_t i = 0; i < b->shared->used; i++) {
		struct bus_window w = bus_keep_window(&all->rooms[i]);

		keepers += all->rooms[i].limits != 0;
		kept[(uint16_t)all->rooms[i].terms] += w.size;
		size += w.size;
		if (all->rooms[i].limits != 0 && w.upto != b->rooms[i].sequence)
			return "an entry is not accounted for";
		if (w.count != 0 && (w.from < all->edge || w.from + b->size < b->shared->reserve))
			return "an entry that is kept is about to be overwritten";
		if (!bus_check_window(b, i, w))
			return "what is kept is not where its links lead";
	}
	if (all->size != size || all->keepers != keepers)
		return "the sum of all rooms is wrong";
	for (uint64_t g = 0; g < all->groups; g++)
		if (all->kept[g] != kept[g])
			return "the sum of a group is wrong";
	if ((all->edge == BUS_NO_EDGE) != (size == 0))
		return "there is an edge and nothing kept, or none";
	return NULL;
}

/* The same behind an append, when the edge is ahead again by all that is kept. */
static inline const char *bus_check_keeping(const struct bus *b)
{
	const struct bus_keeping *all = b->keeping;
	const char *wrong = bus_check_kept(b);

	if (wrong)
		return wrong;
	if (all->edge + b->size < b->shared->tail + all->size)
		return "the edge is not far enough ahead";
	return NULL;
}

#endif
