/*
 * What rooms keep, rule by rule. A random test is in test_bus_kept_model, who dies over it in
 * test_bus_keep_step.
 */
// links: base bus
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "test_bus_check.h"

enum { SIZE = 65536, LAG = 16384, QUARTER = SIZE / 4, ROOMS = 8, HEAD = sizeof(struct bus_head) };
enum { NOW = 50000, MANY = 200, FILLER = 1000 };

struct fixture {
	struct bus *author;
	struct bus reader, third;
	int wakeups[SLOTS];
	struct bus_room busy; /* keeps nothing */
	struct bus_entry entries[MANY];
	uint8_t bytes[SIZE];
	struct bus_past past;
};

static struct bus_room open_room(struct bus *b, const char *name, const struct bus_keep *keep)
{
	struct bus_room room;

	assert_int_equal(bus_open(b, name, strlen(name), keep, &room), BUS_OK);
	return room;
}

static int set_up(void **state)
{
	struct bus_limits l = { .size = SIZE, .lag = LAG, .max_rooms = ROOMS };
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	bus_check_open(f->wakeups);
	f->author = bus_new(&l, f->wakeups);
	assert_non_null(f->author);
	f->reader = f->third = *f->author;
	bus_set_slot(f->author, 0);
	bus_set_slot(&f->reader, 1);
	bus_set_slot(&f->third, 2);
	f->busy = open_room(f->author, "busy", NULL);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	assert_null(bus_check_keeping(f->author));
	bus_free(f->author);
	bus_check_close(f->wakeups);
	free(f);
	return 0;
}

static enum bus_result try_at(struct bus *b, struct bus_room room, size_t len, int64_t time)
{
	static uint8_t bytes[QUARTER];
	const struct bus_meta meta = { .sender = bus_sequence(b, room) + 7,
				       .time = time,
				       .kind = (uint16_t)(1 + bus_sequence(b, room) % 3) };
	struct bus_part part = { bytes, len };

	memset(bytes, (int)(bus_sequence(b, room) + 1), len);
	return bus_append(b, room, &meta, &part, 1);
}

static void say_at(struct bus *b, struct bus_room room, size_t len, int64_t time)
{
	enum bus_result result;
	int tries = 0;

	while ((result = try_at(b, room, len, time)) == BUS_FULL) {
		assert_true(bus_want_space(b));
		assert_true(++tries < 100);
	}
	assert_int_equal(result, BUS_OK);
}

static void say(struct bus *b, struct bus_room room, size_t len)
{
	say_at(b, room, len, NOW);
}

/* Other rooms' messages, as many as take the ring so often. */
static void come_round(struct fixture *f, unsigned times)
{
	uint64_t until = f->author->shared->tail + (uint64_t)times * SIZE;

	while (f->author->shared->tail < until)
		say(f->author, f->busy, FILLER);
}

static enum bus_result look(struct fixture *f, struct bus_room room, uint64_t after, int64_t now)
{
	f->past = (struct bus_past){ .entries = f->entries,
				     .most = MANY,
				     .space = f->bytes,
				     .size = sizeof(f->bytes),
				     .after = after,
				     .now = now };
	return bus_history(f->author, room, UINT64_MAX, &f->past);
}

/* A room shows these numbers, and all of each entry is as it was said. */
static void expect(struct fixture *f, struct bus_room room, uint64_t first, uint64_t last)
{
	enum bus_result result = look(f, room, 0, NOW);

	assert_int_equal(result, first == 1 ? BUS_OK : BUS_EMPTY);
	assert_int_equal(f->past.most - f->past.first, last + 1 - first);
	for (size_t i = f->past.first; i < f->past.most; i++) {
		const struct bus_entry *e = &f->entries[i];

		assert_int_equal(e->sequence, first++);
		assert_int_equal(e->room.id, room.id);
		assert_int_equal(e->meta.sender, e->sequence + 6);
		assert_int_equal(e->meta.kind, 1 + (e->sequence - 1) % 3);
		for (size_t n = 0; n < e->frame_len; n++)
			assert_int_equal(e->frame[n], (uint8_t)e->sequence);
	}
}

static void expect_nothing(struct fixture *f, struct bus_room room)
{
	uint64_t last = bus_sequence(f->author, room);

	expect(f, room, last + 1, last);
}

