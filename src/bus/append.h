/*
 * append.h - the steps of an append, for one message (entries.c) and for several (batch.c).
 *
 * In this order, between bus_lock and bus_unlock: bus_has_space, bus_reserve, bus_write_entry,
 * bus_publish, bus_note_entry; for why see entries.c. They are inline so that a single message pays
 * for no call. Where any room keeps anything (bus_is_kept) it is bus_has_space, bus_make_way,
 * bus_has_space again; bus_link_entry before bus_publish, and bus_keep_note as the last.
 */
#ifndef BUS_APPEND_H
#define BUS_APPEND_H

#include <string.h>

#include "base/bytes.h"
#include "bus/bus_internal.h"

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define STORE(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)

/* The head of an entry as its publisher says; what its place says is filled in there. */
static inline struct bus_head bus_head_of(struct bus_room room, const struct bus_meta *meta,
					  size_t frame_len)
{
	return (struct bus_head){
		.id = room.id,
		.index = room.index,
		.kind = meta->kind,
		.flags = (uint16_t)((meta->not_to_sender ? BUS_NOT_TO_SENDER : 0) |
				    (meta->json ? BUS_JSON : 0)),
		.sender = meta->sender,
		.time = meta->time,
		.frame_len = (uint32_t)frame_len,
	};
}

/* The length of a frame. False: it is over bus_frame_max. */
static inline bool bus_sum_up(const struct bus *b, const struct bus_part *parts, int count,
			      size_t *frame_len)
{
	const size_t most = bus_frame_max(b);
	size_t sum = 0;

	for (int i = 0; i < count; i++) {
		if (parts[i].len > most - sum)
			return false;
		sum += parts[i].len;
	}
	*frame_len = sum;
	return true;
}

/* What was found of the cursors holds for a while, so they are looked at only when it says no. */
static inline enum bus_result bus_has_space(struct bus *b, const struct bus_dir_room *r,
					    uint64_t tail)
{
	uint64_t holders = b->far | LOAD(r->behind);

	if (tail <= b->open_until && (LOAD(r->members) & holders) == 0)
		return BUS_OK;
	return bus_look_for_space(b, r, tail);
}

static inline void bus_reserve(struct bus *b, uint64_t end)
{
	if (LOAD(b->shared->reserve) < end)
		STORE(b->shared->reserve, end);
	atomic_thread_fence(memory_order_release);
}

static inline void bus_write_entry(struct bus *b, uint64_t position, const struct bus_head *head,
				   const struct bus_part *parts, int count)
{
	uint8_t *to = bus_ring_at(b, position);

	memcpy(to, head, sizeof(*head));
	to += sizeof(*head);
	for (int i = 0; i < count; i++)
		to = bytes_copy(to, parts[i].p, parts[i].len);
}

/* Whether any room keeps anything: if not, nobody has to pay for it. */
static inline bool bus_is_kept(const struct bus *b)
{
	return __builtin_expect(LOAD(b->keeping->keepers) != 0, 0);
}

/*
 * The entry before a new one in its room leads to it, if it is there: it is beyond the tail too, or
 * it is kept.
 */
static inline void bus_link_entry(struct bus *b, uint32_t index, uint64_t previous, uint64_t tail,
				  uint64_t position)
{
	const struct bus_dir_keep *k = &b->keeping->rooms[index];

	if (LOAD(k->limits) == 0 || previous % BUS_ALIGN != 0)
		return;
	if (previous >= tail || LOAD(k->count) > 0)
		STORE(((struct bus_head *)bus_ring_at(b, previous))->next, position);
}

/* keys: as of struct bus_redo. */
static inline void bus_publish(struct bus *b, uint64_t tail, uint64_t end, uint64_t keys)
{
	struct bus_redo *redo = &b->shared->redo;

	STORE(redo->new_tail, end);
	atomic_thread_fence(memory_order_release);
	STORE(redo->position, tail);
	STORE(redo->keys, keys);
	atomic_store_explicit(&b->shared->tail, end, memory_order_release);
	atomic_signal_fence(memory_order_seq_cst);
}

/* Who reads `last` without the lock (history.c) finds a tail that is behind that entry. */
static inline void bus_note_entry(struct bus_dir_room *r, uint64_t position, uint64_t sequence)
{
	atomic_store_explicit(&r->last, position, memory_order_release);
	STORE(r->sequence, sequence);
}

/* Behind an append, and outside the lock. */
static inline void bus_scan_when_due(struct bus *b)
{
	/* whose cursor is at a tail before this one is seen */
	uint64_t tail = atomic_load_explicit(&b->shared->tail, memory_order_acquire);

	if (tail >= b->scan_at)
		bus_scan(b, tail);
}

#endif
