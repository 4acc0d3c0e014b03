/*
 * The bus in one process that plays several workers: what is promised of order, numbers, bounds,
 * back-pressure, wake-ups and the directory, and that no content of the memory is believed.
 */
// links: base bus
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "bus/bus_internal.h"
#include "resident.h"

enum { SIZE = 65536, LAG = 8192, ROOMS = 8, WORKERS = 4, HEAD = sizeof(struct bus_head) };

/* Each worker is a copy of the master's struct, as after a fork; the memory is one. */
struct fixture {
	struct bus *master;
	struct bus worker[WORKERS];
	int wakeups[SLOTS];
};

static int set_up_limits(void **state, const struct bus_limits *l)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	for (int i = 0; i < SLOTS; i++)
		f->wakeups[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	f->master = bus_new(l, f->wakeups);
	assert_non_null(f->master);
	for (int i = 0; i < WORKERS; i++) {
		f->worker[i] = *f->master;
		bus_set_slot(&f->worker[i], i);
	}
	*state = f;
	return 0;
}

static int set_up(void **state)
{
	return set_up_limits(state,
			     &(struct bus_limits){ .size = SIZE, .lag = LAG, .max_rooms = ROOMS });
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	bus_free(f->master);
	for (int i = 0; i < SLOTS; i++)
		close(f->wakeups[i]);
	free(f);
	return 0;
}

static struct bus_room join(struct bus *b, const char *name)
{
	struct bus_room room;
	uint64_t sequence;

	assert_int_equal(bus_join(b, name, strlen(name), NULL, &room, &sequence), BUS_OK);
	return room;
}

static const struct bus_meta message = { .kind = BUS_KIND_MESSAGE };

static enum bus_result append_len(struct bus *b, struct bus_room room, size_t len)
{
	static const char bytes[SIZE];
	struct bus_part part = { bytes, len };

	return bus_append(b, room, &message, &part, 1);
}

static void append_text(struct bus *b, struct bus_room room, const char *text)
{
	struct bus_part part = { text, strlen(text) };

	assert_int_equal(bus_append(b, room, &message, &part, 1), BUS_OK);
}

static bool kicked(struct fixture *f, int slot)
{
	uint64_t count;

	return read(f->wakeups[slot], &count, sizeof(count)) == (ssize_t)sizeof(count);
}

/* Reads and gives up one entry, which must be this one. */
static void expect(struct bus *b, struct bus_room room, uint64_t sequence, const char *text)
{
	struct bus_entry e;

	assert_int_equal(bus_read(b, bus_cursor(b), &e), BUS_OK);
	assert_int_equal(e.room.id, room.id);
	assert_int_equal(e.room.index, room.index);
	assert_int_equal(e.sequence, sequence);
	assert_int_equal(e.frame_len, strlen(text));
	assert_memory_equal(e.frame, text, e.frame_len);
	bus_advance(b, e.end);
}

static void expect_nothing(struct bus *b)
{
	struct bus_entry e;

	assert_int_equal(bus_read(b, bus_cursor(b), &e), BUS_EMPTY);
}

static void skip_all(struct bus *b)
{
	struct bus_entry e;
	enum bus_result result;

	while ((result = bus_read(b, bus_cursor(b), &e)) == BUS_OK)
		bus_advance(b, e.end);
	assert_int_equal(result, BUS_EMPTY);
}

static void skip_one(struct bus *b)
{
	struct bus_entry e;

	assert_int_equal(bus_read(b, bus_cursor(b), &e), BUS_OK);
	bus_advance(b, e.end);
}

/* By somebody who reads all of it, if he has to. */
static void fill(struct bus *b, struct bus_room room)
{
	while (append_len(b, room, 1000) == BUS_OK)
		if (b->joined > 0)
			skip_all(b);
}

/* A bit for each slot that has said to another that it waits for it. */
static uint64_t who_waits(const struct fixture *f)
{
	uint64_t slots = 0;

	for (int i = 0; i < SLOTS; i++)
		slots |= f->master->shared->slots[i].awaited;
	return slots;
}

/* A worker that has died, or left everything, begins anew. */
static void revive(struct fixture *f, int slot)
{
	f->worker[slot] = *f->master;
	bus_set_slot(&f->worker[slot], slot);
}

static void test_limits(void **state)
{
	struct fixture *f = *state;
	struct bus_limits l = { .size = SIZE, .lag = SIZE / 4 + 1, .max_rooms = 1 };
	struct bus *b;

	assert_null(bus_new(&l, f->wakeups));
	assert_int_equal(errno, EINVAL);
	l = (struct bus_limits){ .size = SIZE, .lag = 0, .max_rooms = 1 };
	assert_null(bus_new(&l, f->wakeups));
	l = (struct bus_limits){ .size = SIZE, .lag = 1, .max_rooms = 0 };
	assert_null(bus_new(&l, f->wakeups));
	l = (struct bus_limits){ .size = ((size_t)1 << 32) + 1, .lag = 1, .max_rooms = 1 };
	assert_null(bus_new(&l, f->wakeups));
	assert_int_equal(errno, EINVAL);

	/* Rounded up: a quarter of 128 KiB is allowed. */
	l = (struct bus_limits){ .size = SIZE + 1, .lag = SIZE / 2, .max_rooms = 1 };
	b = bus_new(&l, f->wakeups);
	assert_non_null(b);
	assert_int_not_equal(bus_epoch(b), 0);
	assert_int_not_equal(bus_epoch(b), bus_epoch(f->master));
	bus_free(b);
	bus_free(NULL);
}