static void test_kept_whatever_others_say(void **state)
{
	static const struct bus_keep five = { .messages = 5, .bytes = LAG / 4 };
	struct fixture *f = *state;
	struct bus_room room = open_room(f->author, "quiet", &five);

	for (int n = 0; n < 7; n++)
		say(f->author, room, 100);
	expect(f, room, 3, 7);
	for (int n = 0; n < 20; n++) {
		come_round(f, 1);
		expect(f, room, 3, 7);
	}
	/* the numbers go on, and what was carried leaves as if it had not been */
	for (uint64_t n = 8; n < 20; n++) {
		say(f->author, room, 50);
		expect(f, room, n - 4, n);
		come_round(f, 1);
	}
	assert_int_equal(bus_look_at_group(f->author, 0).evicted, 0);
}

static void test_count_and_bytes(void **state)
{
	static const struct bus_keep one = { .messages = 1, .bytes = 1000 },
				     bytes = { .messages = UINT32_MAX, .bytes = 3 * (HEAD + 104) },
				     least = { .messages = 10, .bytes = HEAD },
				     none = { .messages = 10 }, nothing = { .bytes = 1000 };
	struct fixture *f = *state;
	struct bus_room room = open_room(f->author, "one", &one);
	struct bus_room by_bytes = open_room(f->author, "bytes", &bytes);
	struct bus_room by_head = open_room(f->author, "least", &least);

	for (int n = 0; n < 3; n++) {
		say(f->author, room, 936);
		say(f->author, by_bytes, 97 + (size_t)n);
		say(f->author, by_head, 0);
	}
	come_round(f, 2);
	expect(f, room, 3, 3);
	expect(f, by_bytes, 1, 3);
	expect(f, by_head, 3, 3);
	say(f->author, by_bytes, 104);
	expect(f, by_bytes, 2, 4);
	say(f->author, by_bytes, 105);
	expect(f, by_bytes, 4, 5);
	/* one that is too large by itself takes all others with it */
	say(f->author, room, 937);
	expect_nothing(f, room);
	say(f->author, by_bytes, 600);
	expect_nothing(f, by_bytes);
	say(f->author, by_bytes, 1);
	expect(f, by_bytes, 7, 7);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(bus_set_keep(f->author, by_head, i ? &nothing : &none), BUS_OK);
		say(f->author, by_head, 0);
		expect_nothing(f, by_head);
	}
	/* at most a quarter of lag */
	room = open_room(f->author, "much",
			 &(struct bus_keep){ .messages = 100, .bytes = UINT32_MAX });
	for (int n = 0; n < 10; n++)
		say(f->author, room, LAG / 16 - HEAD);
	expect(f, room, 7, 10);
}

/* Many small ones that a large one replaces leave in portions, but none of them is shown. */
static void test_many_leave_at_once(void **state)
{
	static const struct bus_keep keep = { .messages = 100, .bytes = 4000 };
	struct fixture *f = *state;
	struct bus_room room = open_room(f->author, "room", &keep);
	const struct bus_dir_keep *k = &f->author->keeping->rooms[room.index];

	for (int n = 0; n < 50; n++)
		say(f->author, room, 8);
	say(f->author, room, 3960 - HEAD);
	expect(f, room, 51, 51);
	assert_int_equal(k->count, 51 - 8);
	come_round(f, 2);
	expect(f, room, 51, 51);
	assert_int_equal(k->count, 1);
	assert_int_equal(bus_look_at_group(f->author, 0).evicted, 0);
}

