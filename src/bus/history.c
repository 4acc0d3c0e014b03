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
 *
 * What the room keeps is carried ahead of being overwritten (carry.c). So when an entry is gone that
 * the room keeps, it is in the log once more, and the walk begins again at what is the room's
 * last entry now. That is rare, for the ring has to come round by as much as all rooms keep
 * while one of them is copied.
 */
#include <string.h>

#include "bus/bus_internal.h"

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)

/* How often it begins, at most. */
enum { WALKS = 4 };

struct walk {
	const struct bus *b;
	struct bus_room room;
	const struct bus_dir_keep *keep;
	uint64_t tail; /* at the start */
	uint64_t position; /* of the next entry to look at, 0: that was all */
	uint64_t sequence; /* that it must have, 0: any */
	uint64_t newest; /* the last number that the room has given */
	uint64_t start; /* the room's numbers are above it */
	uint64_t kept_from; /* position of the oldest that is kept, as it was at the start */
	struct bus_window left; /* of what may be shown: from: a number; count and size */
	struct bus_head head; /* of the entry looked at */
};

/* Whether what was just copied from there may have been written to meanwhile. */
static bool overwritten(const struct bus *b, uint64_t position)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&b->shared->reserve, memory_order_relaxed) - position > b->size;
}

/* All that is in the log, or what the room keeps. */
static void set_limits(struct walk *w, const struct bus_past *past)
{
	uint64_t limits = LOAD(w->keep->limits);
	struct bus_window kept = bus_keep_window(w->keep);

	w->kept_from = kept.from;
	w->left = (struct bus_window){ .count = UINT64_MAX, .size = UINT64_MAX };
	if (past->now != 0)
		w->left = (struct bus_window){ .from = kept.upto - kept.count + 1,
					       .count = limits >> 32,
					       .size = (uint32_t)limits };
}

/* The newest entry. False: the room is gone, and what was read may be of another. */
static bool begin(struct walk *w, const struct bus_past *past)
{
	const struct bus_dir_room *r = bus_room_at(w->b, w->room);

	if (!r)
		return false;
	w->keep = &w->b->keeping->rooms[w->room.index];
	set_limits(w, past);
	w->start = LOAD(w->keep->start);
	w->sequence = 0;
	w->newest = LOAD(r->sequence);
	w->position = atomic_load_explicit(&r->last, memory_order_acquire);
	w->tail = atomic_load_explicit(&w->b->shared->tail, memory_order_acquire);
	return bus_room_at(w->b, w->room) == r;
}

/* The first of a room leads back to nothing, and so does the first of what was carried. */
static bool belongs(const struct walk *w)
{
	const struct bus_head *h = &w->head;

	return h->id == w->room.id && h->index == w->room.index &&
	       (w->sequence == 0 || h->sequence == w->sequence) && h->sequence > w->start &&
	       (h->previous != 0 ? h->sequence != w->start + 1
				 : h->sequence == w->start + 1 || h->flags & BUS_KEPT);
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

/* Whether the entry is one of those that may be shown, which is so for none before one that is not. */
static bool is_shown(struct walk *w, const struct bus_past *past)
{
	size_t size = bus_entry_size(w->head.frame_len);

	if (w->head.sequence < w->left.from || w->left.count == 0 || size > w->left.size)
		return false;
	w->left.count--;
	w->left.size -= size;
	return past->now == 0 || !bus_keep_is_old(w->keep, w->head.time, past->now);
}

static enum bus_result copy(const struct walk *w, struct bus_past *past)
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

static enum bus_result step(struct walk *w, uint64_t newest, struct bus_past *past)
{
	enum bus_result result = look(w);

	if (result != BUS_OK || w->head.sequence <= past->after)
		return result;
	if (!is_shown(w, past))
		return BUS_EMPTY;
	return w->head.sequence <= newest ? copy(w, past) : BUS_OK;
}

/*
 * Behind the last step, numbers up to w->sequence are still missing. Who has all that there was
 * misses nothing, whether the last of it can still be looked at or not.
 */
static enum bus_result go(struct walk *w, uint64_t newest, struct bus_past *past)
{
	past->first = past->most;
	past->used = 0;
	if (!begin(w, past))
		return BUS_GONE;
	if (w->newest <= past->after || newest <= past->after)
		return BUS_OK;
	if (w->position == 0)
		return w->start > past->after ? BUS_EMPTY : BUS_OK;
	while (w->position != 0 && past->first > 0) {
		enum bus_result result = step(w, newest, past);

		if (result != BUS_OK)
			return result;
		w->position = w->head.previous;
		w->sequence = w->head.sequence - 1;
		if (w->sequence <= past->after)
			return BUS_OK;
	}
	return past->first == 0 ? BUS_OK : BUS_EMPTY;
}

enum bus_result bus_history(const struct bus *b, struct bus_room room, uint64_t newest,
			    struct bus_past *past)
{
	struct walk w = { .b = b, .room = room };
	enum bus_result result = BUS_EMPTY;

	for (int i = 0; i < WALKS && result == BUS_EMPTY; i++) {
		result = go(&w, newest, past);
		if (result == BUS_EMPTY && LOAD(w.keep->from) == w.kept_from)
			break;
	}
	return result;
}