static void test_memory_is_sealed_and_mapped_twice(void **state)
{
	struct fixture *f = *state;
	struct bus *b = f->master;

	assert_int_equal(fcntl(b->segment.fd, F_GET_SEALS),
			 F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	assert_int_equal(ftruncate(b->segment.fd, 0), -1);
	assert_string_equal(b->shared->header.magic, "ignyx-bus");
	assert_int_equal(b->shared->header.twice, b->size);
	b->ring[5] = 77;
	assert_int_equal(b->ring[b->size + 5], 77);
	b->ring[2 * b->size - 1] = 78;
	assert_int_equal(b->ring[b->size - 1], 78);
}

static void test_populate(void **state)
{
	struct fixture *f = *state;
	struct bus *b = &f->worker[0];
	struct bus_room room = join(b, "room");
	size_t len = b->meta + b->size, pages = len / (size_t)sysconf(_SC_PAGESIZE);

	append_text(b, room, "before");
	assert_true(resident_pages(b->segment.at, len) < pages);
	assert_int_equal(bus_populate(f->master), 0);
	assert_int_equal(resident_pages(b->segment.at, len), pages);
	/* but of the names and the members only what there are, of one room */
	assert_int_equal(resident_pages(b->names, ROOMS * sizeof(*b->names) +
							  ROOMS * SLOTS * sizeof(*b->counts)),
			 2);
	assert_int_equal(bus_populate(f->master), 0);
	expect(b, room, 1, "before");
}

static void test_order_and_numbers(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *b = &f->worker[1];
	struct bus_room one = join(a, "one"), two = join(a, "two"), same = join(b, "one");
	struct bus_part parts[] = { { "\x81\x05", 2 }, { NULL, 0 }, { "hel", 3 }, { "lo", 2 } };
	const struct bus_meta other = {
		.sender = 99, .time = 1700000000123, .kind = 7, .not_to_sender = true, .json = true
	};
	struct bus_entry e;

	assert_int_equal(one.id, same.id);
	assert_int_equal(one.index, same.index);
	assert_int_not_equal(one.id, two.id);
	assert_int_equal(bus_append(a, one, &other, parts, 4), BUS_OK);
	append_text(b, one, "second");
	append_text(a, two, "other");
	append_text(a, one, "");
	assert_int_equal(bus_sequence(b, one), 3);
	assert_int_equal(bus_sequence(a, two), 1);

	assert_int_equal(bus_read(a, bus_cursor(a), &e), BUS_OK);
	assert_int_equal(e.meta.kind, 7);
	assert_int_equal(e.meta.sender, 99);
	assert_int_equal(e.meta.time, 1700000000123);
	assert_true(e.meta.not_to_sender);
	assert_true(e.meta.json);
	for (int i = 0; i < 2; i++) {
		struct bus *reader = i ? b : a;

		expect(reader, one, 1, "\x81\x05hello");
		expect(reader, one, 2, "second");
		expect(reader, two, 1, "other");
		expect(reader, one, 3, "");
		expect_nothing(reader);
	}
}

/* A lock that is busy is told from one that stands still by how often it was taken. */
static void test_acquisitions_are_counted(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0];
	struct bus_room room = join(a, "room");
	uint64_t before, after;

	assert_int_equal(bus_lock_owner(a, &before), 0);
	for (int i = 0; i < 3; i++)
		append_text(a, room, "x");
	assert_int_equal(bus_lock_owner(a, &after), 0);
	assert_int_equal(after - before, 3);
}

static void test_entries_are_linked_backwards(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0];
	struct bus_room one = join(a, "one"), two = join(a, "two");
	uint64_t position;

	for (int i = 0; i < 10; i++) {
		append_text(a, one, "1");
		append_text(a, two, "2");
	}
	position = a->rooms[one.index].last;
	for (uint64_t sequence = 10; sequence > 0; sequence--) {
		const struct bus_head *head = (const void *)bus_ring_at(a, position);

		assert_int_equal(head->id, one.id);
		assert_int_equal(head->sequence, sequence);
		position = head->previous;
	}
	assert_int_equal(position, 0);
	assert_int_equal(a->shared->reserve, a->shared->tail);
}

/* Lengths of all kinds, so that entries end before, at and behind the ring's end. */
static void test_wrap_around(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *b = &f->worker[1];
	struct bus_room room = join(a, "room");
	static uint8_t bytes[4000];
	struct bus_entry e;

	assert_int_equal(join(b, "room").id, room.id);
	for (uint64_t n = 1; bus_cursor(a) < 40 * (uint64_t)SIZE; n++) {
		size_t len = (size_t)(n * 37 % sizeof(bytes));
		struct bus_part part = { bytes, len };
		const struct bus_meta by = { .sender = n, .kind = BUS_KIND_MESSAGE };

		memset(bytes, (int)(n % 251), len);
		assert_int_equal(bus_append(a, room, &by, &part, 1), BUS_OK);
		for (int i = 0; i < 2; i++) {
			struct bus *reader = i ? b : a;

			assert_int_equal(bus_read(reader, bus_cursor(reader), &e), BUS_OK);
			assert_int_equal(e.sequence, n);
			assert_int_equal(e.meta.sender, n);
			assert_false(e.meta.not_to_sender);
			assert_false(e.meta.json);
			assert_int_equal(e.frame_len, len);
			assert_memory_equal(e.frame, bytes, len);
			bus_advance(reader, e.end);
		}
	}
}

static void test_join_notes_the_sequence(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *b = &f->worker[1];
	struct bus_room room = join(a, "room"), again;
	uint64_t sequence, cursor;

	append_text(a, room, "history");
	append_text(a, room, "history");
	assert_int_equal(bus_join(b, "room", 4, NULL, &again, &sequence), BUS_OK);
	assert_int_equal(sequence, 2);
	append_text(a, room, "live");
	expect(b, room, 3, "live");

	/* A reader's cursor stays when it joins another room. */
	cursor = bus_cursor(a);
	assert_int_equal(bus_join(a, "new", 3, NULL, &again, &sequence), BUS_OK);
	assert_int_equal(sequence, 0);
	assert_int_equal(bus_cursor(a), cursor);
	bus_leave(a, again);
	assert_int_equal(bus_cursor(a), cursor);
	expect(a, room, 1, "history");
}

static void test_last_leave_drops_the_cursor(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *b = &f->worker[1];
	struct bus_room room = join(a, "room");
	uint64_t old = bus_cursor(a), sequence;

	join(b, "room");
	append_text(a, room, "one");
	bus_leave(b, room);
	assert_int_equal(f->master->shared->slots[1].cursor, BUS_NO_CURSOR);
	assert_int_equal(f->master->rooms[room.index].members, 1);
	expect_nothing(b);

	/* The end of a batch that outlived the membership moves nothing, also after a new join. */
	bus_advance(b, bus_cursor(b));
	assert_int_equal(f->master->shared->slots[1].cursor, BUS_NO_CURSOR);
	assert_int_equal(bus_join(b, "room", 4, NULL, &room, &sequence), BUS_OK);
	assert_int_equal(sequence, 1);
	bus_advance(b, old);
	expect_nothing(b);
	append_text(a, room, "two");
	expect(b, room, 2, "two");

	/* To leave a room that one is not in, or that does not exist, is nothing. */
	bus_leave(b, (struct bus_room){ .id = 12345, .index = 0 });
	bus_leave(b, (struct bus_room){ .id = 1, .index = UINT32_MAX });
	append_text(a, room, "three");
	expect(b, room, 3, "three");
}