static void test_time(void **state)
{
	static const struct bus_keep keep = { .messages = 9, .bytes = LAG / 4, .ttl = 10 };
	struct fixture *f = *state;
	struct bus_room room = open_room(f->author, "room", &keep);
	const struct bus_dir_keep *k = &f->author->keeping->rooms[room.index];

	for (int n = 0; n < 5; n++)
		say_at(f->author, room, 8, NOW + n * 1000);
	look(f, room, 0, NOW + 10000);
	assert_int_equal(f->past.most - f->past.first, 5);
	look(f, room, 0, NOW + 10001);
	assert_int_equal(f->past.most - f->past.first, 4);
	/* a clock that was set back shows what there is */
	look(f, room, 0, NOW - 1000000);
	assert_int_equal(f->past.most - f->past.first, 5);
	/* it is not carried, by the time of who appends */
	for (int n = 0; n < 5 * SIZE && k->count > 3; n += FILLER)
		say_at(f->author, f->busy, FILLER, NOW + 11500);
	assert_int_equal(k->count, 3);
	assert_int_equal(bus_carry(f->author, NOW + 13001, 0), BUS_OK);
	assert_int_equal(k->count, 1);
	look(f, room, 0, NOW);
	assert_int_equal(f->past.most - f->past.first, 1);
	/* a room of which all is over is free, when its entries are overwritten */
	assert_int_equal(bus_carry(f->author, NOW + 14001, 0), BUS_OK);
	assert_int_equal(f->author->keeping->size, 0);
	come_round(f, 2);
	assert_int_equal(bus_find(f->author, "room", 4, &room), BUS_GONE);
	assert_int_equal(bus_look_at_group(f->author, 0).evicted, 0);
}

static void test_since(void **state)
{
	static const struct bus_keep keep = { .messages = 4, .bytes = LAG / 4 };
	struct fixture *f = *state;
	struct bus_room room = open_room(f->author, "room", &keep);

	assert_int_equal(look(f, room, 0, NOW), BUS_OK);
	for (int n = 0; n < 10; n++)
		say(f->author, room, 10);
	for (int carried = 0; carried < 2; carried++) {
		for (uint64_t after = 0; after < 13; after++) {
			uint64_t first = after < 6 ? 7 : after < 10 ? after + 1 : 11;

			assert_int_equal(look(f, room, after, NOW), after < 6 ? BUS_EMPTY : BUS_OK);
			assert_int_equal(f->past.most - f->past.first, 11 - first);
		}
		/* of all that is in the log, also what is not kept */
		assert_int_equal(look(f, room, 3, 0), carried ? BUS_EMPTY : BUS_OK);
		assert_int_equal(f->past.most - f->past.first, carried ? 4 : 7);
		come_round(f, 1);
	}
	/* as many as there is space for, counted from the newest */
	f->past = (struct bus_past){ f->entries, 2, 0, f->bytes, SIZE, 0, 6, NOW };
	assert_int_equal(bus_history(f->author, room, UINT64_MAX, &f->past), BUS_OK);
	assert_int_equal(f->entries[0].sequence, 9);
	f->past = (struct bus_past){ f->entries, MANY, 0, f->bytes, SIZE, 0, 7, NOW };
	assert_int_equal(bus_history(f->author, room, 9, &f->past), BUS_OK);
	assert_int_equal(f->past.most - f->past.first, 2);
	assert_int_equal(f->entries[MANY - 1].sequence, 9);
	/* a room that keeps nothing has no history */
	assert_int_equal(look(f, f->busy, 0, NOW), BUS_EMPTY);
	assert_int_equal(f->past.first, MANY);
}

static void test_forget(void **state)
{
	static const struct bus_keep keep = { .messages = 4, .bytes = LAG / 4, .group = 9 };
	struct fixture *f = *state;
	struct bus_room room = open_room(f->author, "room", &keep);

	for (int n = 0; n < 6; n++)
		say(f->author, room, 10);
	assert_int_equal(bus_look_at_group(f->author, 9).kept, 4 * (HEAD + 16));
	assert_int_equal(bus_forget(f->author, room), BUS_OK);
	expect_nothing(f, room);
	assert_int_equal(look(f, room, 5, NOW), BUS_EMPTY);
	assert_int_equal(look(f, room, 6, NOW), BUS_OK);
	assert_int_equal(bus_look_at_group(f->author, 9).kept, 0);
	assert_int_equal(bus_look_at_group(f->author, 9).evicted, 0);
	say(f->author, room, 10);
	expect(f, room, 7, 7);
	assert_int_equal(bus_forget(f->author, f->busy), BUS_OK);
	room.id++;
	assert_int_equal(bus_forget(f->author, room), BUS_GONE);
	assert_int_equal(bus_set_keep(f->author, room, &keep), BUS_GONE);
}

