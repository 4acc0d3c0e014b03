/*
 * The past of rooms, against a model that remembers all that was ever said: what comes back is
 * exactly the last entries that are still in the log, and no byte of another.
 */
// links: base bus
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "test_bus_check.h"

enum { SIZE = 65536, LAG = 8192, ROOMS = 8, NAMES = 4, FRAME_MAX = 3000, SAID = 20000 };

/* One message, as the model knows it. */
struct said {
	uint64_t position, sequence, sender;
	int64_t time;
	size_t len;
	unsigned room; /* of NAMES */
	uint16_t kind;
};

struct fixture {
	struct bus *bus;
	int wakeups[SLOTS];
	struct bus_room rooms[NAMES];
	uint64_t sequences[NAMES];
	struct said said[SAID];
	size_t count;
	unsigned seed;
};

static int set_up(void **state)
{
	struct bus_limits l = { .size = SIZE, .lag = LAG, .max_rooms = ROOMS };
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	bus_check_open(f->wakeups);
	f->bus = bus_new(&l, f->wakeups);
	assert_non_null(f->bus);
	bus_set_slot(f->bus, 0);
	f->seed = bus_check_seed();
	print_message("BUS_TEST_SEED=%u\n", f->seed);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	bus_free(f->bus);
	bus_check_close(f->wakeups);
	free(f);
	return 0;
}

/* The bytes of a frame follow from who sent it and its length. */
static void fill(uint8_t *p, size_t len, uint64_t sender)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(sender * 31 + len + i * 7);
}

static bool is_filled(const struct bus_entry *e)
{
	for (size_t i = 0; i < e->frame_len; i++)
		if (e->frame[i] != (uint8_t)(e->meta.sender * 31 + e->frame_len + i * 7))
			return false;
	return true;
}

static void say(struct fixture *f, unsigned room, size_t len)
{
	static uint8_t bytes[SIZE];
	struct said *s = &f->said[f->count];
	struct bus_part part = { bytes, len };

	assert_true(f->count < SAID);
	*s = (struct said){
		.position = f->bus->shared->tail,
		.sequence = ++f->sequences[room],
		.sender = f->count + 1,
		.time = (int64_t)f->count * 3,
		.len = len,
		.room = room,
		.kind = (uint16_t)(1 + f->count % 3),
	};
	fill(bytes, len, s->sender);
	assert_int_equal(bus_append(f->bus, f->rooms[room],
				    &(struct bus_meta){ .sender = s->sender,
							.time = s->time,
							.kind = s->kind,
							.not_to_sender = s->sender % 2,
							.json = s->sender % 3 == 0 },
				    &part, 1),
			 BUS_OK);
	f->count++;
}

static void open_rooms(struct fixture *f)
{
	for (unsigned i = 0; i < NAMES; i++)
		assert_int_equal(bus_open(f->bus, (const char *)&i, sizeof(i), NULL, &f->rooms[i]),
				 BUS_OK);
}

/* The model's answer: which were said last, from the newest on, and why there are no more. */
static enum bus_result recall(const struct fixture *f, unsigned room, uint64_t newest, size_t most,
			      size_t space, size_t found[], size_t *n)
{
	*n = 0;
	if (newest == 0)
		return BUS_OK;
	for (size_t i = f->count; i-- > 0 && *n < most;) {
		const struct said *s = &f->said[i];

		if (s->room != room)
			continue;
		if (s->position + SIZE < f->bus->shared->reserve)
			return BUS_EMPTY;
		if (s->sequence > newest)
			continue;
		if (s->len > space)
			return BUS_TOO_BIG;
		space -= s->len;
		found[(*n)++] = i;
	}
	return BUS_OK;
}