static void test_full_and_room_again(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *b = &f->worker[1], *c = &f->worker[2];
	struct bus_room room = join(a, "room");
	uint64_t n = 0, unread;

	join(b, "room");
	join(c, "room");
	while (append_len(a, room, 1000) == BUS_OK)
		n++;
	/* The lag counts what is behind the tail before an append. */
	assert_int_equal(n, LAG / (1000 + HEAD) + 1);
	assert_int_equal(append_len(a, room, 0), BUS_FULL);
	assert_int_equal(bus_awaited(f->master), 0);
	assert_false(bus_want_space(a));
	assert_int_equal(bus_awaited(f->master), 7);
	assert_int_equal(bus_sequence(a, room), n);

	skip_all(a);
	assert_true(kicked(f, 0));
	skip_all(b);
	/* Of those who hold it up, only the ones that have not moved. */
	assert_int_equal(bus_awaited(f->master), 4);
	assert_false(kicked(f, 0));
	assert_int_equal(append_len(a, room, 0), BUS_FULL);
	assert_false(bus_want_space(a));
	for (unread = n * (1000 + HEAD); unread > LAG / 2; unread -= 1000 + HEAD) {
		struct bus_entry e;

		assert_false(kicked(f, 0));
		assert_int_equal(bus_read(c, bus_cursor(c), &e), BUS_OK);
		bus_advance(c, e.end);
	}
	assert_true(kicked(f, 0));
	assert_false(kicked(f, 1));
	assert_int_equal(bus_awaited(f->master), 0);
	assert_int_equal(append_len(a, room, 1000), BUS_OK);
	skip_all(c);
	assert_false(kicked(f, 0));
	assert_false(bus_want_space(a));
	assert_int_equal(who_waits(f), 0);
}

/* From the last look to the bus being asked for space, it may have come. */
static void test_space_that_came_meanwhile(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *b = &f->worker[1];
	struct bus_room room = join(a, "room");

	for (int way = 0; way < 3; way++) {
		join(b, "room");
		fill(a, room);
		if (way == 0)
			skip_all(b);
		else if (way == 1)
			bus_leave(b, room);
		else
			bus_clear_slot(f->master, 1);
		assert_true(bus_want_space(a));
		assert_int_equal(who_waits(f), 0);
		assert_false(kicked(f, 0));
		assert_int_equal(append_len(a, room, 1000), BUS_OK);
		/* What was full is forgotten when it is tried anew. */
		while (append_len(a, room, 1000) == BUS_OK)
			continue;
		bus_want_nothing(a);
		assert_false(bus_want_space(a));
		skip_all(a);
		revive(f, 1);
	}

	/* Who did not get the lock does not wait for space: there is nobody to tell of it. */
	assert_int_equal(bus_lock(b, BUS_BRIEFLY), BUS_OK);
	assert_int_equal(append_len(a, room, 1), BUS_FULL);
	bus_unlock(b);
	assert_true(bus_want_space(a));
	assert_false(bus_want_space(a));
}

/* A worker that stands still is nothing to rooms that it is not in, up to what the ring can hold. */
static void test_others_rooms_go_on(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *still = &f->worker[1];
	struct bus_room room = join(a, "room"), both = join(a, "both");
	uint64_t from;

	join(still, "both");
	from = bus_cursor(still);
	append_text(a, both, "unread");
	while (append_len(a, room, 1000 - HEAD) == BUS_OK) {
		assert_true(a->shared->tail - from <= SIZE - SIZE / 4 + 1000);
		skip_all(a);
	}
	/* To the byte: another would have taken the place of the first that is unread. */
	assert_true(a->shared->tail - from > SIZE - SIZE / 4);
	assert_int_equal(append_len(a, both, 1), BUS_FULL);
	bus_want_nothing(a);

	/* It waits for the one that stands still, which has to come to half the ring. */
	assert_int_equal(append_len(a, room, 1), BUS_FULL);
	bus_wake_readers(a);
	assert_false(bus_want_space(a));
	assert_int_equal(bus_awaited(f->master), 2);
	expect(still, both, 1, "unread");
	while (a->shared->tail - bus_cursor(still) > SIZE / 2) {
		assert_int_equal(bus_awaited(f->master), 2);
		assert_false(kicked(f, 0));
		skip_one(still);
	}
	assert_true(kicked(f, 0));
	assert_int_equal(bus_awaited(f->master), 0);
	assert_int_equal(append_len(a, room, 1), BUS_OK);
	/* Its own rooms have nothing unread there, and so may have one message more, but no second. */
	assert_int_equal(append_len(a, both, 1), BUS_OK);
	assert_int_equal(append_len(a, both, 1), BUS_FULL);
}