static void test_set_keep(void **state)
{
	static const struct bus_keep some = { .messages = 4, .bytes = LAG / 4, .group = 1 },
				     fewer = { .messages = 2, .bytes = LAG / 4, .group = 1 },
				     others = { .messages = 4, .bytes = LAG / 4, .group = 2 },
				     nothing = { .group = 3 };
	struct fixture *f = *state;
	struct bus_room room = open_room(f->author, "room", NULL), same;
	uint64_t sequence;

	/* what was said before is not kept */
	say(f->author, room, 10);
	assert_int_equal(bus_join(&f->reader, "room", 4, &some, &same, &sequence), BUS_OK);
	expect_nothing(f, room);
	for (int n = 0; n < 4; n++)
		say(f->author, room, 10);
	expect(f, room, 2, 5);
	/* who says nothing of it leaves it as it is, and so does who leaves the room, or dies */
	open_room(f->author, "room", NULL);
	bus_leave(&f->reader, room);
	bus_clear_slot(f->author, 1);
	come_round(f, 2);
	assert_int_equal(bus_find(f->author, "room", 4, &same), BUS_OK);
	assert_int_equal(same.id, room.id);
	expect(f, room, 2, 5);
	open_room(f->author, "room", &fewer);
	expect(f, room, 4, 5);
	say(f->author, room, 10);
	expect(f, room, 5, 6);
	assert_int_equal(bus_look_at_group(f->author, 1).kept, 2 * (HEAD + 16));
	assert_int_equal(bus_set_keep(f->author, room, &others), BUS_OK);
	assert_int_equal(bus_look_at_group(f->author, 1).kept, 0);
	assert_int_equal(bus_look_at_group(f->author, 2).kept, 2 * (HEAD + 16));
	say(f->author, room, 10);
	expect(f, room, 5, 7);
	assert_int_equal(bus_set_keep(f->author, room, &nothing), BUS_OK);
	expect_nothing(f, room);
	assert_int_equal(bus_look_at_group(f->author, 2).kept, 0);
	assert_int_equal(f->author->keeping->keepers, 0);
	say(f->author, room, 10);
	assert_int_equal(bus_set_keep(f->author, room, &some), BUS_OK);
	expect_nothing(f, room);
}

/* Members get each message once: what is carried has a kind of its own for them. */
static void test_readers_of_what_is_new(void **state)
{
	static const struct bus_keep keep = { .messages = 4, .bytes = LAG / 4 };
	struct fixture *f = *state;
	uint64_t sequence, seen = 0, again = 0, until;
	struct bus_room room;
	struct bus_entry e;

	assert_int_equal(bus_join(&f->reader, "room", 4, &keep, &room, &sequence), BUS_OK);
	until = f->author->shared->tail + 5 * SIZE;
	for (int n = 0; f->author->shared->tail < until; n++) {
		say(f->author, n % 20 < 3 ? room : f->busy, 300);
		while (bus_read(&f->reader, bus_cursor(&f->reader), &e) == BUS_OK) {
			if (e.meta.kind == BUS_KIND_KEPT)
				again++;
			else if (e.room.id == room.id)
				assert_int_equal(e.sequence, ++seen);
			bus_advance(&f->reader, e.end);
		}
	}
	assert_int_equal(seen, bus_sequence(f->author, room));
	say(f->author, room, 300);
	while (again == 0) {
		say(f->author, f->busy, 300);
		assert_int_equal(bus_read(&f->reader, bus_cursor(&f->reader), &e), BUS_OK);
		again += e.meta.kind == BUS_KIND_KEPT;
		bus_advance(&f->reader, f->author->shared->tail);
	}
}