static void compare(const struct fixture *f, unsigned room, const struct said *s,
		    const struct bus_entry *e)
{
	assert_int_equal(e->room.id, f->rooms[room].id);
	assert_int_equal(e->room.index, f->rooms[room].index);
	assert_int_equal(e->sequence, s->sequence);
	assert_int_equal(e->meta.sender, s->sender);
	assert_int_equal(e->meta.time, s->time);
	assert_int_equal(e->meta.kind, s->kind);
	assert_int_equal(e->meta.not_to_sender, s->sender % 2);
	assert_int_equal(e->meta.json, s->sender % 3 == 0);
	assert_int_equal(e->frame_len, s->len);
	assert_int_equal(e->end, s->position + bus_entry_size(s->len));
	assert_true(is_filled(e));
}

static enum bus_result ask(struct fixture *f, unsigned room, uint64_t newest, size_t most,
			   size_t space)
{
	static struct bus_entry entries[SAID];
	static size_t found[SAID];
	static uint8_t bytes[2 * SIZE];
	struct bus_past past = { .entries = entries, .most = most, .space = bytes, .size = space };
	enum bus_result result = bus_history(f->bus, f->rooms[room], newest, &past);
	size_t n;

	assert_int_equal(result, recall(f, room, newest, most, space, found, &n));
	assert_int_equal(past.most - past.first, n);
	for (size_t i = 0; i < n; i++)
		compare(f, room, &f->said[found[i]], &entries[most - 1 - i]);
	/* The frames follow each other up to the end of the space. */
	for (size_t i = 0, at = space - past.used; i < n; i++) {
		assert_ptr_equal(entries[past.first + i].frame, bytes + at);
		at += entries[past.first + i].frame_len;
		if (i == n - 1)
			assert_int_equal(at, space);
	}
	return result;
}

/* Rooms of different pace, so that the past of some is gone while others have all of theirs. */
static void test_against_the_model(void **state)
{
	struct fixture *f = *state;
	unsigned results[BUS_CORRUPT + 1] = { 0 };

	open_rooms(f);
	for (int n = 0; n < 15000; n++) {
		unsigned room = (unsigned)rand_r(&f->seed) % 100;
		size_t most = (size_t)rand_r(&f->seed) % (n % 2 ? 10 : 400);
		size_t space = (size_t)rand_r(&f->seed) % (n % 4 ? 2 * SIZE : 5000);
		uint64_t newest = UINT64_MAX;

		room = room < 70 ? 0 : room < 95 ? 1 : room < 98 ? 2 : n % 1000 == 0 ? 3 : 1;
		if (n > 0 && rand_r(&f->seed) % 10)
			say(f, room,
			    (size_t)rand_r(&f->seed) % (rand_r(&f->seed) % 4 ? 100 : FRAME_MAX));
		room = (unsigned)n % NAMES;
		if (n % 3 == 0 && f->sequences[room] > 0)
			newest = f->sequences[room] - (unsigned)rand_r(&f->seed) % 5;
		results[ask(f, room, newest, most, space)]++;
	}
	assert_true(results[BUS_OK] > 100);
	assert_true(results[BUS_EMPTY] > 100);
	assert_true(results[BUS_TOO_BIG] > 100);
}

static void test_up_to_the_last_byte(void **state)
{
	struct fixture *f = *state;

	open_rooms(f);
	assert_int_equal(ask(f, 0, UINT64_MAX, 5, SIZE), BUS_OK);
	say(f, 0, 1000);
	/* The ring is full to the brim, and the first one is the oldest in it. */
	while (f->bus->shared->tail + 1056 <= 2 * SIZE)
		say(f, 1, 1000);
	say(f, 1, 2 * SIZE - f->bus->shared->tail - sizeof(struct bus_head));
	assert_int_equal(f->bus->shared->reserve, 2 * SIZE);
	assert_int_equal(ask(f, 0, UINT64_MAX, 5, SIZE), BUS_OK);
	assert_int_equal(ask(f, 0, UINT64_MAX, 5, 999), BUS_TOO_BIG);
	assert_int_equal(ask(f, 0, UINT64_MAX, 1, 1000), BUS_OK);
	assert_int_equal(ask(f, 0, UINT64_MAX, 0, 0), BUS_OK);
	assert_int_equal(ask(f, 0, 0, 5, SIZE), BUS_OK);
	say(f, 1, 0);
	assert_int_equal(ask(f, 0, UINT64_MAX, 5, SIZE), BUS_EMPTY);
}