/* The largest entry behind the largest distance leaves the first byte that is unread, and no more. */
static void test_nothing_unread_is_overwritten(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *still = &f->worker[1];
	struct bus_room room = join(a, "room"), other = join(still, "other");
	const size_t largest = SIZE / 4 - HEAD;
	static char bytes[SIZE];
	uint64_t from;

	memset(bytes, 'u', sizeof(bytes));
	for (size_t less = 0; less <= 16; less += 8) {
		struct bus_part unread = { bytes, SIZE / 4 - HEAD - less },
				part = { bytes, largest };

		skip_all(still);
		from = bus_cursor(still);
		assert_int_equal(bus_append(a, other, &message, &unread, 1), BUS_OK);
		memset(bytes, 'r', sizeof(bytes));
		for (int i = 0; i < 2; i++) {
			skip_all(a);
			assert_int_equal(bus_append(a, room, &message, &part, 1), BUS_OK);
		}
		skip_all(a);
		assert_int_equal(a->shared->tail - from, SIZE / 4 * 3 - less);
		assert_int_equal(bus_append(a, room, &message, &part, 1), BUS_OK);
		skip_all(a);
		assert_int_equal(a->shared->tail - from, SIZE - less);
		assert_int_equal(append_len(a, room, 0), BUS_FULL);
		memset(bytes, 'u', sizeof(bytes));
		bytes[unread.len] = '\0';
		expect(still, other, bus_sequence(a, other), bytes);
		bytes[unread.len] = 'u';
	}
	/* One byte too far behind, and none is taken, however small. */
	skip_all(still);
	from = bus_cursor(still);
	assert_int_equal(append_len(a, other, largest), BUS_OK);
	for (int i = 0; i < 2; i++) {
		skip_all(a);
		assert_int_equal(append_len(a, room, largest), BUS_OK);
	}
	skip_all(a);
	assert_int_equal(append_len(a, room, 0), BUS_OK);
	assert_int_equal(append_len(a, room, 0), BUS_FULL);
	assert_int_equal(a->shared->tail - from, SIZE / 4 * 3 + HEAD);
}

/* Publishers that wait in several rooms: each goes on when its own has space, woken once for it. */
static void test_waiting_in_several_rooms(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *b = &f->worker[1], *c = &f->worker[2], *d = &f->worker[3];
	struct bus_room one = join(b, "one"), two, three;

	two = join(c, "two");
	three = join(d, "three");
	assert_int_equal(append_len(a, one, 8), BUS_OK);
	assert_int_equal(append_len(a, two, 8), BUS_OK);
	/* these two read on a little, which makes the first of them the slowest of all */
	skip_one(c);
	skip_one(d);
	fill(a, three);
	assert_int_equal(append_len(a, one, 8), BUS_FULL);
	assert_int_equal(append_len(a, two, 8), BUS_FULL);
	assert_false(bus_want_space(a));
	assert_int_equal(bus_awaited(f->master), 1 << 1 | 1 << 2 | 1 << 3);

	/* Each as soon as it has read what there was of that room, though it is far behind the tail. */
	skip_one(b);
	assert_true(kicked(f, 0));
	assert_true(a->shared->tail - bus_cursor(b) > LAG);
	assert_int_equal(append_len(a, one, 8), BUS_OK);
	assert_int_equal(append_len(a, two, 8), BUS_FULL);
	assert_int_equal(append_len(a, three, 8), BUS_FULL);
	assert_false(bus_want_space(a));
	assert_int_equal(bus_awaited(f->master), 1 << 2 | 1 << 3);
	skip_all(b);
	assert_false(kicked(f, 0));
	skip_one(c);
	assert_true(kicked(f, 0));
	skip_all(c);
	assert_false(kicked(f, 0));
	skip_all(d);
	assert_true(kicked(f, 0));
	assert_int_equal(who_waits(f), 0);
}

/* Of those that hold up a room the slowest wakes who waits, and the others do not. */
static void test_woken_by_the_slowest(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *b = &f->worker[1], *c = &f->worker[2], *d = &f->worker[3];
	struct bus_room room = join(b, "room");

	join(c, "room");
	join(d, "room");
	fill(a, room);
	skip_one(b);
	skip_one(d);
	assert_int_equal(append_len(a, room, 8), BUS_FULL);
	bus_want_nothing(a);
	assert_int_equal(append_len(a, room, 8), BUS_FULL);
	assert_false(bus_want_space(a));
	assert_int_equal(bus_awaited(f->master), 1 << 1 | 1 << 2 | 1 << 3);
	skip_all(b);
	skip_all(d);
	assert_int_equal(bus_awaited(f->master), 1 << 2);
	assert_false(kicked(f, 0));
	skip_all(c);
	assert_true(kicked(f, 0));
	assert_int_equal(append_len(a, room, 8), BUS_OK);
	assert_false(bus_want_space(a));
	assert_int_equal(who_waits(f), 0);
}

/* Who has left the room holds up nobody there, wherever its cursor is for the sake of others. */
static void test_who_leaves_holds_up_nobody(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *b = &f->worker[1];
	struct bus_room room = join(b, "room");

	join(b, "other");
	fill(a, room);
	assert_false(bus_want_space(a));
	bus_leave(b, room);
	assert_true(kicked(f, 0));
	assert_true(a->shared->tail - bus_cursor(b) > LAG);
	assert_int_equal(append_len(a, room, 8), BUS_OK);

	/* And who joins does at once, as far behind as it is. */
	join(b, "room");
	assert_int_equal(append_len(a, room, 8), BUS_FULL);
}

/* Who waits is also woken when the slow reader leaves, or dies, or is itself. */
static void test_room_again_by_other_ways(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *b = &f->worker[1];
	struct bus_room room = join(a, "room");

	for (int way = 0; way < 3; way++) {
		join(b, "room");
		while (append_len(a, room, 1000) == BUS_OK)
			if (way < 2)
				skip_all(a);
		if (way == 2)
			skip_all(b);
		assert_false(bus_want_space(a));
		assert_false(kicked(f, 0));
		if (way == 0)
			bus_leave(b, room);
		else if (way == 1)
			bus_clear_slot(f->master, 1);
		else
			skip_all(a);
		assert_true(kicked(f, 0));
		assert_int_equal(append_len(a, room, 1000), BUS_OK);
		skip_all(a);
		revive(f, 1);
	}
}

/* Who has read all and cannot pass it on holds up that room, until it says so, or is gone. */
static void test_who_falls_behind_in_a_room(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *b = &f->worker[1];
	struct bus_room room = join(a, "room"), other = join(a, "other");

	for (int way = 0; way < 3; way++) {
		join(b, "other");
		bus_fall_behind(b, join(b, "room"));
		assert_int_equal(append_len(a, other, 10), BUS_OK);
		assert_int_equal(append_len(a, room, 10), BUS_FULL);
		assert_int_equal(append_len(b, room, 10), BUS_FULL);
		assert_false(bus_want_space(a));
		skip_all(a);
		skip_all(b);
		assert_false(kicked(f, 0));
		if (way == 0)
			bus_catch_up(b, room);
		else if (way == 1)
			bus_leave(b, room);
		else
			bus_clear_slot(f->master, 1);
		assert_true(kicked(f, 0));
		assert_int_equal(append_len(a, room, 10), BUS_OK);
		if (way == 2)
			b->joined = 0;
		if (way == 0)
			bus_leave(b, room);
		if (way < 2)
			bus_leave(b, other);
		skip_all(a);
		/* who comes again is behind in nothing */
		join(b, "room");
		assert_int_equal(append_len(a, room, 10), BUS_OK);
		skip_all(a);
		bus_leave(b, room);
	}
}