/* What rooms keep is over the quarter: who keeps most loses the oldest, and others nothing. */
static void test_quarter(void **state)
{
	struct bus_keep keep = { .messages = 100, .bytes = LAG / 4, .group = 7 };
	struct fixture *f = *state;
	struct bus_room rooms[6], modest;
	uint64_t lost = 0;
	struct bus_figures figures;
	struct bus_evicted told;
	struct bus_listed listed;

	for (int i = 0; i < 6; i++) {
		char name[2] = { (char)('a' + i), '\0' };

		rooms[i] = open_room(f->author, name, &keep);
	}
	keep.group = 8;
	modest = open_room(f->author, "modest", &keep);
	for (int n = 0; n < 6; n++)
		say(f->author, modest, 400);
	for (int i = 0; i < 6; i++)
		for (int n = 0; n < 6; n++)
			say(f->author, rooms[i], 500);
	for (int n = 0; n < 6; n++) {
		come_round(f, 1);
		expect(f, modest, 1, 6);
	}
	bus_look(f->author, &figures);
	assert_in_range(figures.kept, QUARTER - 2 * LAG / 4, QUARTER);
	assert_int_equal(bus_look_at_group(f->author, 7).kept, figures.kept - 6 * (HEAD + 400));
	assert_int_equal(bus_look_at_group(f->author, 8).evicted, 0);
	for (int i = 0; i < 6; i++) {
		look(f, rooms[i], 0, NOW);
		lost += 6 - (f->past.most - f->past.first);
		/* the newest are the last to go */
		if (f->past.first < MANY)
			assert_int_equal(f->entries[MANY - 1].sequence, 6);
	}
	assert_true(lost > 0);
	assert_int_equal(bus_look_at_group(f->author, 7).evicted, lost);
	/* who did it can tell, once */
	told = bus_take_evicted(f->author);
	assert_int_equal(told.entries, lost);
	assert_int_equal(told.group, 7);
	assert_int_equal(bus_take_evicted(f->author).entries, 0);
	assert_true(bus_list(f->author, modest.index, &listed));
	assert_int_equal(listed.kept, 6);
	assert_int_equal(listed.kept_bytes, 6 * (HEAD + 400));
	assert_int_equal(listed.group, 8);
	assert_true(listed.kept_since != 0);
}

/* As much as may be kept is, and what is written to keep it is bounded. */
static void test_bytes_to_carry(void **state)
{
	static const struct bus_keep keep = { .messages = 100, .bytes = LAG / 4 };
	struct fixture *f = *state;
	struct bus_room rooms[4];
	uint64_t tail, said = 0;

	for (int i = 0; i < 4; i++) {
		char name[2] = { (char)('a' + i), '\0' };

		rooms[i] = open_room(f->author, name, &keep);
		for (int n = 0; n < 8; n++)
			say(f->author, rooms[i], LAG / 32 - HEAD);
	}
	assert_int_equal(f->author->keeping->size, QUARTER);
	come_round(f, 1);
	tail = f->author->shared->tail;
	for (; said < 50 * SIZE; said += bus_entry_size(200)) {
		say(f->author, f->busy, 200);
		if (said % 5 == 0)
			assert_int_not_equal(bus_carry(f->author, NOW, 0), BUS_CORRUPT);
	}
	print_message("%.2f times the bytes\n",
		      (double)(f->author->shared->tail - tail) / (double)said);
	assert_true((f->author->shared->tail - tail) * 10 < said * 16);
	for (int i = 0; i < 4; i++)
		expect(f, rooms[i], 1, 8);
	assert_int_equal(bus_look_at_group(f->author, 0).evicted, 0);
}

/* An append carries so much, and no more: it is full, and the next try goes on. */
static void test_full_of_what_is_kept(void **state)
{
	static const struct bus_keep keep = { .messages = 100, .bytes = LAG / 4 };
	struct fixture *f = *state;
	unsigned full = 0;

	for (int i = 0; i < 4; i++) {
		struct bus_room room;
		char name[2] = { (char)('a' + i), '\0' };

		room = open_room(f->author, name, &keep);
		say(f->author, room, LAG / 4 - HEAD);
	}
	/* one large message needs as much space as they all take */
	while (f->author->keeping->edge == f->author->keeping->rooms[1].from)
		say(f->author, f->busy, 8);
	for (int n = 0; n < 20; n++) {
		enum bus_result result = try_at(f->author, f->busy, LAG - HEAD, NOW);

		full += result == BUS_FULL;
		if (result == BUS_FULL)
			assert_true(bus_want_space(f->author));
		assert_null(bus_check_keeping(f->author));
	}
	assert_true(full < 20);
	for (uint32_t i = 1; i < 5; i++) {
		const struct bus_room room = { f->author->rooms[i].id, i };

		expect(f, room, 1, 1);
	}
	assert_int_equal(bus_look_at_group(f->author, 0).evicted, 0);
}

