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
 * The name of a member's user stands apart from its row, in a place of the same number, and how long it
 * is in another: so memory for names is there only where there are some, for whoever reads it first
 * sees that there is one. Names change within the same count, and are copied.
 *
 * Behind each change `changes` moves, of the room and of all rooms; for a worker that died it is
 * moved in its stead in all rooms that have its bit. So the bit is there before the first change, and a
 * worker's last is said before it is taken away.
 *
 * Whoever reads believes nothing: a chain is followed for as many steps as its worker has members, no
 * more than there is space for, and each step leads to a row that there is. Names are bounded as they
 * are copied, and checked when they are whole; what cannot be one is none.
 */
#include "bus/presence.h"

#include <assert.h>
#include <string.h>

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

/* Of a row. */
static struct bus_user *user_of(const struct bus *b, const struct bus_row *r)
{
	return &b->users[r - b->rows];
}

static _Atomic uint8_t *user_len_of(const struct bus *b, const struct bus_row *r)
{
	return &b->user_lens[r - b->rows];
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

/* NULL: it has none; memory that was not touched stays so. */
static void set_user(struct bus *b, const struct bus_row *r, const char *user)
{
	const size_t len = user ? strnlen(user, BUS_USER_MAX + 1) : 0;
	const uint8_t used = len > BUS_USER_MAX ? 0 : (uint8_t)len;

	for (size_t at = 0; at < used; at += sizeof(uint64_t)) {
		uint64_t word = 0;

		memcpy(&word, user + at, used - at < sizeof(word) ? used - at : sizeof(word));
		STORE(user_of(b, r)->words[at / sizeof(word)], word);
	}
	if (LOAD(*user_len_of(b, r)) != used)
		STORE(*user_len_of(b, r), used);
}

static uint32_t link_row(struct bus *b, uint32_t index, uint64_t id, const char *user)
{
	_Atomic uint32_t *head = head_of(b, b->slot, index);
	uint32_t number = take_row(b);
	struct bus_row *r = row_at(b, b->slot, number), *second = row_at(b, b->slot, LOAD(*head));

	if (!r)
		return 0;
	STORE(r->id, id);
	set_user(b, r, user);
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

uint32_t bus_come(struct bus *b, struct bus_room room, uint32_t members, uint64_t id,
		  const char *user)
{
	uint32_t place;

	assert(b->slot >= 0);
	if (!bus_room_at(b, room))
		return 0;
	begin(b);
	STORE(*bus_count_of(b, b->slot, room.index), members);
	place = id != 0 ? link_row(b, room.index, id, user) : 0;
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

/* The place for the name of the one that is the n-th in the caller's list. */
static char *name_at(const struct bus_present *p, size_t n)
{
	return p->names + n * BUS_USER_MAX;
}

/* Of its name as much as there may be: it may be changing. */
static void copy_user(const struct bus *b, const struct bus_row *r, char *name, struct bus_who *who)
{
	const uint8_t len = LOAD(*user_len_of(b, r));

	if (len == 0 || len > BUS_USER_MAX)
		return;
	for (size_t at = 0; at < len; at += sizeof(uint64_t)) {
		const uint64_t word = LOAD(user_of(b, r)->words[at / sizeof(word)]);

		memcpy(name + at, &word, sizeof(word));
	}
	who->user = name;
	who->user_len = len;
}

/* Those of one worker, behind the others. */
static enum bus_presence follow(const struct bus *b, int slot, uint32_t index, uint32_t members,
				struct bus_present *p)
{
	uint32_t number = LOAD(*head_of(b, slot, index));
	const struct bus_row *r;

	for (uint32_t steps = 0; steps < members; steps++, p->count++) {
		struct bus_who *who = &p->who[p->count];

		if (!(r = row_at(b, slot, number)))
			return BUS_PRESENT_SOME;
		*who = (struct bus_who){ .key = LOAD(r->id) };
		copy_user(b, r, name_at(p, p->count), who);
		p->looked++;
		if (!who->user && ++p->connections > p->most)
			return BUS_PRESENT_MANY;
		number = LOAD(r->next);
	}
	return BUS_PRESENT_ALL;
}

/* list: as far as none was missed before. */
static enum bus_presence look(const struct bus *b, int slot, uint32_t index, bool list,
			      struct bus_present *p)
{
	uint32_t members = LOAD(*bus_count_of(b, slot, index));

	p->members += members;
	if (p->members > p->size)
		return BUS_PRESENT_MANY;
	return list ? follow(b, slot, index, members, p) : BUS_PRESENT_ALL;
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

enum bus_presence bus_present(const struct bus *b, struct bus_room room, struct bus_present *p)
{
	enum bus_presence found = BUS_PRESENT_ALL;
	uint64_t slots;

	p->count = p->users = p->looked = p->connections = 0;
	p->members = 0;
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
	if (found == BUS_PRESENT_ALL) {
		bus_who_name(b, p);
		bus_who_sort(p);
		found = p->count > p->most ? BUS_PRESENT_MANY : BUS_PRESENT_ALL;
	}
	if (found != BUS_PRESENT_ALL)
		p->count = 0;
	return found;
}
