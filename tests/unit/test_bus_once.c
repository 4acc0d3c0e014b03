/*
 * Keys with which something is published once: what is told when it is asked for again, how long
 * keys are kept, and what happens when there is no place. Who dies over one is in test_bus_step.
 */
// links: base bus
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bus/presence.h"
#include "test_bus_check.h"

enum { SIZE = 131072, LAG = 32768, ROOMS = 4, ITEMS = BUS_KEY_ITEMS + 1 };

/* A publisher that is in no room, and a worker that reads; the memory is one. */
struct fixture {
	struct bus *author;
	struct bus reader;
	int wakeups[SLOTS];
	struct bus_room room; /* the reader is in it */
	struct bus_item items[ITEMS];
	struct bus_part part;
	int64_t now;
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
	assert_int_equal(bus_join(&f->reader, "room", 4, NULL, &f->room, &sequence), BUS_OK);
	f->part = (struct bus_part){ "x", 1 };
	f->now = 1000;
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

/* So many items to the room, with this key and this request. */
static enum bus_result publish(struct fixture *f, uint64_t key, uint64_t request, size_t count)
{
	struct bus_once once = { .key = { { key, ~key } }, .request = { { request, 7 } } };

	once.now = f->now;
	for (size_t i = 0; i < count; i++)
		f->items[i] = (struct bus_item){ .room = f->room,
						 .meta = { .kind = BUS_KIND_MESSAGE },
						 .parts = &f->part,
						 .count = 1 };
	return bus_append_once(f->author, f->items, count, &once);
}

static void catch_up(struct fixture *f)
{
	bus_advance(&f->reader, f->reader.shared->tail);
}

static void test_once(void **state)
{
	struct fixture *f = *state;

	bus_go(&f->reader, f->room, 7, 0);
	assert_int_equal(publish(f, 1, 1, 3), BUS_OK);
	bus_go(&f->reader, f->room, 8, 0);
	assert_int_equal(publish(f, 2, 1, 1), BUS_OK);
	assert_int_equal(f->items[0].sequence, 4);
	assert_int_equal(f->items[0].members, 8);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(publish(f, 1, 1, 3), BUS_REPEATED);
		for (size_t k = 0; k < 3; k++) {
			assert_int_equal(f->items[k].sequence, k + 1);
			assert_int_equal(f->items[k].members, 7);
		}
		assert_int_equal(publish(f, 2, 1, 1), BUS_REPEATED);
		assert_int_equal(f->items[0].sequence, 4);
		assert_int_equal(f->items[0].members, 8);
	}
	assert_int_equal(bus_sequence(f->author, f->room), 4);
}

static void test_for_something_else(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(publish(f, 1, 1, 1), BUS_OK);
	assert_int_equal(publish(f, 1, 2, 1), BUS_CONFLICT);
	assert_int_equal(publish(f, 1, 1, 2), BUS_CONFLICT);
	assert_int_equal(publish(f, 1, 1, 1), BUS_REPEATED);
	assert_int_equal(bus_sequence(f->author, f->room), 1);
	assert_int_equal(publish(f, 2, 2, 0), BUS_OK);
	assert_int_equal(publish(f, 2, 2, 1), BUS_OK);
}

static void test_for_its_time(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(publish(f, 1, 1, 1), BUS_OK);
	f->now += BUS_KEY_MS - 1;
	assert_int_equal(publish(f, 1, 1, 1), BUS_REPEATED);
	assert_int_equal(publish(f, 1, 2, 1), BUS_CONFLICT);
	f->now++;
	assert_int_equal(publish(f, 1, 2, 1), BUS_OK);
	assert_int_equal(f->items[0].sequence, 2);
	f->now++;
	assert_int_equal(publish(f, 1, 2, 1), BUS_REPEATED);
	assert_int_equal(f->items[0].sequence, 2);
	/* by another process, whose clock was read a moment before */
	f->now -= 2;
	assert_int_equal(publish(f, 1, 2, 1), BUS_REPEATED);
}

