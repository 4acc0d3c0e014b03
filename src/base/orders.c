/*
 * orders.c - see orders.h.
 *
 * A cell is free, being written by a slot, or whole. It is claimed by one exchange, and becomes whole by
 * one store, behind which the number of those that were left is raised: who takes looks at all cells
 * when that is another than it was when he began to look the last time. An author who dies ahead of the
 * store has left nothing, and his cell is freed by who clears up; behind it, it is found with the next.
 */
#include "base/orders.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/segment.h"
#include "base/slots.h"

enum { FREE = 0, WHOLE = SLOTS + 1 }; /* in between: 1 + the slot of who writes it */

struct cell {
	_Atomic uint64_t state;
	_Atomic uint64_t of[ORDERS_WORDS];
};

struct box {
	_Alignas(128) _Atomic uint64_t left; /* so many were left, ever */
	struct cell cells[ORDERS_MOST];
};

struct shared {
	struct segment_header header;
	struct box boxes[SLOTS];
};

struct orders {
	struct segment segment;
	struct box *boxes;
	int slot;
	uint64_t seen; /* of `left`: all those are taken */
};

struct orders *orders_new(void)
{
	static const struct segment_layout l = { .name = "ignyx-orders",
						 .version = 1,
						 .size = sizeof(struct shared),
						 .parts = { SLOTS, ORDERS_MOST } };
	struct orders *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	if (segment_make(&o->segment, &l) < 0) {
		free(o);
		return NULL;
	}
	o->boxes = ((struct shared *)o->segment.at)->boxes;
	return o;
}

void orders_free(struct orders *o)
{
	if (!o)
		return;
	segment_free(&o->segment);
	free(o);
}

void orders_use(struct orders *o, int slot)
{
	o->slot = slot;
	o->seen = 0;
}

/* NULL: none is free. */
static struct cell *claim(struct orders *o, int slot)
{
	for (int i = 0; i < ORDERS_MOST; i++) {
		struct cell *c = &o->boxes[slot].cells[i];
		uint64_t state = FREE;

		if (atomic_load_explicit(&c->state, memory_order_relaxed) == FREE &&
		    atomic_compare_exchange_strong(&c->state, &state, (uint64_t)o->slot + 1))
			return c;
	}
	return NULL;
}

/* Should it be taken meanwhile, that is behind the look at its state, and so behind the caller's stores. */
static bool is_about(const struct cell *c, const struct order *what)
{
	if (atomic_load(&c->state) != WHOLE)
		return false;
	for (int i = 0; i < ORDERS_ABOUT; i++)
		if (atomic_load_explicit(&c->of[i], memory_order_relaxed) != what->of[i])
			return false;
	return true;
}

static bool is_left(const struct orders *o, int slot, const struct order *what)
{
	for (int i = 0; i < ORDERS_MOST; i++)
		if (is_about(&o->boxes[slot].cells[i], what))
			return true;
	return false;
}

bool orders_leave(struct orders *o, int slot, const struct order *what)
{
	struct cell *c;

	if (is_left(o, slot, what))
		return true;
	c = claim(o, slot);
	if (!c)
		return false;
	for (int i = 0; i < ORDERS_WORDS; i++)
		atomic_store_explicit(&c->of[i], what->of[i], memory_order_relaxed);
	atomic_store_explicit(&c->state, WHOLE, memory_order_release);
	atomic_fetch_add(&o->boxes[slot].left, 1);
	return true;
}

static uint64_t left(const struct orders *o)
{
	return atomic_load_explicit(&o->boxes[o->slot].left, memory_order_acquire);
}

bool orders_are_there(const struct orders *o)
{
	return left(o) != o->seen;
}

static bool take(struct cell *c, struct order *what)
{
	if (atomic_load_explicit(&c->state, memory_order_acquire) != WHOLE)
		return false;
	for (int i = 0; i < ORDERS_WORDS; i++)
		what->of[i] = atomic_load_explicit(&c->of[i], memory_order_relaxed);
	atomic_store(&c->state, FREE);
	return true;
}

bool orders_take(struct orders *o, struct order *what)
{
	const uint64_t now = left(o);

	for (int i = 0; i < ORDERS_MOST; i++)
		if (take(&o->boxes[o->slot].cells[i], what))
			return true;
	o->seen = now;
	return false;
}

void orders_clear_slot(struct orders *o, int slot)
{
	for (int to = 0; to < SLOTS; to++)
		for (int i = 0; i < ORDERS_MOST; i++) {
			_Atomic uint64_t *state = &o->boxes[to].cells[i].state;
			uint64_t was = atomic_load(state);

			if (was == (uint64_t)slot + 1 || (to == slot && was == WHOLE))
				atomic_compare_exchange_strong(state, &was, FREE);
		}
}
