/*
 * Several messages that are appended all or none: their order, numbers and links, the bounds, and
 * that nothing is left of a batch that was not taken. Who dies over one is in test_bus_step.
 */
// links: base bus
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bus/presence.h"
#include "test_bus_check.h"

enum { SIZE = 65536, LAG = 8192, ROOMS = 8, MANY = 200, HEAD = sizeof(struct bus_head) };

/* A publisher that is in no room, and a worker that reads; the memory is one. */
struct fixture {
	struct bus *author;
	struct bus reader;
	int wakeups[SLOTS];
	struct bus_room rooms[ROOMS]; /* the reader is in the first of them, named "0" */
	struct bus_item items[MANY];
	struct bus_part parts[MANY];
};

static int set_up(void **state)
{
	struct bus_limits l = { .size = SIZE, .lag = LAG, .max_rooms = ROOMS };
	struct fixture *f = calloc(1, sizeof(*f));
	uint64_t sequence;

	assert_non_null(f);
	bus_check_open(f->wakeups);
	f->author = bus_new(&l, f->wakeups);
	assert_non_null(f->author);
	f->reader = *f->author;
	bus_set_slot(&f->reader, 0);
	bus_set_slot(f->author, SLOTS_WORKERS);
	assert_int_equal(bus_join(&f->reader, "0", 1, NULL, &f->rooms[0], &sequence), BUS_OK);
	bus_go(&f->reader, f->rooms[0], 7, 0);
	for (char name[] = "1"; name[0] < '0' + ROOMS; name[0]++)
		assert_int_equal(bus_open(f->author, name, 1, NULL, &f->rooms[name[0] - '0']),
				 BUS_OK);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	bus_free(f->author);
	bus_check_close(f->wakeups);
	free(f);
	return 0;
}

static void set_item(struct fixture *f, size_t i, unsigned room, const void *bytes, size_t len)
{
	f->parts[i] = (struct bus_part){ bytes, len };
	f->items[i] = (struct bus_item){
		.room = f->rooms[room],
		.meta = { .sender = i, .time = (int64_t)i, .kind = BUS_KIND_MESSAGE },
		.parts = &f->parts[i],
		.count = 1,
	};
}

static void expect(struct fixture *f, unsigned room, uint64_t sequence, const char *text)
{
	struct bus_entry e;

	assert_int_equal(bus_read(&f->reader, bus_cursor(&f->reader), &e), BUS_OK);
	assert_int_equal(e.room.id, f->rooms[room].id);
	assert_int_equal(e.sequence, sequence);
	assert_int_equal(e.frame_len, strlen(text));
	assert_memory_equal(e.frame, text, e.frame_len);
	bus_advance(&f->reader, e.end);
}

static void expect_nothing(struct fixture *f)
{
	struct bus_entry e;

	assert_int_equal(bus_read(&f->reader, bus_cursor(&f->reader), &e), BUS_EMPTY);
}

static void test_in_order_with_numbers(void **state)
{
	struct fixture *f = *state;

	for (int round = 0; round < 2; round++) {
		uint64_t before = (uint64_t)round * 3;

		set_item(f, 0, 0, "one", 3);
		set_item(f, 1, 1, "", 0);
		set_item(f, 2, 0, "two", 3);
		set_item(f, 3, 0, "three", 5);
		assert_int_equal(bus_append_all(f->author, f->items, 4), BUS_OK);
		assert_int_equal(f->items[0].sequence, before + 1);
		assert_int_equal(f->items[1].sequence, round + 1);
		assert_int_equal(f->items[2].sequence, before + 2);
		assert_int_equal(f->items[3].sequence, before + 3);
		assert_int_equal(f->items[0].members, 7);
		assert_int_equal(f->items[1].members, 0);
		expect(f, 0, before + 1, "one");
		expect(f, 1, (uint64_t)round + 1, "");
		expect(f, 0, before + 2, "two");
		expect(f, 0, before + 3, "three");
		expect_nothing(f);
		assert_int_equal(bus_sequence(f->author, f->rooms[0]), before + 3);
	}
	assert_int_equal(bus_append_all(f->author, f->items, 0), BUS_OK);
	expect_nothing(f);
}