/* What was not published can be with the same key. */
static void test_nothing_is_kept_of_what_failed(void **state)
{
	static const uint8_t bytes[SIZE];
	struct fixture *f = *state;
	struct bus_room room = f->room;

	f->part = (struct bus_part){ bytes, SIZE / 4 };
	assert_int_equal(publish(f, 1, 1, 1), BUS_TOO_BIG);
	f->part.len = 1;
	f->room.id++;
	assert_int_equal(publish(f, 1, 2, 1), BUS_GONE);
	f->room = room;
	assert_int_equal(publish(f, 1, 3, ITEMS), BUS_TOO_BIG);
	f->part.len = 4000;
	for (uint64_t key = 2; publish(f, key, 1, 1) == BUS_OK; key++)
		continue;
	assert_int_equal(publish(f, 1, 6, 1), BUS_FULL);
	f->author->shared->tail++;
	assert_int_equal(publish(f, 1, 4, 1), BUS_CORRUPT);
	f->author->shared->tail--;
	f->part.len = 1;
	catch_up(f);
	assert_int_equal(publish(f, 1, 5, BUS_KEY_ITEMS), BUS_OK);
	assert_int_equal(publish(f, 1, 5, BUS_KEY_ITEMS), BUS_REPEATED);
}

/* The answer is told though there is no space for what it was about. */
static void test_repeated_while_full(void **state)
{
	struct fixture *f = *state;
	uint64_t key = 2;

	f->part = (struct bus_part){ f, 4000 };
	assert_int_equal(publish(f, 1, 1, 1), BUS_OK);
	while (publish(f, key, 1, 1) == BUS_OK)
		key++;
	assert_int_equal(publish(f, key, 1, 1), BUS_FULL);
	assert_int_equal(publish(f, 1, 1, 1), BUS_REPEATED);
	catch_up(f);
	assert_int_equal(publish(f, key, 1, 1), BUS_OK);
}

/* Each goes for one, when its time is over and not before. */
static void test_no_place_for_a_key(void **state)
{
	struct fixture *f = *state;

	for (uint64_t n = 0; n < BUS_KEYS; n++) {
		assert_int_equal(publish(f, n, 1, 1), BUS_OK);
		catch_up(f);
		f->now += n == 0;
	}
	assert_int_equal(publish(f, BUS_KEYS, 1, 1), BUS_KEYS_FULL);
	assert_int_equal(bus_sequence(f->author, f->room), BUS_KEYS);
	assert_int_equal(publish(f, 0, 1, 1), BUS_REPEATED);
	f->now += BUS_KEY_MS - 2;
	assert_int_equal(publish(f, BUS_KEYS, 1, 1), BUS_KEYS_FULL);
	f->now++;
	assert_int_equal(publish(f, BUS_KEYS, 1, 1), BUS_OK);
	assert_int_equal(publish(f, BUS_KEYS + 1, 1, 1), BUS_KEYS_FULL);
	for (uint64_t n = 1; n <= BUS_KEYS; n++) {
		assert_int_equal(publish(f, n, 1, 1), BUS_REPEATED);
		assert_int_equal(f->items[0].sequence, n + 1);
	}
	f->now++;
	assert_int_equal(publish(f, 0, 1, 1), BUS_OK);
	assert_int_equal(publish(f, BUS_KEYS, 1, 1), BUS_REPEATED);
}

static void test_no_place_for_answers(void **state)
{
	struct fixture *f = *state;
	const uint64_t batches = BUS_KEY_ANSWERS / BUS_KEY_ITEMS;

	for (uint64_t n = 0; n < batches; n++) {
		assert_int_equal(publish(f, n, 1, BUS_KEY_ITEMS), BUS_OK);
		catch_up(f);
	}
	assert_int_equal(publish(f, batches, 1, 1), BUS_KEYS_FULL);
	f->now += BUS_KEY_MS - 1;
	assert_int_equal(publish(f, batches - 1, 1, BUS_KEY_ITEMS), BUS_REPEATED);
	for (uint64_t i = 0; i < BUS_KEY_ITEMS; i++)
		assert_int_equal(f->items[i].sequence, (batches - 1) * BUS_KEY_ITEMS + i + 1);
	f->now++;
	assert_int_equal(publish(f, batches, 1, 1), BUS_OK);
	/* one went for it, which was large enough for these, too */
	assert_int_equal(f->author->keys->first, 1);
	assert_int_equal(publish(f, batches + 1, 1, BUS_KEY_ITEMS - 1), BUS_OK);
	assert_int_equal(f->author->keys->first, 1);
}

/* What is known of a key, in the test's own words. */
struct known {
	int64_t time;
	uint64_t request, sequence;
	size_t count;
};

