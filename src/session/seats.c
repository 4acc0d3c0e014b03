/*
 * seats.c - see seats.h.
 *
 * A tree in the order of keys, and of a key in that of age. The oldest of a key is what stands behind
 * a seat that is older than all of that key could be: on the way to where that one would be, the last
 * that is behind it.
 */
#include "session/seats.h"

#include <search.h>
#include <stddef.h>

#include "session/session.h"
#include "session/turn.h"

static void *seats;

static int order_of(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare(const void *a, const void *b)
{
	const struct seat *x = a, *y = b;
	int order = order_of(x->key.of[0], y->key.of[0]);

	if (order == 0)
		order = order_of(x->key.of[1], y->key.of[1]);
	if (order == 0)
		order = order_of(x->since, y->since);
	return order != 0 ? order : order_of(x->id, y->id);
}

/* One that is looked for, and what was met behind it. */
struct probe {
	struct seat seat;
	const struct seat *behind;
};

/* The first is the probe (POSIX: tfind calls it so). */
static int compare_and_note(const void *a, const void *b)
{
	struct probe *p = (struct probe *)(uintptr_t)a;
	int order = compare(&p->seat, b);

	if (order < 0)
		p->behind = b;
	return order;
}

struct seat *seats_oldest(const struct tally_key *k)
{
	struct probe p = { .seat = { .key = *k } };

	turn_spend(TURN_SORT);
	(void)tfind(&p, &seats, compare_and_note);
	if (!p.behind || p.behind->key.of[0] != k->of[0] || p.behind->key.of[1] != k->of[1])
		return NULL;
	return (struct seat *)(uintptr_t)p.behind;
}

bool seats_add(struct seat *s)
{
	turn_spend(TURN_SORT);
	if (!tsearch(s, &seats, compare)) {
		s->conn = NULL;
		return false;
	}
	if (seats_oldest(&s->key) == s)
		tally_mark(session.tally, &s->key, s->since);
	return true;
}

void seats_remove(struct seat *s)
{
	bool was_oldest = seats_oldest(&s->key) == s;
	const struct seat *next;

	tdelete(s, &seats, compare);
	s->conn = NULL;
	if (!was_oldest)
		return;
	next = seats_oldest(&s->key);
	tally_mark(session.tally, &s->key, next ? next->since : 0);
}
