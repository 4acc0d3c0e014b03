/*
 * Places of the directory for new rooms.
 *
 * First come those that were never used: `used` grows before the place is, so that it is not
 * taken twice. Then those of rooms that are free. Then a room without readers gives way, with all
 * that it keeps: the one in which nobody said anything for longest. So nobody is turned away as
 * long as there is an empty room.
 *
 * The search goes on where it ended, and over a thousand places or so at most when there is an
 * empty room among them: of a larger directory that is not the quietest of all, but a quiet one.
 * When there is none, it goes over all places, and remembers what has to happen first, so that a
 * crowd of refused joins does not go over the whole directory each time.
 *
 * A room that is gone may be made anew. Lest it takes an old position for its own, its numbers start
 * above those of all rooms that are gone (`floor`). Whoever dies between two of the steps by which
 * a room goes leaves one that is free, or that can give way again:
 *
 *	the redo record		means nothing any more: the newest append is finished, and may have been
 *				to this room
 *	the floor		is raised; it never falls
 *	what it keeps		is given up
 *	its chain		does not have it: one store in the room (or head) before it. Nothing, if
 *				it did not have it before
 */
#include "bus/bus_internal.h"

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)
/* Release, so that the compiler keeps the order of the steps. */
#define STORE(field, value) atomic_store_explicit(&(field), (value), memory_order_release)

/* Places looked at for the quietest empty room. */
enum { LOOKS = 1024 };

bool bus_in_use(const struct bus *b, uint32_t index)
{
	const struct bus_dir_room *r = &b->rooms[index];
	uint64_t last = LOAD(r->last);

	if (LOAD(r->members) != 0)
		return true;
	if (last != 0 && last + b->size >= LOAD(b->shared->reserve))
		return true;
	return LOAD(b->keeping->keepers) != 0 && LOAD(b->keeping->rooms[index].count) != 0;
}

/*
 * Where the newest entry of a room was written when it was new. Of what was kept once and is not
 * any more, it may be where that was carried to.
 */
static uint64_t quiet_since(const struct bus *b, uint32_t index)
{
	const struct bus_dir_keep *k = &b->keeping->rooms[index];

	return LOAD(k->limits) != 0 ? LOAD(k->said) : LOAD(b->rooms[index].last);
}

static bool end_room(struct bus *b, uint32_t index)
{
	struct bus_dir_room *r = &b->rooms[index];
	uint64_t sequence = LOAD(r->sequence);

	STORE(b->shared->redo.new_tail, 0);
	if (LOAD(b->keeping->floor) < sequence)
		STORE(b->keeping->floor, sequence);
	bus_keep_end(b, index);
	return bus_unlink_room(b, r);
}

/* A free place, or the quietest of the empty ones. False: there is none. */
static bool find(struct bus *b, uint32_t *index)
{
	uint32_t hand = LOAD(b->shared->hand);
	uint64_t quietest = UINT64_MAX;

	for (uint32_t n = 0; n < b->max_rooms; n++, hand++) {
		if (n >= LOOKS && quietest != UINT64_MAX)
			break;
		if (hand >= b->max_rooms)
			hand = 0;
		if (!bus_in_use(b, hand)) {
			STORE(b->shared->hand, hand + 1);
			*index = hand;
			return true;
		}
		if (LOAD(b->rooms[hand].members) != 0 || quiet_since(b, hand) >= quietest)
			continue;
		quietest = quiet_since(b, hand);
		*index = hand;
	}
	STORE(b->shared->hand, hand);
	return quietest != UINT64_MAX;
}

enum bus_result bus_take_place(struct bus *b, uint32_t *index)
{
	uint32_t used = LOAD(b->shared->used);
	uint64_t freed = atomic_load(&b->shared->freed);

	if (used > b->max_rooms)
		return BUS_CORRUPT;
	if (used < b->max_rooms) {
		STORE(b->shared->used, used + 1);
		*index = used;
		return BUS_OK;
	}
	if (freed == b->full_freed)
		return BUS_ROOMS_FULL;
	if (find(b, index))
		return end_room(b, *index) ? BUS_OK : BUS_CORRUPT;
	b->full_freed = freed;
	return BUS_ROOMS_FULL;
}