/* A reader that holds up the ring holds up what is carried, too. */
static void test_who_is_unread_is_not_overwritten(void **state)
{
	static const struct bus_keep keep = { .messages = 4, .bytes = LAG / 4 };
	struct fixture *f = *state;
	uint64_t sequence, from;
	struct bus_room room = open_room(f->author, "room", &keep), other;

	for (int n = 0; n < 4; n++)
		say(f->author, room, 900);
	assert_int_equal(bus_join(&f->reader, "other", 5, NULL, &other, &sequence), BUS_OK);
	from = f->reader.shared->slots[1].cursor;
	while (try_at(f->author, f->busy, 100, NOW) == BUS_OK)
		assert_true(f->author->shared->tail - from <= SIZE);
	assert_true(f->author->shared->tail - from > SIZE / 4 * 3);
	assert_int_equal(bus_carry(f->author, NOW, 0), BUS_OK);
	assert_false(bus_want_space(f->author));
	bus_advance(&f->reader, f->author->shared->tail);
	say(f->author, f->busy, 100);
	expect(f, room, 1, 4);
}

/* Ahead of need, so that appends have nothing to carry; and by one worker alone. */
static void test_cleaner(void **state)
{
	static const struct bus_keep keep = { .messages = 4, .bytes = LAG / 4 };
	struct fixture *f = *state;
	struct bus_room room = open_room(f->author, "room", &keep);
	const struct bus_dir_keep *k = &f->author->keeping->rooms[room.index];
	_Atomic uint64_t *cleaner = &f->author->keeping->cleaner;
	uint64_t from, tail;

	say(f->author, room, 900);
	while (k->from + SIZE > f->author->shared->tail + k->size + SIZE / 32)
		say(f->author, f->busy, 100);
	from = k->from;
	say(f->author, f->busy, 100);
	assert_int_equal(k->from, from);
	tail = f->author->shared->tail;
	assert_int_equal(bus_carry(&f->reader, NOW, 5000), BUS_OK);
	assert_int_equal(k->from, tail);
	assert_int_equal(f->author->shared->tail, tail + k->size);
	assert_int_equal(bus_carry(&f->reader, NOW, 5100), BUS_OK);
	assert_int_equal(f->author->shared->tail, tail + k->size);
	expect(f, room, 1, 1);

	assert_int_equal(*cleaner, 2);
	assert_int_equal(bus_carry(&f->third, NOW, 6099), BUS_OK);
	assert_int_equal(*cleaner, 2);
	/* the lowest */
	assert_int_equal(bus_carry(f->author, NOW, 6099), BUS_OK);
	assert_int_equal(*cleaner, 1);
	assert_int_equal(bus_carry(&f->reader, NOW, 7098), BUS_OK);
	assert_int_equal(*cleaner, 1);
	/* who is silent is none any more */
	assert_int_equal(bus_carry(&f->third, NOW, 7099), BUS_OK);
	assert_int_equal(*cleaner, 3);
	assert_int_equal(bus_carry(&f->reader, NOW, 7099), BUS_OK);
	assert_int_equal(*cleaner, 2);
}

/* A full directory: what is kept goes with the room, is counted, and no position is taken again. */
static void test_a_room_that_keeps_gives_way(void **state)
{
	static const struct bus_keep keep = { .messages = 4, .bytes = LAG / 4, .group = 5 };
	struct fixture *f = *state;
	struct bus_room rooms[ROOMS], room;
	uint64_t sequence;

	assert_int_equal(bus_join(&f->reader, "busy", 4, NULL, &room, &sequence), BUS_OK);
	for (int i = 1; i < ROOMS; i++) {
		char name[2] = { (char)('a' + i), '\0' };

		rooms[i] = open_room(f->author, name, &keep);
		for (int n = 0; n < i + 2; n++)
			say(f->author, rooms[i], 8);
	}
	/* carried, so that the log's order is another than that of the last messages */
	say(f->author, rooms[1], 8);
	for (int n = 0; n < 5 * SIZE; n += FILLER) {
		say(f->author, f->busy, FILLER);
		bus_advance(&f->reader, f->author->shared->tail);
	}
	assert_int_equal(bus_sequence(f->author, rooms[2]), 4);
	room = open_room(f->author, "new", &keep);
	assert_int_equal(room.index, rooms[2].index);
	assert_int_equal(bus_look_at_group(f->author, 5).evicted, 4);
	assert_int_equal(look(f, rooms[2], 0, NOW), BUS_GONE);
	assert_int_equal(bus_beginning(f->author, rooms[2]), 0);
	assert_int_equal(bus_beginning(f->author, room), 4);
	assert_int_equal(look(f, room, 0, NOW), BUS_EMPTY);
	assert_int_equal(look(f, room, 4, NOW), BUS_OK);
	say(f->author, room, 8);
	assert_int_equal(look(f, room, 3, NOW), BUS_EMPTY);
	assert_int_equal(look(f, room, 4, NOW), BUS_OK);
	assert_int_equal(f->past.most - f->past.first, 1);
	assert_int_equal(f->entries[MANY - 1].sequence, 5);
	expect(f, rooms[1], 1, 4);
}