/* What it says between the look and the waiting is not lost. */
static void test_caught_up_meanwhile(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *b = &f->worker[1];
	struct bus_room room = join(a, "room");

	bus_fall_behind(b, join(b, "room"));
	assert_int_equal(append_len(a, room, 10), BUS_FULL);
	bus_catch_up(b, room);
	assert_true(bus_want_space(a));
	assert_int_equal(append_len(a, room, 10), BUS_OK);
}

static void test_too_big(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0];
	struct bus_room room = join(a, "room");
	static uint8_t bytes[SIZE];
	struct bus_part parts[2] = { { bytes, SIZE / 8 }, { bytes, SIZE / 8 - HEAD } };
	struct bus_part vast[2] = { { bytes, 100 }, { bytes, SIZE_MAX - 50 } };
	struct bus_entry e;

	memset(bytes, 'x', sizeof(bytes));
	assert_int_equal(append_len(a, room, SIZE / 4 - HEAD + 1), BUS_TOO_BIG);
	assert_int_equal(append_len(a, room, SIZE_MAX), BUS_TOO_BIG);
	assert_int_equal(bus_append(a, room, &message, vast, 2), BUS_TOO_BIG);
	assert_int_equal(bus_sequence(a, room), 0);

	/* The largest one, again and again, while another is unread: nothing unread is lost. */
	for (uint64_t n = 1; n < 50; n++) {
		append_text(a, room, "small");
		assert_int_equal(bus_append(a, room, &message, parts, 2), BUS_OK);
		expect(a, room, 2 * n - 1, "small");
		assert_int_equal(bus_read(a, bus_cursor(a), &e), BUS_OK);
		assert_int_equal(e.frame_len, SIZE / 4 - HEAD);
		assert_memory_equal(e.frame, bytes, e.frame_len);
		bus_advance(a, e.end);
	}
}

static void test_names(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0];
	static char name[BUS_ROOM_NAME_MAX + 1];
	struct bus_room longest, shorter, empty, room;
	uint64_t sequence;

	assert_int_equal(bus_join(a, name, sizeof(name), NULL, &room, &sequence), BUS_TOO_BIG);
	assert_int_equal(bus_join(a, name, sizeof(name) - 1, NULL, &longest, &sequence), BUS_OK);
	assert_int_equal(bus_join(a, name, sizeof(name) - 2, NULL, &shorter, &sequence), BUS_OK);
	assert_int_equal(bus_join(a, "", 0, NULL, &empty, &sequence), BUS_OK);
	assert_int_not_equal(longest.id, shorter.id);
	assert_int_not_equal(shorter.id, empty.id);
	assert_int_equal(bus_join(a, name, 0, NULL, &room, &sequence), BUS_OK);
	assert_int_equal(room.id, empty.id);
}

static enum bus_result join_number(struct bus *b, int n, struct bus_room *room)
{
	char name[16];
	uint64_t sequence = 1;
	enum bus_result result;

	snprintf(name, sizeof(name), "%d", n);
	result = bus_join(b, name, strlen(name), NULL, room, &sequence);
	if (result == BUS_OK)
		assert_int_equal(sequence, bus_beginning(b, *room));
	return result;
}

static void test_directory_full(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *b = &f->worker[1];
	struct bus_room rooms[ROOMS], room;

	for (int i = 0; i < ROOMS; i++)
		assert_int_equal(join_number(a, i, &rooms[i]), BUS_OK);
	assert_int_equal(join_number(a, ROOMS, &room), BUS_ROOMS_FULL);
	assert_int_equal(join_number(b, ROOMS, &room), BUS_ROOMS_FULL);
	assert_int_equal(f->master->shared->slots[1].cursor, BUS_NO_CURSOR);
	/* One that exists is joined all the same. */
	assert_int_equal(join_number(b, 3, &room), BUS_OK);
	assert_int_equal(room.id, rooms[3].id);

	/* A room that both have left gives way, though it is not long ago that something was said. */
	bus_leave(a, rooms[3]);
	assert_int_equal(join_number(a, ROOMS, &room), BUS_ROOMS_FULL);
	append_text(b, rooms[3], "first");
	append_text(b, rooms[3], "second");
	bus_leave(b, rooms[3]);
	assert_int_equal(join_number(a, ROOMS, &room), BUS_OK);
	assert_int_equal(room.index, rooms[3].index);
	assert_true(room.id > rooms[ROOMS - 1].id);

	/* The handle to the old room is worth nothing now. */
	assert_int_equal(append_len(a, rooms[3], 1), BUS_GONE);
	assert_int_equal(bus_sequence(a, rooms[3]), 0);
	bus_leave(a, rooms[3]);

	/* No number is given twice to what may have the same name. */
	assert_int_equal(bus_beginning(a, room), 2);
	assert_int_equal(append_len(a, room, 1), BUS_OK);
	assert_int_equal(bus_sequence(a, room), 3);
}

/* Of rooms that nobody is in, the one in which nothing was said for longest is the next to go. */
static void test_the_quietest_gives_way(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0];
	static const int order[] = { 5, 2, 7, 1, 0, 6, 3, 4 };
	struct bus_room rooms[ROOMS], room;

	for (int i = 0; i < ROOMS; i++)
		assert_int_equal(join_number(a, i, &rooms[i]), BUS_OK);
	append_text(a, rooms[3], "said before");
	for (int i = 0; i < ROOMS; i++)
		append_text(a, rooms[order[i]], "kept");
	for (int i = 0; i < ROOMS; i++)
		bus_leave(a, rooms[i]);
	for (int i = 0; i < ROOMS; i++) {
		assert_int_equal(join_number(a, ROOMS + i, &room), BUS_OK);
		assert_int_equal(room.index, rooms[order[i]].index);
	}
	assert_int_equal(join_number(a, 2 * ROOMS, &room), BUS_ROOMS_FULL);
}

