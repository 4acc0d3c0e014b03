/*
 * leaving.c - see leaving.h.
 *
 * A set is a tree by a key that is made of the connection's id: ids grow with time, and what they are
 * mixed to does not. So a set can be filled, and be left by any of its connections, a few at a time,
 * and nothing is ever sorted at once.
 */
#include "session/leaving.h"

#include <search.h>
#include <stdlib.h>

#include "base/mix.h"
#include "session/conn_internal.h"
#include "session/session.h"
#include "session/turn.h"

struct leaver {
	uint64_t key;
	uint64_t mark;
	struct conn *conn;
};

static struct {
	void *tree;
	size_t count;
	enum leaving_order order;
	uint64_t seed;
} sets[LEAVING_SETS];

uint64_t leaving_random(void)
{
	static uint64_t state;

	if (state == 0)
		state = (uint64_t)session_clock_us() ^ session.next_conn;
	return mix64(state += MIX_STEP);
}

static uint64_t key_of(enum leaving_set set, const struct conn *c)
{
	switch (sets[set].order) {
	case LEAVING_OLDEST:
		return c->id;
	case LEAVING_NEWEST:
		return ~c->id;
	default:
		return mix64(c->id ^ sets[set].seed);
	}
}

static int compare(const void *a, const void *b)
{
	const struct leaver *x = a, *y = b;

	return (x->key > y->key) - (x->key < y->key);
}

void leaving_begin(enum leaving_set set, enum leaving_order order)
{
	sets[set].order = order;
	sets[set].seed = leaving_random();
}

static struct leaver *find(enum leaving_set set, const struct conn *c)
{
	const struct leaver key = { .key = key_of(set, c) };
	struct leaver **found = sets[set].count > 0 ? tfind(&key, &sets[set].tree, compare) : NULL;

	return found ? *found : NULL;
}

static bool insert(enum leaving_set set, const struct conn *c, uint64_t mark)
{
	struct leaver *e = malloc(sizeof(*e));

	turn_spend(TURN_SORT);
	if (!e)
		return false;
	*e = (struct leaver){ key_of(set, c), mark, (struct conn *)c };
	if (!tsearch(e, &sets[set].tree, compare)) {
		free(e);
		return false;
	}
	sets[set].count++;
	return true;
}

bool leaving_add(enum leaving_set set, const struct conn *c, uint64_t mark)
{
	struct leaver *e = find(set, c);

	if (!e)
		return insert(set, c, mark);
	e->mark = mark;
	return true;
}

uint64_t leaving_mark(enum leaving_set set, const struct conn *c)
{
	struct leaver *e = find(set, c);

	return e ? e->mark : 0;
}

static void take_out(enum leaving_set set, struct leaver *e)
{
	turn_spend(TURN_SORT);
	tdelete(e, &sets[set].tree, compare);
	sets[set].count--;
	free(e);
}

void leaving_remove(enum leaving_set set, const struct conn *c)
{
	struct leaver *e = find(set, c);

	if (e)
		take_out(set, e);
}

void leaving_forget(const struct conn *c)
{
	for (enum leaving_set s = 0; s < LEAVING_SETS; s++)
		if (sets[s].count > 0)
			leaving_remove(s, c);
}

/* What is looked for is less than all: the last one that it is compared with is the first of them. */
static const struct leaver *first;

static int go_left(const void *key, const void *entry)
{
	(void)key;
	first = entry;
	return -1;
}

struct conn *leaving_take(enum leaving_set set)
{
	struct leaver *e;
	struct conn *c;

	if (sets[set].count == 0)
		return NULL;
	tfind("", &sets[set].tree, go_left);
	e = (struct leaver *)first;
	c = e->conn;
	take_out(set, e);
	return c;
}

size_t leaving_count(enum leaving_set set)
{
	return sets[set].count;
}
