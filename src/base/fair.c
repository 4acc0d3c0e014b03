/*
 * fair.c - see fair.h.
 *
 * A turn is a number: one more than that of the last one of the same address, and of an address of which
 * none waits, than the one that goes on. There are few enough to be looked through.
 */
#include "base/fair.h"

#include <stddef.h>

void fair_init(struct fair *f)
{
	*f = (struct fair){ .count = 0 };
	TAILQ_INIT(&f->list);
}

static void take_out(struct fair *f, struct fair_entry *e)
{
	TAILQ_REMOVE(&f->list, e, entry);
	f->count--;
}

/* The turn of one more of this address, of which *waiting do already. */
static uint64_t next_turn(const struct fair *f, uint64_t from, unsigned *waiting)
{
	const struct fair_entry *e;
	uint64_t turn = f->turn;

	*waiting = 0;
	TAILQ_FOREACH (e, &f->list, entry) {
		if (e->from != from)
			continue;
		turn = e->turn;
		++*waiting;
	}
	return turn + 1;
}

static void insert(struct fair *f, struct fair_entry *e)
{
	struct fair_entry *before = TAILQ_LAST(&f->list, fair_list);

	while (before && before->turn > e->turn)
		before = TAILQ_PREV(before, fair_list, entry);
	if (before)
		TAILQ_INSERT_AFTER(&f->list, before, e, entry);
	else
		TAILQ_INSERT_HEAD(&f->list, e, entry);
	f->count++;
}

bool fair_add(struct fair *f, struct fair_entry *e, struct fair_entry **displaced)
{
	struct fair_entry *last = TAILQ_LAST(&f->list, fair_list);
	unsigned waiting;

	*displaced = NULL;
	e->turn = next_turn(f, e->from, &waiting);
	if (e->from != 0 && waiting == FAIR_MOST_OF_ONE)
		return false;
	if (f->count == FAIR_MOST) {
		if (last->turn <= e->turn)
			return false;
		take_out(f, last);
		*displaced = last;
	}
	insert(f, e);
	return true;
}

struct fair_entry *fair_take(struct fair *f)
{
	struct fair_entry *e = TAILQ_FIRST(&f->list);

	if (!e)
		return NULL;
	f->turn = e->turn;
	take_out(f, e);
	return e;
}

struct fair_entry *fair_remove(struct fair *f, uint64_t id)
{
	struct fair_entry *e;

	TAILQ_FOREACH (e, &f->list, entry)
		if (e->id == id)
			break;
	if (e)
		take_out(f, e);
	return e;
}