/* A room that someone can still recover from the log is found again, with its numbers. */
static void test_room_outlives_its_members(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0];
	struct bus_room room = join(a, "room"), again;
	uint64_t sequence;

	append_text(a, room, "history");
	bus_leave(a, room);
	assert_int_equal(bus_join(a, "room", 4, NULL, &again, &sequence), BUS_OK);
	assert_int_equal(again.id, room.id);
	assert_int_equal(sequence, 1);
}

/* Every room is in the chain of its name once, and no chain has a loop. */
static void check_directory(const struct bus *b)
{
	bool seen[ROOMS] = { false };

	for (uint32_t chain = 0; chain <= b->chain_mask; chain++) {
		for (uint32_t i = b->chains[chain]; i != 0; i = b->rooms[i - 1].next) {
			assert_true(i <= ROOMS);
			assert_false(seen[i - 1]);
			seen[i - 1] = true;
			assert_int_equal(b->rooms[i - 1].hash[0] & b->chain_mask, chain);
		}
	}
}

static void test_rooms_come_and_go(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0];
	struct bus_room held[ROOMS], room;
	uint64_t newest = 0;

	for (int n = 0; n < 5000; n++) {
		int at = n % (ROOMS - 1);

		if (n >= ROOMS - 1)
			bus_leave(a, held[at]);
		assert_int_equal(join_number(a, n, &room), BUS_OK);
		assert_true(room.id > newest);
		newest = room.id;
		held[at] = room;
		check_directory(a);
	}
}

static void expect_name(const struct bus *b, struct bus_room room, const char *name)
{
	char got[BUS_ROOM_NAME_MAX];

	assert_int_equal(bus_name(b, room, got), strlen(name));
	assert_memory_equal(got, name, strlen(name));
}

static void test_rooms_have_their_names(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *b = &f->worker[1];
	struct bus_room one = join(a, "one"), empty = join(a, ""), room;
	char longest[BUS_ROOM_NAME_MAX + 1] = "", got[BUS_ROOM_NAME_MAX];

	memset(longest, 'n', BUS_ROOM_NAME_MAX);
	room = join(a, longest);
	expect_name(b, room, longest);
	expect_name(b, one, "one");
	expect_name(f->master, empty, "");

	/* One that is given up keeps its name until another takes its place. */
	bus_leave(a, one);
	expect_name(b, one, "one");
	for (int n = 0; n < ROOMS - 2; n++)
		assert_int_equal(join_number(a, n, &room), BUS_OK);
	assert_int_equal(room.index, one.index);
	assert_int_equal(bus_name(b, one, got), -1);
	expect_name(b, room, "5");

	/* What cannot be a name is none: another process may have died, or worse. */
	b->names[room.index].len = BUS_ROOM_NAME_MAX + 1;
	assert_int_equal(bus_name(b, room, got), -1);
	b->names[room.index].id = 0;
	assert_int_equal(bus_name(b, (struct bus_room){ 0, room.index }, got), -1);
	assert_int_equal(bus_name(b, (struct bus_room){ 1, ROOMS }, got), -1);
}

/* Who opens a room publishes to its readers, and is none: nothing waits for it. */
static void test_open(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *b = &f->worker[1];
	struct bus_room room = join(b, "room"), opened, fresh;
	static char longer[BUS_ROOM_NAME_MAX + 1];

	assert_int_equal(bus_open(a, "room", 4, NULL, &opened), BUS_OK);
	assert_int_equal(opened.id, room.id);
	assert_int_equal(opened.index, room.index);
	assert_int_equal(f->master->shared->slots[0].cursor, BUS_NO_CURSOR);
	append_text(a, opened, "hello");
	expect(b, room, 1, "hello");
	expect_nothing(a);
	while (bus_cursor(b) < 3 * SIZE) {
		assert_int_equal(append_len(a, opened, 1000), BUS_OK);
		skip_all(b);
	}
	assert_int_equal(bus_open(a, longer, sizeof(longer), NULL, &fresh), BUS_TOO_BIG);

	/* The master, who is in no slot, may open one, and make it. */
	assert_int_equal(bus_open(f->master, "fresh", 5, NULL, &fresh), BUS_OK);
	expect_name(a, fresh, "fresh");
	assert_int_equal(append_len(f->master, fresh, 10), BUS_OK);
	assert_int_equal(bus_sequence(a, fresh), 1);
	assert_int_equal(join(a, "fresh").id, fresh.id);
}

/* A room without readers stays while there is space; then who opened it opens it again. */
static void test_opened_room_is_gone(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *b = &f->worker[1];
	struct bus_room opened, others[ROOMS], again;

	assert_int_equal(bus_open(a, "opened", 6, NULL, &opened), BUS_OK);
	append_text(a, opened, "kept");
	for (int n = 0; n < ROOMS - 1; n++)
		assert_int_equal(join_number(b, n, &others[n]), BUS_OK);
	assert_int_equal(append_len(a, opened, 1), BUS_OK);
	assert_int_equal(join_number(b, ROOMS, &again), BUS_OK);
	assert_int_equal(again.index, opened.index);
	assert_int_equal(append_len(a, opened, 1), BUS_GONE);
	assert_int_equal(bus_sequence(a, opened), 0);
	assert_int_equal(bus_open(a, "opened", 6, NULL, &opened), BUS_ROOMS_FULL);
	bus_leave(b, again);
	assert_int_equal(bus_open(a, "opened", 6, NULL, &opened), BUS_OK);
	assert_int_equal(bus_beginning(a, opened), 2);
	assert_int_equal(append_len(a, opened, 1), BUS_OK);
	assert_int_equal(bus_sequence(a, opened), 3);
}

