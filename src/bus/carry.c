/*
 * What rooms keep is carried ahead of the place at which the ring is written.
 *
 * The edge is the position of an entry; nothing that is kept is before it. Whoever is about to
 * write pushes it on, entry by entry. Most are nothing to anybody and are passed over. Where one is
 * the oldest that its room keeps, then
 *
 *	it leaves	when it is over the room's limits, or too old; or
 *	is evicted	when all rooms keep over a quarter of the ring, and none keeps more than
 *			this one's group; or
 *	the room	is carried: all that it keeps is appended again, as one group, with its old
 *			numbers, times and senders, and linked among itself alone. One store of the
 *			tail publishes it, and then the room's last entry is the last of the group, and its
 *			oldest the first. What the room kept before is nothing any more when the edge comes
 *			to it.
 *
 * Carrying needs space ahead of the edge, which is why it is kept ahead: by as many bytes as all
 * rooms keep. More is never needed, for a room is carried once until the edge has passed all that was
 * written before; and then there is nothing kept in the ring but what was carried. So a message is
 * appended only when after it the edge is ahead by what is kept then. It also follows that
 * what is copied is never what is being overwritten.
 *
 * With a quarter of the ring kept, the edge goes round with three quarters of it in between; so for
 * three bytes that are appended at most one is carried.
 *
 * An append does a bounded part of that and is BUS_FULL if that is not enough: the next one, whoever
 * makes it, goes on. bus_carry does it ahead of need, so that appends find nothing left to do.
 *
 * The redo record of a group is that of a batch: who finds its author dead goes over its entries,
 * of which the last is the room's last, and the first the oldest that it keeps.
 */
#include "bus/append.h"

enum {
	/* One append passes so many entries, and begins to carry no room behind so many bytes. */
	PASS_MOST = 8192,
	CARRY_MOST = 32 * 1024,
	/* The same for bus_carry, which also looks at so many places for what is too old ... */
	CLEAN_PASS_MOST = 16 * 1024,
	CLEAN_CARRY_MOST = 256 * 1024,
	SWEEP = 256,
	/* ... and lets go so many entries of each. */
	SWEEP_MOST = 16,
	SILENCE_MS = 1000,
};

/* What may be done in one go. */
struct errand {
	int64_t now;
	unsigned pass; /* entries that may still be looked at */
	size_t carry; /* bytes; a room is carried as long as there are some */
};

/* How far bus_carry is ahead of need. */
static uint64_t ahead(const struct bus *b)
{
	return b->size / 32;
}

/* Whether the edge is so far ahead of the tail that n bytes more can be written, and kept. */
static bool is_clear(const struct bus *b, uint64_t n)
{
	return LOAD(b->keeping->edge) + b->size >=
	       LOAD(b->shared->tail) + LOAD(b->keeping->size) + n;
}

/* Whether no group keeps more than this one. Only asked when something has to go. */
static bool keeps_most(const struct bus *b, const struct bus_dir_keep *k)
{
	uint64_t own = LOAD(b->keeping->kept[(uint16_t)LOAD(k->terms)]);
	uint64_t groups = LOAD(b->keeping->groups);

	for (uint64_t i = 0; i < groups && i < BUS_GROUPS; i++)
		if (LOAD(b->keeping->kept[i]) > own)
			return false;
	return true;
}

/*
 * Writes what the room keeps beyond the tail. Returns the position of the last of it, or 0: that is
 * not what is in the log.
 */
static uint64_t copy_window(struct bus *b, uint32_t index, struct bus_window w, uint64_t tail)
{
	uint64_t previous = 0, at = tail, end = tail + w.size;

	while (w.count > 0) {
		struct bus_part frame;
		struct bus_head head;
		size_t size;

		if (!bus_keep_oldest(b, index, &w, &head))
			return 0;
		frame = (struct bus_part){ bus_ring_at(b, w.from) + sizeof(head), head.frame_len };
		size = bus_entry_size(head.frame_len);
		w.from = head.next;
		head.flags |= BUS_KEPT;
		head.previous = previous;
		head.next = at + size;
		head.check = (uint32_t)at;
		bus_write_entry(b, at, &head, &frame, 1);
		previous = at;
		at += size;
		w.size -= size;
		w.count--;
	}
	return at == end ? previous : 0;
}

static enum bus_result carry(struct bus *b, uint32_t index)
{
	struct bus_window w = bus_keep_window(&b->keeping->rooms[index]);
	uint64_t tail = LOAD(b->shared->tail), end = tail + w.size, last;
	enum bus_result result = bus_look_at_ring(b, tail);

	if (result != BUS_OK)
		return result;
	if (w.size > b->size / 4)
		return BUS_CORRUPT;
	bus_reserve(b, end);
	last = copy_window(b, index, w, tail);
	if (last == 0)
		return BUS_CORRUPT;
	bus_publish(b, tail, end, 0);
	bus_note_entry(&b->rooms[index], last, w.upto);
	bus_keep_move(b, index, tail);
	return BUS_OK;
}

