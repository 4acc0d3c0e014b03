/*
 * Several messages that are there all or none.
 *
 * They are written one behind the other beyond the tail, where nobody reads, and published by one
 * store of it, like a single entry (entries.c); who finds their author dead goes over all of them.
 * The rooms are as they were until then, for others look at them without the lock. So a second
 * message to a room is linked to the first, and numbered behind it, by what is in the batch and not
 * by what is in the room.
 *
 * Which item that is stands in the room (`batched`): the number of the last item of a batch that
 * went to it. Nobody clears that, not between two batches and not after a death. It is believed
 * when it names an item before the present one that went to the same room: if there is one, this
 * batch has stored its number there; if there is none, no number can name it.
 *
 * With a key it is the same, with a look at the keys before it and one more word in the redo record
 * (once.c).
 */
#include "bus/append.h"

struct batch {
	struct bus_item *items;
	size_t count;
	size_t size; /* of all of them in the ring */
	const struct bus_once *once; /* NULL: it may be published any number of times */
};

static bool measure(const struct bus *b, struct batch *a)
{
	for (size_t i = 0; i < a->count; i++) {
		struct bus_item *item = &a->items[i];

		if (!bus_sum_up(b, item->parts, item->count, &item->frame_len))
			return false;
		a->size += bus_entry_size(item->frame_len);
		if (i > 0 && a->size > b->lag)
			return false;
	}
	return true;
}

/* Whether all rooms are there and have space. */
static enum bus_result look(struct bus *b, const struct batch *a, uint64_t tail)
{
	enum bus_result result = BUS_OK;

	for (size_t i = 0; i < a->count && result == BUS_OK; i++) {
		const struct bus_dir_room *r = bus_room_at(b, a->items[i].room);

		result = r ? bus_has_space(b, r, tail) : BUS_GONE;
	}
	return result;
}

/* The tail may be another after it. */
static enum bus_result find_space(struct bus *b, const struct batch *a)
{
	enum bus_result result = look(b, a, LOAD(b->shared->tail));

	if (result != BUS_OK || !bus_is_kept(b))
		return result;
	result = bus_make_way(b, a->size, a->items[0].meta.time);
	return result == BUS_OK ? look(b, a, LOAD(b->shared->tail)) : result;
}

/* The item before this one that went to its room, or NULL. */
static const struct bus_item *earlier(const struct batch *a, size_t i, const struct bus_dir_room *r)
{
	uint32_t k = LOAD(r->batched);

	if (k < i && a->items[k].room.index == a->items[i].room.index)
		return &a->items[k];
	return NULL;
}

static void write_item(struct bus *b, const struct batch *a, size_t i, uint64_t tail)
{
	struct bus_item *item = &a->items[i];
	struct bus_dir_room *r = &b->rooms[item->room.index];
	const struct bus_item *before = earlier(a, i, r);
	struct bus_head head = bus_head_of(item->room, &item->meta, item->frame_len);

	head.previous = before ? before->position : LOAD(r->last);
	head.sequence = 1 + (before ? before->sequence : LOAD(r->sequence));
	head.check = (uint32_t)item->position;
	bus_write_entry(b, item->position, &head, item->parts, item->count);
	if (bus_is_kept(b))
		bus_link_entry(b, head.index, head.previous, tail, item->position);
	item->sequence = head.sequence;
	STORE(r->batched, (uint32_t)i);
}

static void write_all(struct bus *b, const struct batch *a, uint64_t tail)
{
	uint64_t position = tail;

	bus_reserve(b, tail + a->size);
	for (size_t i = 0; i < a->count; i++) {
		a->items[i].position = position;
		write_item(b, a, i, tail);
		position += bus_entry_size(a->items[i].frame_len);
	}
}

static bool note_item(struct bus *b, const struct bus_item *item)
{
	struct bus_dir_room *r = &b->rooms[item->room.index];
	struct bus_head head = bus_head_of(item->room, &item->meta, item->frame_len);

	bus_note_entry(r, item->position, item->sequence);
	b->to_wake |= LOAD(r->members);
	head.sequence = item->sequence;
	return !bus_is_kept(b) || bus_keep_note(b, head.index, item->position, &head);
}

static bool note_all(struct bus *b, const struct batch *a)
{
	bool true_so_far = true;

	for (size_t i = 0; i < a->count; i++)
		true_so_far &= note_item(b, &a->items[i]);
	return true_so_far;
}

static enum bus_result append_locked(struct bus *b, const struct batch *a)
{
	enum bus_result result = BUS_OK;
	uint64_t tail, keys = 0;
	bool credible;

	if (a->once)
		result = bus_key_look(b, a->once, a->items, a->count);
	if (result == BUS_OK)
		result = LOAD(b->shared->tail) % BUS_ALIGN == 0 ? find_space(b, a) : BUS_CORRUPT;
	if (result != BUS_OK)
		return result;
	tail = LOAD(b->shared->tail);
	write_all(b, a, tail);
	if (a->once)
		keys = bus_key_write(b, a->once, a->items, a->count);
	bus_publish(b, tail, tail + a->size, keys);
	credible = note_all(b, a);
	bus_key_finish(b, keys);
	if (tail >= LOAD(b->shared->mark_at))
		bus_mark(b, tail, a->items[0].meta.time);
	return credible ? BUS_OK : BUS_CORRUPT;
}

static enum bus_result append(struct bus *b, struct batch *a)
{
	enum bus_result result;

	if (a->count == 0)
		return BUS_OK;
	if (!measure(b, a))
		return BUS_TOO_BIG;
	for (size_t i = 0; i < a->count; i++)
		a->items[i].members = bus_members(b, a->items[i].room);
	result = bus_lock(b, BUS_BRIEFLY);
	b->held.again |= result == BUS_FULL;
	if (result != BUS_OK)
		return result;
	result = append_locked(b, a);
	bus_unlock(b);
	if (result == BUS_OK)
		bus_scan_when_due(b);
	return result;
}

enum bus_result bus_append_all(struct bus *b, struct bus_item *items, size_t count)
{
	struct batch a = { .items = items, .count = count };

	return append(b, &a);
}

enum bus_result bus_append_once(struct bus *b, struct bus_item *items, size_t count,
				const struct bus_once *once)
{
	struct batch a = { .items = items, .count = count, .once = once };

	return count > BUS_KEY_ITEMS ? BUS_TOO_BIG : append(b, &a);
}