/* Several turns of all places, with keys that come again early, late and for something else. */
static void test_against_a_model(void **state)
{
	enum { KEYS = 40000, CALLS = 600000 };
	struct fixture *f = *state;
	struct known *known = calloc(KEYS, sizeof(*known));
	unsigned seed = bus_check_seed(), repeated = 0, conflicts = 0, fresh = 0;

	assert_non_null(known);
	for (int n = 0; n < CALLS; n++) {
		struct known *k = &known[rand_r(&seed) % KEYS];
		uint64_t request = (uint64_t)rand_r(&seed) % 8 == 0;
		size_t count = 1 + (size_t)rand_r(&seed) % (rand_r(&seed) % 64 ? 2 : BUS_KEY_ITEMS);
		uint64_t before = bus_sequence(f->author, f->room);
		enum bus_result result;
		bool kept;

		f->now += rand_r(&seed) % 16;
		kept = k->count > 0 && f->now - k->time < BUS_KEY_MS;
		if (kept && rand_r(&seed) % 4)
			count = k->count;
		result = publish(f, (uint64_t)(k - known), request, count);
		catch_up(f);
		if (!kept) {
			assert_int_equal(result, BUS_OK);
			assert_int_equal(f->items[0].sequence, before + 1);
			*k = (struct known){ f->now, request, before + 1, count };
			fresh++;
			continue;
		}
		assert_int_equal(bus_sequence(f->author, f->room), before);
		if (request != k->request || count != k->count) {
			assert_int_equal(result, BUS_CONFLICT);
			conflicts++;
			continue;
		}
		assert_int_equal(result, BUS_REPEATED);
		assert_int_equal(f->items[count - 1].sequence, k->sequence + count - 1);
		repeated++;
	}
	free(known);
	print_message("%u published, %u repeated, %u conflicts\n", fresh, repeated, conflicts);
	assert_true(repeated > 1000 && conflicts > 1000);
	assert_true(f->author->keys->end > BUS_KEYS + 1000);
}

/* Whatever is in the memory, every call returns, and touches nothing outside of it. */
static void test_random_scribbles(void **state)
{
	struct fixture *f = *state;
	uint64_t *words = (uint64_t *)f->author->keys;
	size_t chains = offsetof(struct bus_keys, keys) / sizeof(*words);
	unsigned seed = bus_check_seed();

	for (uint64_t n = 0; n < 3000; n++) {
		struct bus_key *key = &f->author->keys->keys[n];

		publish(f, n % 1500, 1, 1 + n % 3);
		publish(f, (uint64_t)rand_r(&seed), 1, BUS_KEY_ITEMS);
		catch_up(f);
		f->now += n % 7 == 0 ? BUS_KEY_MS : 1;
		words[(size_t)rand_r(&seed) % chains] = (uint64_t)rand_r(&seed)
							<< rand_r(&seed) % 40;
		words[n % 5 == 0] = (uint64_t)rand_r(&seed) % (n % 2 ? 10 : RAND_MAX);
		((uint64_t *)key)[(size_t)rand_r(&seed) % 7] = (uint64_t)rand_r(&seed) << 20;
		key->next = (uint32_t)rand_r(&seed) % (2 * BUS_KEYS);
		bus_key_finish(f->author, n % 3 ? f->author->keys->end + n % 2 : n);
	}
}

static void test_digests(void **state)
{
	struct fixture *f = *state;
	struct bus_part parts[4][2] = { { { "ab", 2 }, { "c", 1 } },
					{ { "a", 1 }, { "bc", 2 } },
					{ { "abc", 3 }, { NULL, 0 } },
					{ { NULL, 0 }, { "abc", 3 } } };
	struct bus_digest of[4], same;

	for (int i = 0; i < 4; i++) {
		of[i] = bus_digest_of(f->author, parts[i], 2);
		same = bus_digest_of(&f->reader, parts[i], 2);
		assert_memory_equal(&of[i], &same, sizeof(same));
		same = bus_digest_of(f->author, parts[i], 1);
		assert_memory_not_equal(&of[i], &same, sizeof(same));
		for (int k = 0; k < i; k++) {
			assert_int_not_equal(of[i].half[0], of[k].half[0]);
			assert_int_not_equal(of[i].half[1], of[k].half[1]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_for_something_else, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_for_its_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_is_kept_of_what_failed, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_repeated_while_full, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_place_for_a_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_place_for_answers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_against_a_model, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_random_scribbles, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_digests, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