/* Against a model, with numbers of earlier batches left in the rooms. */
static void test_links_of_many(void **state)
{
	static struct bus_entry entries[MANY];
	static uint8_t space[SIZE];
	struct fixture *f = *state;
	unsigned seed = bus_check_seed();
	uint64_t said[ROOMS] = { 0 };

	for (int round = 0; round < 300; round++) {
		size_t count = 1 + (size_t)rand_r(&seed) % 100;

		for (size_t i = 0; i < count; i++)
			set_item(f, i, (unsigned)rand_r(&seed) % ROOMS, "abcdefgh", i % 9);
		assert_int_equal(bus_append_all(f->author, f->items, count), BUS_OK);
		for (size_t i = 0; i < count; i++)
			assert_int_equal(f->items[i].sequence, ++said[f->items[i].room.index]);
		bus_advance(&f->reader, f->reader.shared->tail);
		for (unsigned i = 0; i < ROOMS; i++) {
			struct bus_past past = { entries, MANY, 0, space, sizeof(space), 0, 0, 0 };

			assert_int_equal(bus_sequence(f->author, f->rooms[i]), said[i]);
			assert_in_range(bus_history(f->author, f->rooms[i], UINT64_MAX, &past),
					BUS_OK, BUS_EMPTY);
			assert_true(said[i] < 3 || past.most - past.first > 2);
			for (size_t k = past.first; k < past.most; k++)
				assert_int_equal(entries[k].sequence,
						 said[i] - (past.most - 1 - k));
		}
	}
}

/* Nothing is there, and the next one is as if it had not been tried. */
static void assert_none(struct fixture *f, size_t count, enum bus_result why)
{
	uint64_t tail = f->author->shared->tail, sequence = bus_sequence(f->author, f->rooms[0]);

	assert_int_equal(bus_append_all(f->author, f->items, count), why);
	assert_int_equal(f->author->shared->tail, tail);
	assert_int_equal(bus_sequence(f->author, f->rooms[0]), sequence);
}

static void test_all_or_none(void **state)
{
	static const uint8_t bytes[SIZE];
	struct fixture *f = *state;
	struct bus_room gone = { f->rooms[1].id + 100, 1 };

	/* together exactly what may be, and eight bytes more */
	set_item(f, 0, 0, bytes, LAG / 2 - HEAD);
	set_item(f, 1, 1, bytes, LAG / 2 - HEAD + 1);
	assert_none(f, 2, BUS_TOO_BIG);
	f->parts[1].len = LAG / 2 - HEAD;
	f->items[1].room = gone;
	assert_none(f, 2, BUS_GONE);
	f->items[1].room = f->rooms[1];
	assert_int_equal(bus_append_all(f->author, f->items, 2), BUS_OK);
	/* alone as bus_append takes it */
	f->parts[0].len = SIZE / 4 - HEAD + 1;
	assert_none(f, 1, BUS_TOO_BIG);
	f->parts[0].len = SIZE / 4 - HEAD;
	assert_int_equal(bus_append_all(f->author, f->items, 1), BUS_OK);

	/* the first room's reader is behind now, and the second has none */
	f->parts[0].len = f->parts[1].len = 1;
	assert_none(f, 2, BUS_FULL);
	assert_false(bus_want_space(f->author));
	bus_advance(&f->reader, f->reader.shared->tail);
	assert_int_equal(bus_append_all(f->author, f->items, 2), BUS_OK);
	assert_int_equal(bus_sequence(f->author, f->rooms[0]), 3);
}

/* As behind bus_append: whoever has members in one of the rooms, and sleeps, is woken. */
static void test_readers_are_woken(void **state)
{
	struct fixture *f = *state;
	uint64_t count;

	set_item(f, 0, 1, "x", 1);
	set_item(f, 1, 0, "x", 1);
	set_item(f, 2, 1, "x", 1);
	assert_false(bus_sleep(&f->reader));
	assert_int_equal(bus_append_all(f->author, f->items, 3), BUS_OK);
	bus_wake_readers(f->author);
	assert_int_equal(read(f->wakeups[0], &count, sizeof(count)), sizeof(count));
}

static void test_no_lock(void **state)
{
	struct fixture *f = *state;

	set_item(f, 0, 0, "x", 1);
	assert_int_equal(bus_lock(&f->reader, BUS_BRIEFLY), BUS_OK);
	assert_none(f, 1, BUS_FULL);
	/* which no cursor will end: try again */
	assert_true(bus_want_space(f->author));
	bus_unlock(&f->reader);
	f->author->shared->tail++;
	assert_none(f, 1, BUS_CORRUPT);
	f->author->shared->tail--;
	f->author->shared->broken = 1;
	assert_none(f, 1, BUS_CORRUPT);
}

static void test_the_first_has_a_mark(void **state)
{
	struct fixture *f = *state;
	struct bus_figures figures;

	set_item(f, 1, 0, "x", 1);
	set_item(f, 2, 0, "x", 1);
	assert_int_equal(bus_append_all(f->author, f->items + 1, 2), BUS_OK);
	bus_look(f->author, &figures);
	assert_int_equal(figures.oldest, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_order_with_numbers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_links_of_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_all_or_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_readers_are_woken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_lock, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_first_has_a_mark, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