/* An author that dies behind `reserve` may have written: what is there is not believed. */
static void test_reserved_is_lost(void **state)
{
	struct fixture *f = *state;

	open_rooms(f);
	say(f, 0, 100);
	f->bus->shared->reserve = f->said[0].position + SIZE;
	assert_int_equal(ask(f, 0, UINT64_MAX, 5, SIZE), BUS_OK);
	f->bus->shared->reserve++;
	assert_int_equal(ask(f, 0, UINT64_MAX, 5, SIZE), BUS_EMPTY);
}

static enum bus_result ask_behind(struct bus *b, struct bus_room room, uint64_t newest,
				  uint64_t after)
{
	static struct bus_entry entries[10];
	static uint8_t bytes[SIZE];
	struct bus_past past = { entries, 10, 0, bytes, sizeof(bytes), 0, after, 0 };

	return bus_history(b, room, newest, &past);
}

static enum bus_result ask_plainly(struct bus *b, struct bus_room room)
{
	return ask_behind(b, room, UINT64_MAX, 0);
}

/* Though the last is not in the log any more: there is nothing behind it. */
static void test_who_has_the_last_misses_nothing(void **state)
{
	struct fixture *f = *state;

	open_rooms(f);
	say(f, 0, 100);
	say(f, 0, 100);
	while (f->bus->shared->reserve <= f->said[1].position + SIZE)
		say(f, 1, 1000);
	assert_int_equal(ask_behind(f->bus, f->rooms[0], UINT64_MAX, 2), BUS_OK);
	assert_int_equal(ask_behind(f->bus, f->rooms[0], 2, 2), BUS_OK);
	assert_int_equal(ask_behind(f->bus, f->rooms[0], 1, 1), BUS_OK);
	assert_int_equal(ask_behind(f->bus, f->rooms[0], UINT64_MAX, 1), BUS_EMPTY);
	assert_int_equal(ask_behind(f->bus, f->rooms[0], 2, 1), BUS_EMPTY);
}

static void test_a_room_that_is_gone(void **state)
{
	struct fixture *f = *state;
	struct bus_room room;

	open_rooms(f);
	assert_int_equal(ask_plainly(f->bus, f->rooms[0]), BUS_OK);
	for (int n = 0; n < 2 * ROOMS; n++)
		assert_int_equal(bus_open(f->bus, (const char *)&n, 3, NULL, &room), BUS_OK);
	assert_int_equal(ask_plainly(f->bus, f->rooms[0]), BUS_GONE);
	room.index = UINT32_MAX;
	assert_int_equal(ask_plainly(f->bus, room), BUS_GONE);
}

/* Each of the fields that the walk uses, made impossible. */
static void test_links_that_cannot_be(void **state)
{
	struct fixture *f = *state;
	struct bus *b = f->bus;
	_Atomic uint64_t *last;
	struct bus_head *head, good;

	open_rooms(f);
	for (int n = 0; n < 3; n++)
		say(f, 0, 10);
	say(f, 1, 10);
	last = &b->rooms[f->rooms[0].index].last;
	head = (void *)bus_ring_at(b, f->said[1].position);
	good = *head;
#define CORRUPT(field, value)                                                                      \
	do {                                                                                       \
		head->field = (value);                                                             \
		assert_int_equal(ask_plainly(b, f->rooms[0]), BUS_CORRUPT);                        \
		*head = good;                                                                      \
		assert_int_equal(ask_plainly(b, f->rooms[0]), BUS_OK);                             \
	} while (0)
	CORRUPT(id, f->rooms[1].id);
	CORRUPT(index, f->rooms[1].index);
	CORRUPT(sequence, 1);
	CORRUPT(sequence, 3);
	CORRUPT(previous, 0);
	CORRUPT(previous, good.previous + 8);
	CORRUPT(previous, f->said[1].position);
	CORRUPT(previous, f->said[2].position);
	CORRUPT(check, good.check + 8);
	CORRUPT(frame_len, UINT32_MAX);
#undef CORRUPT
	*last = f->said[3].position;
	assert_int_equal(ask_plainly(b, f->rooms[0]), BUS_CORRUPT);
	*last = b->shared->tail;
	assert_int_equal(ask_plainly(b, f->rooms[0]), BUS_CORRUPT);
	*last = f->said[2].position + 1;
	assert_int_equal(ask_plainly(b, f->rooms[0]), BUS_CORRUPT);
	*last = UINT64_MAX - 7;
	assert_int_equal(ask_plainly(b, f->rooms[0]), BUS_CORRUPT);
}