static enum bus_result later(struct bus *b)
{
	b->held.again = true;
	return BUS_FULL;
}

/* Beyond a quarter of the ring some have to go. Without the space to carry a room, too. */
static bool has_to_go(const struct bus *b, const struct bus_dir_keep *k, const struct bus_window *w)
{
	if (LOAD(b->keeping->edge) + b->size < LOAD(b->shared->tail) + w->size)
		return true;
	return LOAD(b->keeping->size) > b->size / 4 && keeps_most(b, k);
}

/* The entry at the edge is the oldest that its room keeps: what becomes of it. */
static enum bus_result save(struct bus *b, const struct bus_head *head, struct errand *e)
{
	const struct bus_dir_keep *k = &b->keeping->rooms[head->index];
	struct bus_window w = bus_keep_window(k);
	bool leaves = bus_keep_is_over(k, &w) || bus_keep_is_old(k, head->time, e->now);

	if (leaves || has_to_go(b, k, &w))
		return bus_keep_drop(b, head->index, !leaves) ? BUS_OK : BUS_CORRUPT;
	if (e->carry == 0)
		return later(b);
	e->carry -= w.size < e->carry ? w.size : e->carry;
	return carry(b, head->index);
}

/* Pushes the edge on by an entry, or away with what is there. */
static enum bus_result push(struct bus *b, struct errand *e)
{
	uint64_t edge = LOAD(b->keeping->edge);
	uint64_t available = LOAD(b->shared->tail) - edge;
	struct bus_head head;

	if (e->pass-- == 0)
		return later(b);
	if (edge % BUS_ALIGN != 0 || available > b->size || available < sizeof(head))
		return BUS_CORRUPT;
	bus_copy_head(b, edge, &head);
	if (!bus_head_credible(b, &head, edge, available))
		return BUS_CORRUPT;
	if (LOAD(b->keeping->rooms[head.index].from) == edge)
		return save(b, &head, e);
	STORE(b->keeping->edge, edge + bus_entry_size(head.frame_len));
	atomic_signal_fence(memory_order_seq_cst);
	return BUS_OK;
}

static enum bus_result push_until_clear(struct bus *b, uint64_t n, struct errand *e)
{
	enum bus_result result = BUS_OK;

	while (result == BUS_OK && !is_clear(b, n))
		result = push(b, e);
	return result;
}

/* n twice: they are written, and it may be that they are kept. */
enum bus_result bus_make_way(struct bus *b, size_t n, int64_t now)
{
	struct errand e = { .now = now, .pass = PASS_MOST, .carry = CARRY_MOST + n };

	return push_until_clear(b, 2 * (uint64_t)n, &e);
}

/* --- the cleaner --- */

static bool is_cleaner(struct bus *b, int64_t clock)
{
	struct bus_keeping *all = b->keeping;
	uint64_t own = (uint64_t)b->slot + 1, cleaner = LOAD(all->cleaner);
	int64_t silent = (int64_t)((uint64_t)clock - (uint64_t)LOAD(all->beat));

	if (cleaner != 0 && cleaner < own && silent < SILENCE_MS)
		return false;
	STORE(all->cleaner, own);
	STORE(all->beat, clock);
	return true;
}

static bool sweep_room(struct bus *b, uint32_t index, int64_t now)
{
	const struct bus_dir_keep *k = &b->keeping->rooms[index];

	for (int i = 0; i < SWEEP_MOST; i++) {
		struct bus_window w = bus_keep_window(k);
		struct bus_head head;

		if (w.count == 0)
			return true;
		if (!bus_keep_oldest(b, index, &w, &head))
			return false;
		if (!bus_keep_is_over(k, &w) && !bus_keep_is_old(k, head.time, now))
			return true;
		if (!bus_keep_drop(b, index, false))
			return false;
	}
	return true;
}

static bool sweep(struct bus *b, int64_t now)
{
	uint64_t place = LOAD(b->keeping->sweep);
	uint32_t places = bus_places(b);

	for (uint32_t i = 0; i < SWEEP && i < places; i++, place++) {
		if (place >= places)
			place = 0;
		if (!sweep_room(b, (uint32_t)place, now))
			return false;
	}
	STORE(b->keeping->sweep, place);
	return true;
}

static enum bus_result clean(struct bus *b, int64_t now)
{
	struct errand e = { .now = now, .pass = CLEAN_PASS_MOST, .carry = CLEAN_CARRY_MOST };
	enum bus_result result = BUS_OK;

	if (!sweep(b, now))
		return BUS_CORRUPT;
	if (LOAD(b->keeping->size) != 0)
		result = push_until_clear(b, ahead(b), &e);
	return result;
}

enum bus_result bus_carry(struct bus *b, int64_t now, int64_t clock)
{
	enum bus_result result;

	if (!is_cleaner(b, clock) || !bus_is_kept(b))
		return BUS_OK;
	result = bus_lock(b, BUS_BRIEFLY);
	if (result != BUS_OK)
		return result;
	result = clean(b, now);
	bus_unlock(b);
	if (result == BUS_OK)
		bus_scan_when_due(b);
	return result;
}