static void test_clear_slot(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *b = &f->worker[1], *c = &f->worker[2];
	struct bus_room one = join(a, "one"), two = join(a, "two");

	join(b, "two");
	while (append_len(a, one, 1000) == BUS_OK)
		continue;
	assert_int_equal(append_len(b, one, 1000), BUS_FULL);
	assert_int_equal(append_len(a, two, 1), BUS_OK);
	assert_int_equal(append_len(a, two, 1), BUS_FULL);
	assert_int_equal(append_len(c, two, 1), BUS_FULL);
	assert_false(bus_want_space(a));
	assert_false(bus_want_space(b));
	assert_false(bus_want_space(c));
	assert_int_equal(bus_awaited(f->master), 3);
	assert_int_equal(who_waits(f), 7);
	assert_true(bus_sleep(b));
	f->master->shared->slots[0].sleeping = 1;
	bus_clear_slot(f->master, 0);
	assert_int_equal(f->master->shared->slots[0].cursor, BUS_NO_CURSOR);
	assert_int_equal(f->master->shared->slots[0].sleeping, 0);
	/* Who waited for it is told; of it nothing is left with those that it waited for. */
	assert_true(kicked(f, 1));
	assert_true(kicked(f, 2));
	assert_int_equal(who_waits(f), 4);
	assert_int_equal(f->master->rooms[one.index].members, 0);
	assert_int_equal(f->master->rooms[two.index].members, 2);
}

static void test_wakes_members_that_sleep(void **state)
{
	struct fixture *f = *state;
	struct bus *w = f->worker;
	struct bus_room room = join(&w[0], "room");

	join(&w[1], "room");
	join(&w[2], "room");
	join(&w[3], "other");
	assert_false(bus_sleep(&w[1]));
	assert_false(bus_sleep(&w[3]));
	append_text(&w[0], room, "hello");
	assert_false(kicked(f, 1));
	w[0].shared->slots[0].sleeping = 1;
	bus_wake_readers(&w[0]);
	assert_true(kicked(f, 1));
	assert_false(kicked(f, 0));
	assert_false(kicked(f, 2));
	assert_false(kicked(f, 3));

	/* Once: the next turn wrote nothing, and who is awake needs no kick. */
	bus_wake_readers(&w[0]);
	append_text(&w[0], room, "again");
	bus_wake_readers(&w[0]);
	assert_false(kicked(f, 1));

	/* Something to read: no sleep. Nothing: sleep, until awake. */
	assert_true(bus_sleep(&w[2]));
	skip_all(&w[2]);
	assert_false(bus_sleep(&w[2]));
	bus_awake(&w[2]);
	append_text(&w[0], room, "and again");
	bus_wake_readers(&w[0]);
	assert_false(kicked(f, 2));
}

/* Every write is a wake-up, though nobody reads them: also when the counter takes no more. */
static void test_wakes_whatever_the_count(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *b = &f->worker[1];
	struct bus_room room = join(a, "room");
	const uint64_t counts[] = { 0, 7, UINT64_MAX - 2, UINT64_MAX - 1 };
	struct epoll_event e = { .events = EPOLLIN | EPOLLET };
	int set = epoll_create1(EPOLL_CLOEXEC);
	uint64_t had;

	join(b, "room");
	assert_true(set >= 0);
	assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, f->wakeups[1], &e), 0);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		if (read(f->wakeups[1], &had, sizeof(had)) < 0)
			assert_int_equal(errno, EAGAIN);
		if (counts[i] > 0)
			assert_int_equal(write(f->wakeups[1], &counts[i], 8), 8);
		while (epoll_wait(set, &e, 1, 0) > 0)
			continue;
		for (int n = 0; n < 3; n++) {
			skip_all(b);
			assert_false(bus_sleep(b));
			append_text(a, room, "hello");
			bus_wake_readers(a);
			assert_int_equal(epoll_wait(set, &e, 1, 1000), 1);
			assert_int_equal(epoll_wait(set, &e, 1, 0), 0);
		}
		/* and as the master wakes */
		bus_wake(f->master, 1);
		assert_int_equal(epoll_wait(set, &e, 1, 1000), 1);
	}
	close(set);
}

/* Who begins to look finds what came before. */
static void test_first_edge(void **state)
{
	struct fixture *f = *state;
	struct epoll_event e = { .events = EPOLLIN | EPOLLET };
	int set = epoll_create1(EPOLL_CLOEXEC);

	assert_true(set >= 0);
	bus_wake(f->master, 1);
	assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, f->wakeups[1], &e), 0);
	assert_int_equal(epoll_wait(set, &e, 1, 0), 1);
	close(set);
}

static void test_worker_without_rooms_sleeps(void **state)
{
	struct fixture *f = *state;
	struct bus_room room = join(&f->worker[0], "room");

	append_text(&f->worker[0], room, "hello");
	assert_false(bus_sleep(&f->worker[1]));
}

/* A worker of quiet rooms that sleeps must not be what fills the log. */
static void test_wakes_who_holds_the_log_up(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *quiet = &f->worker[1];
	struct bus_room room = join(a, "busy");
	enum bus_result result;

	join(quiet, "quiet");
	assert_false(bus_sleep(quiet));
	do {
		result = append_len(a, room, 500);
		skip_all(a);
		bus_wake_readers(a);
	} while (result == BUS_OK && !kicked(f, 1));
	assert_int_equal(result, BUS_OK);
	assert_true(a->shared->tail - bus_cursor(quiet) < LAG / 2);

	/* And when one entry was enough to fill it. */
	skip_all(quiet);
	assert_false(bus_sleep(quiet));
	assert_int_equal(append_len(a, room, LAG + 100), BUS_OK);
	assert_int_equal(append_len(a, room, 1), BUS_FULL);
	bus_wake_readers(a);
	assert_true(kicked(f, 1));
}

/* Each of the fields that a reader uses, made impossible. */
static void test_corrupt_entries(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0];
	struct bus_room room = join(a, "room");
	uint64_t at = bus_cursor(a), tail;
	struct bus_head *head = (void *)bus_ring_at(a, at), good;
	struct bus_entry e;

	append_text(a, room, "hello");
	tail = a->shared->tail;
	good = *head;
#define CORRUPT(field, value)                                                                      \
	do {                                                                                       \
		head->field = (value);                                                             \
		assert_int_equal(bus_read(a, at, &e), BUS_CORRUPT);                                \
		*head = good;                                                                      \
		assert_int_equal(bus_read(a, at, &e), BUS_OK);                                     \
	} while (0)
	CORRUPT(id, 0);
	CORRUPT(sequence, 0);
	CORRUPT(previous, at);
	CORRUPT(index, ROOMS);
	CORRUPT(index, UINT32_MAX);
	CORRUPT(check, good.check + 8);
	CORRUPT(frame_len, 9);
	CORRUPT(frame_len, UINT32_MAX);
	CORRUPT(frame_len, UINT32_MAX - sizeof(good) - 6);
