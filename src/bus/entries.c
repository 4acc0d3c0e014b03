/*
 * The log: entries written in place at the tail and read in place behind it.
 *
 * An append does, under the lock and in this order:
 *
 *	reserve		says how far the ring is about to be overwritten; it only grows, also when
 *			an author died after it, for then the bytes may be gone all the same
 *	the entry	beyond the tail, where nobody reads
 *	the redo record new_tail first: as long as that is not the tail the record means nothing,
 *			so it may be half written
 *	the tail	a release store: from here on the entry exists
 *	the directory	the room's last entry and sequence, which who finds the author dead stores
 *			again, for all entries from the record's position to the tail
 *
 * so that whoever dies anywhere leaves either no entry or a whole one. Several that are to be there
 * all or none are written like one (batch.c). Positions never wrap: they
 * are counts of bytes, and the ring lies twice in a row in memory, so an entry is always in one
 * piece. They begin at the ring's size, which leaves 0 to mean "none" and spares the
 * subtractions a special case.
 *
 * What is unread is never overwritten: an entry of n bytes at the tail takes the place of what is
 * a ring less n behind it. An entry has at most a quarter of the ring, and none is appended while
 * any cursor is more than the other three behind the tail; so a cursor is never more than a ring
 * behind the end of an entry, and that is the first byte that stays. The entry's own length does not
 * count, so that a large message waits no longer than a small one.
 *
 * That is all that a worker has to do with rooms in which it has no members. Those of a room hold
 * up its publishers sooner: when one of them is more than `lag` behind the tail before the entry,
 * and has not read the room's last one yet. For in bytes of the log a worker may be that far behind
 * because of other rooms alone, whose publishers do not wait for it, and could thus keep a quiet
 * room's waiting for as long as they like: it may have one entry unread in any case. As lag is at
 * most a quarter of the ring, these bounds are never at odds.
 *
 * What rooms keep is in the ring as well, and is carried out of the way first (carry.c); what an
 * entry changes of it comes behind the directory, and is repeated with it (keep.c).
 *
 * A worker that has read a room's entries and cannot pass them on as fast says so of that room alone
 * (`behind`): its cursor goes on, for the sake of all others.
 */
#include <string.h>

#include "bus/append.h"

_Static_assert(sizeof(struct bus_head) == 64, "the head of an entry has no holes");

/* The tail may be another after it. */
static enum bus_result find_space(struct bus *b, const struct bus_dir_room *r,
				  const struct bus_head *head)
{
	enum bus_result result = bus_has_space(b, r, LOAD(b->shared->tail));

	if (result != BUS_OK || !bus_is_kept(b))
		return result;
	result = bus_make_way(b, bus_entry_size(head->frame_len), head->time);
	return result == BUS_OK ? bus_has_space(b, r, LOAD(b->shared->tail)) : result;
}

static enum bus_result append_locked(struct bus *b, struct bus_head *head,
				     const struct bus_part *parts, int count)
{
	struct bus_room room = { .id = head->id, .index = head->index };
	struct bus_dir_room *r = bus_room_at(b, room);
	enum bus_result result;
	uint64_t tail, end;

	if (!r)
		return BUS_GONE;
	if (LOAD(b->shared->tail) % BUS_ALIGN != 0)
		return BUS_CORRUPT;
	result = find_space(b, r, head);
	if (result != BUS_OK)
		return result;
	tail = LOAD(b->shared->tail);
	end = tail + bus_entry_size(head->frame_len);
	head->sequence = LOAD(r->sequence) + 1;
	head->previous = LOAD(r->last);
	head->check = (uint32_t)tail;
	bus_reserve(b, end);
	bus_write_entry(b, tail, head, parts, count);
	if (bus_is_kept(b))
		bus_link_entry(b, head->index, head->previous, tail, tail);
	bus_publish(b, tail, end, 0);
	bus_note_entry(r, tail, head->sequence);
	if (tail >= LOAD(b->shared->mark_at))
		bus_mark(b, tail, head->time);
	b->to_wake |= LOAD(r->members);
	if (bus_is_kept(b) && !bus_keep_note(b, head->index, tail, head))
		return BUS_CORRUPT;
	return BUS_OK;
}

