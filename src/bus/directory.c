/*
 * The directory of rooms: a hash table with chains, in shared memory.
 *
 * It is searched and changed under the lock, where a room is joined or opened: a message finds
 * its room by the index in the handle. Nothing here needs a redo record, because each step is a
 * single store and the table is sound between any two of them:
 *
 *	it has a place (vacancy.c)		  that no room has any more: it is in no chain
 *	it gets its new id, numbers and name	  nobody can find it meanwhile
 *	it is put at the head of its new chain	  one store
 *
 * A worker that dies on the way leaves a room in no chain, without members or entries. That is
 * what a free room looks like too, so the search for one finds it.
 *
 * Ids come from a counter that moves before the id is used, so no two rooms ever have the same.
 *
 * A room is found by 128 bits of a keyed hash (siphash.h), which stand in its one cache line: names
 * can be 1024 bytes long, and are kept elsewhere, for who has to tell them. The key is random, made
 * with the log and never leaves the daemon's memory, so that whoever chooses names cannot make two
 * rooms meet.
 */
#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/siphash.h"
#include "bus/bus_internal.h"

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)
/* Release, so that the compiler keeps the order of the steps; on x86 it costs nothing. */
#define STORE(field, value) atomic_store_explicit(&(field), (value), memory_order_release)

struct bus_dir_room *bus_room_at(const struct bus *b, struct bus_room room)
{
	if (room.index >= b->max_rooms || LOAD(b->rooms[room.index].id) != room.id)
		return NULL;
	return &b->rooms[room.index];
}

static _Atomic uint32_t *chain_of(const struct bus *b, uint64_t hash)
{
	return &b->chains[hash & b->chain_mask];
}

/*
 * Finds the link that leads to the first room of this name (or, with only set, to that room).
 * NULL: the chain is not one. The link holds 0: there is none.
 */
static _Atomic uint32_t *find_link(const struct bus *b, const uint64_t hash[2],
				   const struct bus_dir_room *only)
{
	_Atomic uint32_t *link = chain_of(b, hash[0]);

	for (uint32_t steps = 0; steps <= b->max_rooms; steps++) {
		uint32_t next = LOAD(*link);
		struct bus_dir_room *r;

		if (next == 0)
			return link;
		if (next > b->max_rooms)
			return NULL;
		r = &b->rooms[next - 1];
		if (only ? r == only : LOAD(r->hash[0]) == hash[0] && LOAD(r->hash[1]) == hash[1])
			return link;
		link = &r->next;
	}
	return NULL;
}

bool bus_unlink_room(struct bus *b, struct bus_dir_room *r)
{
	uint64_t hash[2] = { LOAD(r->hash[0]), LOAD(r->hash[1]) };
	_Atomic uint32_t *link = find_link(b, hash, r);

	if (!link)
		return false;
	if (LOAD(*link) != 0)
		STORE(*link, LOAD(r->next));
	return true;
}

/* A name as it is looked for: under its hash. */
struct key {
	const char *name;
	size_t len;
	uint64_t hash[2];
};

/* Who reads it meanwhile finds that it is no room's. */
static void write_name(struct bus_dir_name *n, const struct key *k, uint64_t id)
{
	STORE(n->id, 0);
	atomic_thread_fence(memory_order_release);
	bytes_copy(n->bytes, k->name, k->len);
	STORE(n->len, (uint32_t)k->len);
	STORE(n->id, id);
}

static enum bus_result create(struct bus *b, const struct key *k, uint32_t *index)
{
	_Atomic uint32_t *chain = chain_of(b, k->hash[0]);
	enum bus_result result = bus_take_place(b, index);
	struct bus_dir_room *r = &b->rooms[*index];
	uint64_t id = LOAD(b->shared->last_id) + 1;
	uint64_t floor = LOAD(b->keeping->floor);

	if (result != BUS_OK)
		return result;
	STORE(b->shared->last_id, id);
	STORE(r->id, id);
	/* it is not its predecessor's: but untouched memory stays so */
	if (LOAD(b->rates[*index].full_at) != 0)
		STORE(b->rates[*index].full_at, 0);
	STORE(r->sequence, floor);
	STORE(b->keeping->rooms[*index].start, floor);
	STORE(r->last, 0);
	STORE(r->hash[0], k->hash[0]);
	STORE(r->hash[1], k->hash[1]);
	write_name(&b->names[*index], k, id);
	STORE(r->next, LOAD(*chain));
	STORE(*chain, *index + 1);
	return BUS_OK;
}

static enum bus_result open_locked(struct bus *b, const struct key *k, const struct bus_keep *keep,
				   struct bus_room *room)
{
	_Atomic uint32_t *link = find_link(b, k->hash, NULL);
	enum bus_result result = BUS_OK;

	room->index = 0;
	if (!link)
		return BUS_CORRUPT;
	if (LOAD(*link) == 0)
		result = create(b, k, &room->index);
	else
		room->index = LOAD(*link) - 1;
	room->id = LOAD(b->rooms[room->index].id);
	if (result == BUS_OK && keep)
		bus_keep_set(b, room->index, keep);
	return result;
}

/* Takes the lock to look for a name. */
static enum bus_result begin(struct bus *b, const char *name, size_t len, struct key *k)
{
	if (len > BUS_ROOM_NAME_MAX)
		return BUS_TOO_BIG;
	*k = (struct key){ .name = name, .len = len };
	siphash(b->key, name, len, k->hash);
	return bus_lock(b, BUS_PATIENTLY);
}