#undef CORRUPT
	assert_int_equal(bus_read(a, at + 1, &e), BUS_CORRUPT);
	assert_int_equal(bus_read(a, at + 8, &e), BUS_CORRUPT);
	assert_int_equal(bus_read(a, tail + 8, &e), BUS_CORRUPT);
	assert_int_equal(bus_read(a, tail - 8, &e), BUS_CORRUPT);
	assert_int_equal(bus_read(a, BUS_NO_CURSOR, &e), BUS_CORRUPT);
	a->shared->tail = tail + 1;
	assert_int_equal(append_len(a, room, 1), BUS_CORRUPT);
	a->shared->tail = at + 10 * SIZE;
	assert_int_equal(bus_read(a, at, &e), BUS_CORRUPT);
	assert_int_equal(append_len(a, room, 1), BUS_CORRUPT);
}

static void test_corrupt_directory(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0];
	struct bus_room room = join(a, "room");
	uint64_t sequence;

	a->rooms[room.index].next = room.index + 1;
	assert_int_equal(bus_join(a, "room", 4, NULL, &room, &sequence), BUS_OK);
	for (uint32_t chain = 0; chain <= a->chain_mask; chain++)
		a->chains[chain] = room.index + 1;
	assert_int_equal(bus_join(a, "other", 5, NULL, &room, &sequence), BUS_CORRUPT);
	for (uint32_t chain = 0; chain <= a->chain_mask; chain++)
		a->chains[chain] = ROOMS + 1;
	assert_int_equal(bus_join(a, "other", 5, NULL, &room, &sequence), BUS_CORRUPT);
	memset((void *)a->chains, 0, (a->chain_mask + 1) * sizeof(uint32_t));
	a->shared->used = UINT32_MAX;
	assert_int_equal(bus_join(a, "other", 5, NULL, &room, &sequence), BUS_CORRUPT);
	assert_int_equal(append_len(a, (struct bus_room){ .id = 1, .index = ROOMS }, 1), BUS_GONE);
}

static void use_everything(struct bus *b, struct bus_room room, unsigned *seed, int n)
{
	static struct bus_entry entries[100];
	static uint8_t bytes[SIZE];
	struct bus_past past = { entries, 100, 0, bytes, sizeof(bytes), 0, 0, 0 };
	struct bus_room other;
	struct bus_entry e;
	uint64_t sequence;

	if (append_len(b, room, (size_t)rand_r(seed) % 3000) == BUS_OK &&
	    bus_read(b, bus_cursor(b), &e) == BUS_OK) {
		assert_true(e.frame >= b->ring && e.frame < b->ring + 2 * b->size);
		assert_true(e.frame_len <= (size_t)(b->ring + 2 * b->size - e.frame));
	}
	bus_advance(b, b->shared->tail);
	if (bus_join(b, (const char *)&n, 1, NULL, &other, &sequence) == BUS_OK)
		bus_leave(b, other);
	if (bus_history(b, room, UINT64_MAX, &past) == BUS_OK)
		assert_true(past.first <= past.most && past.used <= past.size);
	bus_redo_newest(b);
	bus_sequence(b, room);
	if (!bus_sleep(b))
		bus_awake(b);
	bus_want_space(b);
	bus_wake_readers(b);
}

/*
 * Whatever is in the memory (but the mutex, which is glibc's), nothing outside of it is touched
 * and every call returns. What they return does not matter here.
 */
static void test_random_scribbles(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0];
	struct bus_room room = join(a, "room");
	uint64_t *words = (uint64_t *)&a->shared->tail;
	size_t count = (a->meta + a->size - offsetof(struct bus_shared, tail)) / sizeof(*words);
	unsigned seed = 4711;

	for (int n = 0; n < 10000; n++) {
		size_t at = (size_t)rand_r(&seed) % (n % 2 ? 64 : count);

		words[at] = (uint64_t)rand_r(&seed) << (rand_r(&seed) % 40);
		use_everything(a, room, &seed, n);
		bus_clear_slot(f->master, n % SLOTS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define BUS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		BUS_TEST(test_limits),
		BUS_TEST(test_memory_is_sealed_and_mapped_twice),
		BUS_TEST(test_populate),
		BUS_TEST(test_order_and_numbers),
		BUS_TEST(test_acquisitions_are_counted),
		BUS_TEST(test_entries_are_linked_backwards),
		BUS_TEST(test_wrap_around),
		BUS_TEST(test_join_notes_the_sequence),
		BUS_TEST(test_last_leave_drops_the_cursor),
		BUS_TEST(test_full_and_room_again),
		BUS_TEST(test_space_that_came_meanwhile),
		BUS_TEST(test_others_rooms_go_on),
		BUS_TEST(test_nothing_unread_is_overwritten),
		BUS_TEST(test_waiting_in_several_rooms),
		BUS_TEST(test_woken_by_the_slowest),
		BUS_TEST(test_who_leaves_holds_up_nobody),
		BUS_TEST(test_room_again_by_other_ways),
		BUS_TEST(test_who_falls_behind_in_a_room),
		BUS_TEST(test_caught_up_meanwhile),
		BUS_TEST(test_too_big),
		BUS_TEST(test_names),
		BUS_TEST(test_directory_full),
		BUS_TEST(test_the_quietest_gives_way),
		BUS_TEST(test_room_outlives_its_members),
		BUS_TEST(test_rooms_come_and_go),
		BUS_TEST(test_rooms_have_their_names),
		BUS_TEST(test_open),
		BUS_TEST(test_opened_room_is_gone),
		BUS_TEST(test_clear_slot),
		BUS_TEST(test_wakes_members_that_sleep),
		BUS_TEST(test_wakes_whatever_the_count),
		BUS_TEST(test_first_edge),
		BUS_TEST(test_worker_without_rooms_sleeps),
		BUS_TEST(test_wakes_who_holds_the_log_up),
		BUS_TEST(test_corrupt_entries),
		BUS_TEST(test_corrupt_directory),
		BUS_TEST(test_random_scribbles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
