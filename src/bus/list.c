/*
 * What is to be seen of the bus by who runs it: its rooms with their members, and its figures.
 *
 * Who looks takes no lock and holds nobody up. He may be another than those whom it concerns, so
 * each thing is read once, bounded, and taken for what it was at that moment. A room is read
 * between two looks at its id: a place that was given to another room meanwhile is passed over.
 *
 * Members stand in a row for each worker, a number for each place of the directory. The worker
 * alone writes it, as one joins or leaves; what it says counts only as long as the worker's bit is
 * in the room. The bit goes with the last member, and is taken away in the stead of a worker that died.
 * bus_join stores 0 before it sets the bit, so that a number that was left behind never comes back.
 * Only rows whose bit is set are looked at: memory that is shared is there once it has been read.
 *
 * How old the log's oldest entry is cannot be read from the ring, for where in it an entry begins
 * is known only from what is behind. So the first entry in each 64th of the ring has a mark, and
 * the oldest of those that are not overwritten tells the age.
 */
#include "bus/bus_internal.h"

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define STORE(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)

static uint64_t members_at(const struct bus *b, uint32_t index)
{
	uint64_t slots = atomic_load_explicit(&b->rooms[index].members, memory_order_acquire);
	uint64_t sum = 0;

	for (int i = 0; slots != 0; i++, slots >>= 1)
		if (slots & 1)
			sum += LOAD(*bus_count_of(b, i, index));
	return sum;
}

/* Whether what was just read of a room may be of the next one in its place. */
static bool still_there(const struct bus *b, struct bus_room room)
{
	atomic_thread_fence(memory_order_acquire);
	return bus_room_at(b, room) != NULL;
}

uint64_t bus_members(const struct bus *b, struct bus_room room)
{
	uint64_t members;

	if (!bus_room_at(b, room))
		return 0;
	members = members_at(b, room.index);
	return still_there(b, room) ? members : 0;
}

uint32_t bus_places(const struct bus *b)
{
	uint32_t used = LOAD(b->shared->used);

	return used < b->max_rooms ? used : b->max_rooms;
}

bool bus_list(const struct bus *b, uint32_t place, struct bus_listed *r)
{
	ssize_t len;

	if (place >= bus_places(b))
		return false;
	r->room = (struct bus_room){ .id = LOAD(b->rooms[place].id), .index = place };
	if (!bus_in_use(b, place))
		return false;
	len = bus_name(b, r->room, r->name);
	if (len < 0)
		return false;
	r->name_len = (size_t)len;
	r->sequence = bus_sequence(b, r->room);
	r->members = members_at(b, place);
	bus_keep_list(b, place, r);
	return still_there(b, r->room);
}

static uint64_t part_of(const struct bus *b, uint64_t position)
{
	return position / (b->size / BUS_MARKS);
}

/* Who reads it meanwhile finds that there is none. */
void bus_mark(struct bus *b, uint64_t position, int64_t time)
{
	uint64_t part = part_of(b, position);
	struct bus_mark *m = &b->shared->marks[part % BUS_MARKS];

	STORE(m->position, 0);
	atomic_thread_fence(memory_order_release);
	STORE(m->time, time);
	atomic_store_explicit(&m->position, position, memory_order_release);
	STORE(b->shared->mark_at, (part + 1) * (b->size / BUS_MARKS));
}

/* The position of a mark whose entry is still in the log, and its time; 0: it is not. */
static uint64_t read_mark(const struct bus *b, const struct bus_mark *m, int64_t *time)
{
	uint64_t position = atomic_load_explicit(&m->position, memory_order_acquire);

	*time = LOAD(m->time);
	atomic_thread_fence(memory_order_acquire);
	if (LOAD(m->position) != position || LOAD(b->shared->reserve) - position > b->size)
		return 0;
	return position;
}

static int64_t oldest(const struct bus *b)
{
	uint64_t least = UINT64_MAX;
	int64_t found = 0;

	for (int i = 0; i < BUS_MARKS; i++) {
		int64_t time;
		uint64_t position = read_mark(b, &b->shared->marks[i], &time);

		if (position == 0 || position >= least)
			continue;
		least = position;
		found = time;
	}
	return found;
}

static void look_at_cursors(const struct bus *b, struct bus_figures *f)
{
	uint64_t tail = atomic_load_explicit(&b->shared->tail, memory_order_acquire);

	for (int i = 0; i < SLOTS; i++) {
		uint64_t cursor = LOAD(b->shared->slots[i].cursor);

		f->behind[i] = cursor < tail ? tail - cursor : 0;
		if (f->behind[i] > f->used)
			f->used = f->behind[i];
	}
}

void bus_look(const struct bus *b, struct bus_figures *f)
{
	const uint32_t places = bus_places(b);

	*f = (struct bus_figures){ .size = b->size, .lag = b->lag, .max_rooms = b->max_rooms };
	look_at_cursors(b, f);
	f->oldest = oldest(b);
	f->kept = LOAD(b->keeping->size);
	for (uint32_t i = 0; i < places; i++)
		f->rooms += bus_in_use(b, i);
}

struct bus_group bus_look_at_group(const struct bus *b, uint16_t group)
{
	return (struct bus_group){ .kept = LOAD(b->keeping->kept[group]),
				   .evicted = LOAD(b->keeping->evicted[group]) };
}
