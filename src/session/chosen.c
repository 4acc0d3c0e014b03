/*
 * chosen.c - see chosen.h.
 *
 * A sorted array: it is short, and most that are offered are behind its end.
 */
#include "session/chosen.h"

#include <string.h>

#include "session/conn_internal.h"

static struct {
	struct conn *conns[CHOSEN_MAX];
	size_t count, most;
} chosen;

void chosen_begin(size_t most)
{
	chosen.count = 0;
	chosen.most = most < CHOSEN_MAX ? most : CHOSEN_MAX;
}

/* Where it stands, or would stand. */
static size_t place_of(uint64_t id)
{
	size_t from = 0, to = chosen.count;

	while (from < to) {
		size_t middle = (from + to) / 2;

		if (chosen.conns[middle]->id < id)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static bool stands_at(size_t place, const struct conn *c)
{
	return place < chosen.count && chosen.conns[place] == c;
}

void chosen_offer(struct conn *c)
{
	size_t place = place_of(c->id);

	if (place == chosen.most || stands_at(place, c))
		return;
	if (chosen.count < chosen.most)
		chosen.count++;
	memmove(&chosen.conns[place + 1], &chosen.conns[place],
		(chosen.count - 1 - place) * sizeof(*chosen.conns));
	chosen.conns[place] = c;
}

void chosen_forget(const struct conn *c)
{
	size_t place;

	if (chosen.count == 0)
		return;
	place = place_of(c->id);
	if (!stands_at(place, c))
		return;
	chosen.count--;
	memmove(&chosen.conns[place], &chosen.conns[place + 1],
		(chosen.count - place) * sizeof(*chosen.conns));
}

size_t chosen_count(void)
{
	return chosen.count;
}

struct conn *chosen_at(size_t i)
{
	return chosen.conns[i];
}
