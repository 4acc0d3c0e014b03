/*
 * Who is in a room: a list of its members for each worker.
 *
 * A worker has rows of its own, one for each member that it lists, and for each place of the directory the
 * first of a chain of them, beside the number of its members there (list.c): the room has one in each
 * worker, so nobody looks at the rows of another room. It alone writes them, and counts in its slot
 * as it does: the count is odd while it changes something. Who reads a worker's number and chain
 * looks at that count before and behind, and reads again if it was odd or is another.
 *
 * As with the number of members, all of it means something only as long as the room has the
 * worker's bit. So what a worker leaves behind that dies, in whatever state, is not looked at by
 * anybody; a successor begins with rows that are all free and with an even count, and bus_join has it
 * begin with an empty chain.
 *
 * Behind each change `changes` moves, of the room and of all rooms; for a worker that died it is
 * moved in its stead in all rooms that have its bit. So the bit is there before the first change, and a
 * worker's last is said before it is taken away.
 *
 * Whoever reads believes nothing: a chain is followed for as many steps as its worker has members, no
 * more than are wanted, and each step leads to a row that there is.
 */
#include "bus/presence.h"

#include <assert.h>
#include <stdlib.h>

#include "bus/bus_internal.h"

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define STORE(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)

/*
 * How often one worker's are looked for until they are its at one moment, how often of these they are
 * followed, and the wait in between.
 */
enum { TRIES = 32, WALKS = 3, PAUSE = 64 };

/* Rows are numbered from 1; NULL: there is none of that number. */
static struct bus_row *row_at(const struct bus *b, int slot, uint32_t number)
{
	if (number == 0 || number > b->members)
		return NULL;
	return &b->rows[(size_t)slot * b->members + number - 1];
}

static _Atomic uint32_t *head_of(const struct bus *b, int slot, uint32_t index)
{
	return &b->heads[(size_t)slot * b->max_rooms + index];
}

void bus_presence_begin(struct bus *b)
{
	_Atomic uint64_t *changing = &b->shared->slots[b->slot].changing;

	b->rows_used = b->free_row = 0;
	atomic_store(changing, (LOAD(*changing) | 1) + 1);
}

void bus_presence_join(struct bus *b, uint32_t index)
{
	/* memory that was not touched stays so */
	if (LOAD(*head_of(b, b->slot, index)) != 0)
		STORE(*head_of(b, b->slot, index), 0);
}

void bus_presence_changed(struct bus *b, uint32_t index)
{
	atomic_fetch_add(&b->changes[index], 1);
	atomic_fetch_add(&b->shared->changes, 1);
}

/* --- to write --- */

static void begin(struct bus *b)
{
	_Atomic uint64_t *changing = &b->shared->slots[b->slot].changing;

	STORE(*changing, LOAD(*changing) + 1);
	atomic_thread_fence(memory_order_release);
}

static void end(struct bus *b, uint32_t index)
{
	_Atomic uint64_t *changing = &b->shared->slots[b->slot].changing;

	atomic_store_explicit(changing, LOAD(*changing) + 1, memory_order_release);
	bus_presence_changed(b, index);
}

/* One that nobody has. 0: there is none. */
static uint32_t take_row(struct bus *b)
{
	struct bus_row *r = row_at(b, b->slot, b->free_row);
	uint32_t number = b->free_row;

	if (r) {
		b->free_row = LOAD(r->next);
		return number;
	}
	return b->rows_used < b->members ? ++b->rows_used : 0;
}

static uint32_t link_row(struct bus *b, uint32_t index, uint64_t id)
{
	_Atomic uint32_t *head = head_of(b, b->slot, index);
	uint32_t number = take_row(b);
	struct bus_row *r = row_at(b, b->slot, number), *second = row_at(b, b->slot, LOAD(*head));

	if (!r)
		return 0;
	STORE(r->id, id);
	STORE(r->previous, 0);
	STORE(r->next, LOAD(*head));
	if (second)
		STORE(second->previous, number);
	STORE(*head, number);
	return number;
}

static void unlink_row(struct bus *b, uint32_t index, uint32_t number)
{
	struct bus_row *r = row_at(b, b->slot, number);
	struct bus_row *next, *previous;

	if (!r)
		return;
	next = row_at(b, b->slot, LOAD(r->next));
	previous = row_at(b, b->slot, LOAD(r->previous));
	if (next)
		STORE(next->previous, LOAD(r->previous));
	STORE(*(previous ? &previous->next : head_of(b, b->slot, index)), LOAD(r->next));
	STORE(r->next, b->free_row);
	b->free_row = number;
}