enum bus_result bus_append(struct bus *b, struct bus_room room, const struct bus_meta *meta,
			   const struct bus_part *parts, int count)
{
	struct bus_head head;
	enum bus_result result;
	size_t len;

	if (!bus_sum_up(b, parts, count, &len))
		return BUS_TOO_BIG;
	head = bus_head_of(room, meta, len);
	result = bus_lock(b, BUS_BRIEFLY);
	b->held.again |= result == BUS_FULL;
	if (result != BUS_OK)
		return result;
	result = append_locked(b, &head, parts, count);
	bus_unlock(b);
	if (result == BUS_OK)
		bus_scan_when_due(b);
	return result;
}

void bus_copy_head(const struct bus *b, uint64_t position, struct bus_head *head)
{
	const volatile uint64_t *from = (const volatile uint64_t *)bus_ring_at(b, position);
	uint64_t words[sizeof(*head) / sizeof(uint64_t)];

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		words[i] = from[i];
	memcpy(head, words, sizeof(*head));
}

bool bus_head_credible(const struct bus *b, const struct bus_head *head, uint64_t position,
		       uint64_t available)
{
	return head->check == (uint32_t)position && head->index < b->max_rooms && head->id != 0 &&
	       head->sequence != 0 && head->previous < position &&
	       bus_entry_size(head->frame_len) <= available;
}

static struct bus_meta meta_of(const struct bus_head *head)
{
	return (struct bus_meta){
		.sender = head->sender,
		.time = head->time,
		.kind = head->kind,
		.not_to_sender = head->flags & BUS_NOT_TO_SENDER,
		.json = head->flags & BUS_JSON,
	};
}

struct bus_entry bus_entry_of(const struct bus_head *head, uint64_t position, const uint8_t *frame)
{
	return (struct bus_entry){
		.room = { .id = head->id, .index = head->index },
		.sequence = head->sequence,
		.meta = meta_of(head),
		.frame = frame,
		.frame_len = head->frame_len,
		.end = position + bus_entry_size(head->frame_len),
	};
}

/* In both callers, or the one on the path of a message pays for a call. */
static inline __attribute__((always_inline)) enum bus_result
copy_at(const struct bus *b, uint64_t position, struct bus_head *head)
{
	uint64_t tail = atomic_load_explicit(&b->shared->tail, memory_order_acquire);

	if (position == tail)
		return BUS_EMPTY;
	if (position % BUS_ALIGN != 0 || position > tail || tail - position > b->size ||
	    tail - position < sizeof(*head))
		return BUS_CORRUPT;
	bus_copy_head(b, position, head);
	return bus_head_credible(b, head, position, tail - position) ? BUS_OK : BUS_CORRUPT;
}

enum bus_result bus_read(const struct bus *b, uint64_t position, struct bus_entry *e)
{
	struct bus_head head;
	enum bus_result result = copy_at(b, position, &head);

	if (result != BUS_OK)
		return result;
	*e = bus_entry_of(&head, position, bus_ring_at(b, position) + sizeof(head));
	if (head.flags & BUS_KEPT)
		e->meta.kind = BUS_KIND_KEPT;
	return BUS_OK;
}

/*
 * What the author had noted already stays: a room never goes back, for others look at it. What was
 * carried is all that its room keeps, from the record's position on.
 */
static bool redo_entry(struct bus *b, uint64_t position, const struct bus_head *head)
{
	struct bus_room room = { .id = head->id, .index = head->index };
	struct bus_dir_room *r = bus_room_at(b, room);

	if (!r)
		return false;
	if (head->sequence >= LOAD(r->sequence))
		bus_note_entry(r, position, head->sequence);
	if (!(head->flags & BUS_KEPT))
		return bus_keep_note(b, head->index, position, head);
	if (head->previous == 0)
		bus_keep_move(b, head->index, position);
	return true;
}

bool bus_redo_newest(struct bus *b)
{
	const struct bus_redo *redo = &b->shared->redo;
	uint64_t tail = LOAD(b->shared->tail);
	uint64_t position = LOAD(redo->position);
	enum bus_result result;
	struct bus_head head;

	if (tail % BUS_ALIGN != 0 || tail < b->size || !bus_ledger_redo(b))
		return false;
	if (LOAD(redo->new_tail) != tail)
		return true;
	while ((result = copy_at(b, position, &head)) == BUS_OK) {
		if (!redo_entry(b, position, &head))
			return false;
		position += bus_entry_size(head.frame_len);
	}
	return result == BUS_EMPTY && bus_key_finish(b, LOAD(redo->keys));
}