enum bus_result bus_open(struct bus *b, const char *name, size_t len, const struct bus_keep *keep,
			 struct bus_room *room)
{
	struct key k;
	enum bus_result result = begin(b, name, len, &k);

	if (result != BUS_OK)
		return result;
	result = open_locked(b, &k, keep, room);
	bus_unlock(b);
	return result;
}

/* A room that nobody is in and nobody can look back on is as good as gone. */
static enum bus_result find_locked(const struct bus *b, const struct key *k, struct bus_room *room)
{
	_Atomic uint32_t *link = find_link(b, k->hash, NULL);
	uint32_t next = link ? LOAD(*link) : 0;

	if (!link)
		return BUS_CORRUPT;
	if (next == 0 || !bus_in_use(b, next - 1))
		return BUS_GONE;
	room->index = next - 1;
	room->id = LOAD(b->rooms[room->index].id);
	return BUS_OK;
}

enum bus_result bus_find(struct bus *b, const char *name, size_t len, struct bus_room *room)
{
	struct key k;
	enum bus_result result = begin(b, name, len, &k);

	if (result != BUS_OK)
		return result == BUS_TOO_BIG ? BUS_GONE : result;
	result = find_locked(b, &k, room);
	bus_unlock(b);
	return result;
}

/*
 * The cursor comes before the bit: a worker that dies between them is cleared by the master
 * like any other, and one that is slow between them is already waited for.
 */
static enum bus_result join_locked(struct bus *b, const struct key *k, const struct bus_keep *keep,
				   struct bus_room *room, uint64_t *sequence)
{
	enum bus_result result = open_locked(b, k, keep, room);
	struct bus_dir_room *r = &b->rooms[room->index];

	if (result != BUS_OK)
		return result;
	if (b->joined == 0)
		STORE(b->shared->slots[b->slot].cursor, LOAD(b->shared->tail));
	/* who had the slot before may have died with it */
	atomic_fetch_and(&r->behind, ~bus_slot_bit(b->slot));
	STORE(*bus_count_of(b, b->slot, room->index), 0);
	bus_presence_join(b, room->index);
	atomic_fetch_or(&r->members, bus_slot_bit(b->slot));
	*sequence = LOAD(r->sequence);
	b->joined++;
	return BUS_OK;
}

enum bus_result bus_join(struct bus *b, const char *name, size_t len, const struct bus_keep *keep,
			 struct bus_room *room, uint64_t *sequence)
{
	struct key k;
	enum bus_result result;

	assert(b->slot >= 0);
	result = begin(b, name, len, &k);
	if (result != BUS_OK)
		return result;
	result = join_locked(b, &k, keep, room, sequence);
	bus_unlock(b);
	return result;
}

/* `freed` moves after the bit: who sees the new count sees the room without us. */
void bus_leave(struct bus *b, struct bus_room room)
{
	struct bus_dir_room *r = bus_room_at(b, room);

	if (!r || b->joined == 0)
		return;
	atomic_fetch_and(&r->members, ~bus_slot_bit(b->slot));
	atomic_fetch_add(&b->shared->freed, 1);
	if (--b->joined == 0)
		STORE(b->shared->slots[b->slot].cursor, BUS_NO_CURSOR);
	bus_release(b, b->slot);
	bus_uncount(b, room.index);
}

void bus_fall_behind(struct bus *b, struct bus_room room)
{
	struct bus_dir_room *r = bus_room_at(b, room);

	if (r)
		atomic_fetch_or(&r->behind, bus_slot_bit(b->slot));
}

void bus_catch_up(struct bus *b, struct bus_room room)
{
	struct bus_dir_room *r = bus_room_at(b, room);

	if (!r)
		return;
	atomic_fetch_and(&r->behind, ~bus_slot_bit(b->slot));
	atomic_fetch_add(&b->shared->freed, 1);
	bus_release(b, b->slot);
}

void bus_directory_clear(struct bus *b, int slot)
{
	uint32_t used = atomic_load(&b->shared->used);
	uint64_t bit = bus_slot_bit(slot);

	for (uint32_t i = 0; i < used && i < b->max_rooms; i++) {
		if (!(LOAD(b->rooms[i].members) & bit))
			continue;
		atomic_fetch_and(&b->rooms[i].members, ~bit);
		bus_presence_changed(b, i);
	}
	atomic_fetch_add(&b->shared->freed, 1);
	bus_doubt(b);
}

uint64_t bus_sequence(const struct bus *b, struct bus_room room)
{
	const struct bus_dir_room *r = bus_room_at(b, room);

	return r ? atomic_load_explicit(&r->sequence, memory_order_acquire) : 0;
}

uint64_t bus_beginning(const struct bus *b, struct bus_room room)
{
	uint64_t start;

	if (!bus_room_at(b, room))
		return 0;
	start = LOAD(b->keeping->rooms[room.index].start);
	atomic_thread_fence(memory_order_acquire);
	return bus_room_at(b, room) ? start : 0;
}

ssize_t bus_name(const struct bus *b, struct bus_room room, char out[BUS_ROOM_NAME_MAX])
{
	const struct bus_dir_name *n;
	uint32_t len;

	if (room.id == 0 || room.index >= b->max_rooms)
		return -1;
	n = &b->names[room.index];
	if (atomic_load_explicit(&n->id, memory_order_acquire) != room.id)
		return -1;
	len = LOAD(n->len);
	if (len > BUS_ROOM_NAME_MAX)
		return -1;
	memcpy(out, n->bytes, len);
	atomic_thread_fence(memory_order_acquire);
	return LOAD(n->id) == room.id ? (ssize_t)len : -1;
}