/* What cannot be is noticed where it is met, and nothing outside of the memory is touched. */
static void test_random_scribbles(void **state)
{
	struct bus_keep keep = { .messages = 20, .bytes = LAG / 4, .group = 1 };
	struct fixture *f = *state;
	uint64_t *ring = (uint64_t *)f->author->ring, *words = (uint64_t *)f->author->keeping;
	uint64_t *rooms = (uint64_t *)f->author->keeping->rooms;
	struct bus_room held[4];
	unsigned seed = bus_check_seed(), corrupt = 0;

	print_message("BUS_TEST_SEED=%u\n", seed);
	for (int n = 0; n < 20000; n++) {
		unsigned at = (unsigned)rand_r(&seed);
		uint64_t value = (uint64_t)rand_r(&seed) << (unsigned)rand_r(&seed) % 40;
		char name = (char)('a' + n % 4);

		if (n % 40 == 0) {
			memset((void *)ring, 0, SIZE);
			memset(words, 0,
			       sizeof(struct bus_keeping) - sizeof(uint64_t[2 * BUS_GROUPS]));
			memset(rooms, 0, ROOMS * sizeof(struct bus_dir_keep));
			f->author->keeping->edge = BUS_NO_EDGE;
			f->author->shared->tail += SIZE;
		}
		keep.ttl = at % 3;
		(void)!bus_open(f->author, &name, 1, &keep, &held[n % 4]);
		for (int i = 0; i < 8 && n > 4; i++)
			corrupt += try_at(f->author, held[at % 4], at % 2000, NOW) == BUS_CORRUPT;
		if (n % 3 == 0)
			ring[at % (SIZE / 8)] = value;
		else if (n % 3 == 1)
			rooms[at % (ROOMS * 8)] = value;
		else
			words[at % 40] = value;
		(void)!bus_carry(f->author, NOW, NOW);
		look(f, held[n % 4 <= n ? n % 4 : 0], 0, NOW);
		bus_redo_newest(f->author);
		if (at % 9 == 0)
			(void)!bus_forget(f->author, held[0]);
		bus_want_nothing(f->author);
	}
	assert_true(corrupt > 100);
	/* for tear_down */
	memset(words, 0, sizeof(struct bus_keeping));
	memset(rooms, 0, ROOMS * sizeof(struct bus_dir_keep));
	f->author->keeping->edge = BUS_NO_EDGE;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define KEEP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		KEEP_TEST(test_kept_whatever_others_say),
		KEEP_TEST(test_count_and_bytes),
		KEEP_TEST(test_many_leave_at_once),
		KEEP_TEST(test_time),
		KEEP_TEST(test_since),
		KEEP_TEST(test_forget),
		KEEP_TEST(test_set_keep),
		KEEP_TEST(test_readers_of_what_is_new),
		KEEP_TEST(test_quarter),
		KEEP_TEST(test_bytes_to_carry),
		KEEP_TEST(test_full_of_what_is_kept),
		KEEP_TEST(test_who_is_unread_is_not_overwritten),
		KEEP_TEST(test_cleaner),
		KEEP_TEST(test_a_room_that_keeps_gives_way),
		KEEP_TEST(test_random_scribbles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