/* --- several processes --- */

enum { AUTHORS = 3, LOOKS = 20000 };

/* Fills both rooms as fast as it can, until it is killed. */
static void author(struct fixture *f, int slot)
{
	static uint8_t bytes[FRAME_MAX];

	/* also of a test that fails before it kills */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bus_set_slot(f->bus, slot);
	for (uint64_t n = 0;; n++) {
		const struct bus_meta meta = { .sender = (uint64_t)slot << 32 | n, .kind = 1 };
		struct bus_part part = { bytes, (size_t)rand_r(&f->seed) % sizeof(bytes) };
		enum bus_result result;

		fill(bytes, part.len, meta.sender);
		result = bus_append(f->bus, f->rooms[n % 2], &meta, &part, 1);
		if (result != BUS_OK && result != BUS_FULL)
			_exit(1);
	}
}

static void check_past(const struct fixture *f, int room, uint64_t at_least,
		       const struct bus_past *past)
{
	for (size_t i = past->first; i < past->most; i++) {
		const struct bus_entry *e = &past->entries[i];

		assert_int_equal(e->room.id, f->rooms[room].id);
		if (i > past->first)
			assert_int_equal(e->sequence, e[-1].sequence + 1);
		assert_true(is_filled(e));
	}
	if (past->first < past->most)
		assert_true(past->entries[past->most - 1].sequence >= at_least);
}

static void test_while_others_write(void **state)
{
	static struct bus_entry entries[100];
	static uint8_t bytes[SIZE];
	struct fixture *f = *state;
	pid_t pids[AUTHORS];
	unsigned found = 0;

	open_rooms(f);
	for (int i = 0; i < AUTHORS; i++) {
		f->seed++;
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			author(f, i + 1);
	}
	/* from when each place of the ring was written more than once */
	while (f->bus->shared->tail < 4 * SIZE)
		usleep(100);
	for (int n = 0; n < LOOKS; n++) {
		struct bus_past past = { entries, 100, 0, bytes, sizeof(bytes), 0, 0, 0 };
		uint64_t before = bus_sequence(f->bus, f->rooms[n % 2]);

		assert_int_not_equal(bus_history(f->bus, f->rooms[n % 2], UINT64_MAX, &past),
				     BUS_CORRUPT);
		check_past(f, n % 2, before, &past);
		found += past.first < past.most;
	}
	for (int i = 0; i < AUTHORS; i++) {
		int status;

		kill(pids[i], SIGKILL);
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	print_message("%u of %u looks found something, %llu bytes written\n", found, LOOKS,
		      (unsigned long long)f->bus->shared->tail);
	assert_true(found > LOOKS / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define HISTORY_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		HISTORY_TEST(test_against_the_model),
		HISTORY_TEST(test_up_to_the_last_byte),
		HISTORY_TEST(test_reserved_is_lost),
		HISTORY_TEST(test_a_room_that_is_gone),
		HISTORY_TEST(test_links_that_cannot_be),
		HISTORY_TEST(test_while_others_write),
		HISTORY_TEST(test_who_has_the_last_misses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
