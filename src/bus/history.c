/*
 * The past of a room: its newest entries, copied from the log by the links that lead back.
 *
 * Who reads ahead (entries.c) has a cursor, which the authors wait for. Who looks back has none: the
 * past is what nobody waits for any more, and it may be overwritten while it is copied. So nothing
 * of it is used before it was found to have stood still. An author stores `reserve`, passes a
 * fence and then writes; here the bytes are copied, a fence is passed, and `reserve` is looked at.
 * If it is not beyond the entry's place in the ring by a whole ring, no author had begun to write
 * there, and the copy is the entry. If it is, the entry is gone, and so is all before it.
 *
 * What stood still is checked like all that comes from other processes: it must be of this room,
 * one number below the entry that led to it, and lie before it. Positions thus only fall and the
 * walk ends, whatever is in the memory.
 */
#include <string.h>

#include "bus/bus_internal.h"

struct walk {
	const struct bus *b;
	struct bus_room room;
	uint64_t tail; /* at the start */
	uint64_t position; /* of the next entry to look at, 0: that was all */
	uint64_t sequence; /* that it must have, 0: any */
	struct bus_head head; /* of the entry looked at */
};

/* Whether what was just copied from there may have been written to meanwhile. */
static bool overwritten(const struct bus *b, uint64_t position)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&b->shared->reserve, memory_order_relaxed) - position > b->size;
}

/* The newest entry. False: the room is gone, and what was read may be of another. */
static bool begin(struct walk *w)
{
	const struct bus_dir_room *r = bus_room_at(w->b, w->room);

	if (!r)
		return false;
	w->position = atomic_load_explicit(&r->last, memory_order_acquire);
	w->tail = atomic_load_explicit(&w->b->shared->tail, memory_order_acquire);
	return bus_room_at(w->b, w->room) == r;
}

static bool belongs(const struct walk *w)
{
	const struct bus_head *h = &w->head;

	return h->id == w->room.id && h->index == w->room.index &&
	       (w->sequence == 0 || h->sequence == w->sequence) &&
	       (h->previous == 0) == (h->sequence == 1);
}

static enum bus_result look(struct walk *w)
{
	uint64_t available = w->tail - w->position;

	if (w->position % BUS_ALIGN != 0 || w->position > w->tail || available < sizeof(w->head))
		return BUS_CORRUPT;
	if (available > w->b->size)
		return BUS_EMPTY;
	bus_copy_head(w->b, w->position, &w->head);
	if (overwritten(w->b, w->position))
		return BUS_EMPTY;
	if (!bus_head_credible(w->b, &w->head, w->position, available) || !belongs(w))
		return BUS_CORRUPT;
	return BUS_OK;
}

static enum bus_result keep(const struct walk *w, struct bus_past *past)
{
	size_t len = w->head.frame_len;
	uint8_t *to;

	if (len > past->size - past->used)
		return BUS_TOO_BIG;
	to = past->space + (past->size - past->used - len);
	memcpy(to, bus_ring_at(w->b, w->position) + sizeof(w->head), len);
	if (overwritten(w->b, w->position))
		return BUS_EMPTY;
	past->used += len;
	past->entries[--past->first] = bus_entry_of(&w->head, w->position, to);
	return BUS_OK;
}

enum bus_result bus_history(const struct bus *b, struct bus_room room, uint64_t newest,
			    struct bus_past *past)
{
	struct walk w = { .b = b, .room = room };

	past->first = past->most;
	past->used = 0;
	if (!begin(&w))
		return BUS_GONE;
	while (w.position != 0 && past->first > 0) {
		enum bus_result result = look(&w);

		if (result == BUS_OK && w.head.sequence <= newest)
			result = keep(&w, past);
		if (result != BUS_OK)
			return result;
		w.position = w.head.previous;
		w.sequence = w.head.sequence - 1;
	}
	return BUS_OK;
}