uint32_t bus_come(struct bus *b, struct bus_room room, uint32_t members, uint64_t id)
{
	uint32_t place;

	assert(b->slot >= 0);
	if (!bus_room_at(b, room))
		return 0;
	begin(b);
	STORE(*bus_count_of(b, b->slot, room.index), members);
	place = id != 0 ? link_row(b, room.index, id) : 0;
	end(b, room.index);
	return place;
}

void bus_go(struct bus *b, struct bus_room room, uint32_t members, uint32_t place)
{
	assert(b->slot >= 0);
	if (!bus_room_at(b, room))
		return;
	begin(b);
	STORE(*bus_count_of(b, b->slot, room.index), members);
	unlink_row(b, room.index, place);
	end(b, room.index);
}

/* --- to read --- */

uint32_t bus_changes(const struct bus *b, struct bus_room room)
{
	return room.index < b->max_rooms ? atomic_load(&b->changes[room.index]) : 0;
}

uint64_t bus_all_changes(const struct bus *b)
{
	return atomic_load(&b->shared->changes);
}

static void pause_a_little(void)
{
	for (int i = 0; i < PAUSE; i++)
		__asm__ volatile("" ::: "memory");
}

/* Those of one worker, behind the others. Whether its chain has as many as it has members. */
static bool follow(const struct bus *b, int slot, uint32_t index, uint32_t members,
		   struct bus_present *p)
{
	uint32_t number = LOAD(*head_of(b, slot, index)), steps = 0;
	const struct bus_row *r;

	for (; steps < members && (r = row_at(b, slot, number)); steps++) {
		p->ids[p->count + steps] = LOAD(r->id);
		number = LOAD(r->next);
	}
	if (steps < members)
		return false;
	p->count += members;
	return true;
}

/* list: as far as none was missed before. */
static enum bus_presence look(const struct bus *b, int slot, uint32_t index, bool list,
			      struct bus_present *p)
{
	uint32_t members = LOAD(*bus_count_of(b, slot, index));

	p->members += members;
	if (p->members > p->most)
		return BUS_PRESENT_MANY;
	return !list || follow(b, slot, index, members, p) ? BUS_PRESENT_ALL : BUS_PRESENT_SOME;
}

static enum bus_presence read_slot(const struct bus *b, int slot, uint32_t index, bool list,
				   struct bus_present *p)
{
	const _Atomic uint64_t *changing = &b->shared->slots[slot].changing;
	const struct bus_present before = *p;

	for (int tries = 0, walks = 0; tries < TRIES && walks < WALKS; tries++, pause_a_little()) {
		const uint64_t now = atomic_load_explicit(changing, memory_order_acquire);
		enum bus_presence found;

		if (now % 2 != 0)
			continue;
		walks++;
		*p = before;
		found = look(b, slot, index, list, p);
		atomic_thread_fence(memory_order_acquire);
		if (LOAD(*changing) == now)
			return found;
	}
	*p = before;
	p->members += LOAD(*bus_count_of(b, slot, index));
	return BUS_PRESENT_BUSY;
}

/* What is known of all of them, behind what is known of one more. */
static enum bus_presence both(enum bus_presence a, enum bus_presence b)
{
	static const uint8_t ranks[] = {
		[BUS_PRESENT_ALL] = 0,
		[BUS_PRESENT_SOME] = 1,
		[BUS_PRESENT_MANY] = 2,
		[BUS_PRESENT_BUSY] = 3,
	};

	return ranks[a] > ranks[b] ? a : b;
}

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

enum bus_presence bus_present(const struct bus *b, struct bus_room room, struct bus_present *p)
{
	enum bus_presence found = BUS_PRESENT_ALL;
	uint64_t slots;

	p->count = p->members = 0;
	if (!bus_room_at(b, room))
		return BUS_PRESENT_ALL;
	slots = atomic_load_explicit(&b->rooms[room.index].members, memory_order_acquire);
	for (int i = 0; slots != 0; i++, slots >>= 1)
		if (slots & 1)
			found = both(found,
				     read_slot(b, i, room.index, found == BUS_PRESENT_ALL, p));
	atomic_thread_fence(memory_order_acquire);
	if (!bus_room_at(b, room))
		p->count = p->members = 0;
	if (found != BUS_PRESENT_ALL)
		p->count = 0;
	if (p->count > 0)
		qsort(p->ids, p->count, sizeof(*p->ids), compare);
	return found;
}
