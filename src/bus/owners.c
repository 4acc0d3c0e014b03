/*
 * How many rooms somebody has, over all processes.
 *
 * A room counts as long as it has readers, and what is true of that is its row of bits alone
 * (directory.c), from which a worker, or the master in its stead, takes bits without the lock. So a
 * count is only as good as when it was made, and what keeps it good is this:
 *
 *	mark	says for whom the room in a place of the directory counts; with the room's id, so
 *		that it is not the next room's. It changes under the lock, and the count with it
 *	leave	who takes the last bit away takes the mark, too, under the lock; if that is not to be
 *		had, there is a doubt
 *	death	of a worker at any instruction: it may have been between a mark and its count, or a
 *		bit and its mark. There is a doubt
 *
 * Doubts are counted. A count that is older than the last of them is made anew from marks and bits
 * before it is believed: so it never lets too many in, and keeps nobody out for the dead.
 */
#include "bus/bus_internal.h"

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define STORE(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)

static uint64_t mark_of(uint64_t id, uint32_t place)
{
	return id * BUS_OWNERS + place;
}

static struct bus_owner *owner_at(const struct bus *b, uint64_t mark)
{
	return &b->owners->all[mark % BUS_OWNERS];
}

/* A lock that was a dead one's is a doubt, as well as those that are noted. */
static uint64_t doubts(const struct bus *b)
{
	return atomic_load(&b->owners->doubts) + LOAD(b->shared->recoveries);
}

void bus_doubt(struct bus *b)
{
	atomic_fetch_add(&b->owners->doubts, 1);
}

static bool is_true(const struct bus *b, uint32_t index, uint64_t mark)
{
	const struct bus_dir_room *r = &b->rooms[index];

	return mark / BUS_OWNERS == LOAD(r->id) && atomic_load(&r->members) != 0;
}

/* Under the lock: only what is true stays. */
static void believe(struct bus *b, struct bus_owner *o)
{
	const uint64_t now = doubts(b);
	const uint32_t used = bus_places(b);
	uint32_t rooms = 0;

	if (LOAD(o->believed) == now)
		return;
	for (uint32_t i = 0; i < used; i++) {
		const uint64_t mark = LOAD(b->owners->marks[i]);

		if (mark == 0 || owner_at(b, mark) != o)
			continue;
		if (is_true(b, i, mark))
			rooms++;
		else
			STORE(b->owners->marks[i], 0);
	}
	STORE(o->rooms, rooms);
	STORE(o->believed, now);
}

/* Under the lock: its place, or one that nobody has, or who has no rooms. NULL: there is none. */
static struct bus_owner *find_owner(struct bus *b, uint64_t id)
{
	struct bus_owner *unused = NULL;

	for (uint32_t i = 0; i < BUS_OWNERS; i++) {
		struct bus_owner *o = &b->owners->all[i];

		if (LOAD(o->id) == id)
			return o;
		if (!unused && (LOAD(o->id) == 0 || LOAD(o->rooms) == 0))
			unused = o;
	}
	if (!unused)
		return NULL;
	believe(b, unused);
	if (LOAD(unused->rooms) != 0)
		return NULL;
	STORE(unused->id, id);
	return unused;
}

/* Under the lock: the place counts for nobody. */
static void take_mark(struct bus *b, uint32_t index)
{
	const uint64_t mark = LOAD(b->owners->marks[index]);
	struct bus_owner *o = owner_at(b, mark);

	if (mark == 0)
		return;
	STORE(b->owners->marks[index], 0);
	if (LOAD(o->rooms) > 0)
		STORE(o->rooms, LOAD(o->rooms) - 1);
}

static enum bus_result count_locked(struct bus *b, struct bus_room room, uint64_t id, uint32_t most)
{
	struct bus_owner *o;
	uint64_t mark;

	if (!bus_room_at(b, room))
		return BUS_GONE;
	o = find_owner(b, id);
	if (!o)
		return BUS_ROOMS_FULL;
	mark = mark_of(room.id, (uint32_t)(o - b->owners->all));
	if (LOAD(b->owners->marks[room.index]) == mark)
		return BUS_OK;
	take_mark(b, room.index);
	believe(b, o);
	if (LOAD(o->rooms) >= most)
		return BUS_ROOMS_FULL;
	STORE(b->owners->marks[room.index], mark);
	STORE(o->rooms, LOAD(o->rooms) + 1);
	return BUS_OK;
}

enum bus_result bus_count_for(struct bus *b, struct bus_room room, uint64_t owner, uint32_t most)
{
	const uint64_t mark = LOAD(b->owners->marks[room.index]);
	enum bus_result result;

	if (mark != 0 && mark / BUS_OWNERS == room.id && LOAD(owner_at(b, mark)->id) == owner)
		return BUS_OK;
	result = bus_lock(b, BUS_PATIENTLY);
	if (result != BUS_OK)
		return result;
	result = count_locked(b, room, owner, most);
	bus_unlock(b);
	return result;
}

void bus_uncount(struct bus *b, uint32_t index)
{
	if (LOAD(b->owners->marks[index]) == 0 || atomic_load(&b->rooms[index].members) != 0)
		return;
	if (bus_lock(b, BUS_BRIEFLY) != BUS_OK) {
		bus_doubt(b);
		return;
	}
	/* somebody may have joined it meanwhile */
	if (atomic_load(&b->rooms[index].members) == 0)
		take_mark(b, index);
	bus_unlock(b);
}
