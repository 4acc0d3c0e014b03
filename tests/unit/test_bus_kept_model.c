/*
 * What rooms keep, against a model that remembers all that was said in each room and what it was
 * told to keep. After every step all rooms are looked at: what is shown are the newest entries,
 * byte for byte, no more than the limits allow, and no fewer but for what was evicted, which is
 * counted. And the sums are those of what is there.
 */
// links: base bus
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "test_bus_check.h"

enum {
	SIZE = 65536,
	LAG = 16384,
	QUARTER = SIZE / 4,
	NAMES = 12,
	PLACES = 9,
	REMEMBERED = 128,
	FRAME_MAX = 3000,
	GROUPS = 3,
	STEPS = 10000,
	BATCH = 5,
};

struct said {
	uint64_t sender;
	int64_t time;
	size_t len;
	uint16_t kind;
};

/* A room as the model knows it. Entries from `sure` on are kept, those before `never` are not. */
struct told {
	bool open, member;
	struct bus_room room;
	struct bus_keep keep;
	uint64_t start, last, read, sure, never;
	uint64_t spoken; /* when, counted in what was ever said; the bus may not know it if ... */
	bool blurred; /* ... it kept nothing for a while since then */
	struct said said[REMEMBERED]; /* by number */
};

struct fixture {
	struct bus *author;
	struct bus reader;
	int wakeups[SLOTS];
	struct told rooms[NAMES];
	uint64_t evicted[GROUPS];
	uint64_t count; /* of what was ever said */
	int64_t now;
	uint32_t bytes_most; /* that a room is told to keep */
	unsigned seed, refused, carried, ended;
};

static int set_up(void **state)
{
	struct bus_limits l = { .size = SIZE, .lag = LAG, .max_rooms = PLACES };
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	bus_check_open(f->wakeups);
	f->author = bus_new(&l, f->wakeups);
	assert_non_null(f->author);
	f->reader = *f->author;
	bus_set_slot(&f->reader, 1);
	bus_set_slot(f->author, 0);
	f->seed = bus_check_seed();
	f->now = 1000000;
	print_message("BUS_TEST_SEED=%u\n", f->seed);
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

static unsigned draw(struct fixture *f, unsigned below)
{
	return (unsigned)rand_r(&f->seed) % below;
}

static struct said *said_at(struct told *t, uint64_t number)
{
	return &t->said[number % REMEMBERED];
}

static uint8_t byte_of(uint64_t sender, size_t len, size_t i)
{
	return (uint8_t)(sender * 31 + len + i * 7);
}

/* --- what has to be there --- */

static bool keeps(const struct told *t)
{
	return t->keep.messages != 0 && t->keep.bytes != 0;
}

/* The oldest number that the limits allow now. */
static uint64_t first_allowed(struct told *t, int64_t now)
{
	uint64_t first = t->last + 1, count = 0, size = 0;

	if (!keeps(t))
		return first;
	for (; first > t->start + 1; first--) {
		const struct said *s = said_at(t, first - 1);

		size += bus_entry_size(s->len);
		if (++count > t->keep.messages || size > t->keep.bytes ||
		    (t->keep.ttl && now - s->time > (int64_t)t->keep.ttl * 1000))
			break;
	}
	assert_true(t->last + 1 - first < REMEMBERED);
	return first;
}

/* What was let go once does not come back, however much is allowed later. */
static void let_go(struct fixture *f)
{
	for (int i = 0; i < NAMES; i++) {
		struct told *t = &f->rooms[i];
		uint64_t first = t->open ? first_allowed(t, f->now) : 0;

		if (t->sure < first)
			t->sure = first;
	}
}

static void keep_nothing_before_now(struct told *t)
{
	t->sure = t->never = t->last + 1;
}

/* Only when there is too much, and no more of a group than is counted. */
static void note_evictions(struct fixture *f, uint64_t size_before, size_t added)
{
	let_go(f);
	for (uint16_t g = 0; g < GROUPS; g++) {
		uint64_t evicted = bus_look_at_group(f->author, g).evicted, missing = 0;

		if (evicted == f->evicted[g])
			continue;
		assert_true(size_before + added > QUARTER);
		for (int i = 0; i < NAMES; i++) {
			struct told *t = &f->rooms[i];
			const struct bus_dir_keep *k = &f->author->keeping->rooms[t->room.index];
			uint64_t first;

			if (!t->open || t->keep.group != g || !keeps(t))
				continue;
			first = k->upto - k->count + 1;
			if (first > t->sure) {
				missing += first - t->sure;
				t->sure = t->never = first;
			}
		}
		assert_true(missing <= evicted - f->evicted[g]);
		f->evicted[g] = evicted;
	}
}

/* --- what is there --- */

static void compare(struct told *t, const struct bus_entry *e, uint64_t number)
{
	const struct said *s = said_at(t, number);

	assert_int_equal(e->room.id, t->room.id);
	assert_int_equal(e->sequence, number);
	assert_int_equal(e->meta.sender, s->sender);
	assert_int_equal(e->meta.time, s->time);
	assert_int_equal(e->meta.kind, s->kind);
	assert_int_equal(e->meta.not_to_sender, s->sender % 2);
	assert_int_equal(e->meta.json, s->sender % 3 == 0);
	assert_int_equal(e->frame_len, s->len);
	for (size_t i = 0; i < e->frame_len; i++)
		if (e->frame[i] != byte_of(s->sender, s->len, i))
			fail_msg("a byte of entry %llu is not what was said",
				 (unsigned long long)number);
}

static void check_history(struct fixture *f, struct told *t)
{
	static struct bus_entry entries[REMEMBERED];
	static uint8_t bytes[2 * SIZE];
	struct bus_past past = { entries, REMEMBERED, 0, bytes, sizeof(bytes), 0, 0, f->now };
	uint64_t allowed = first_allowed(t, f->now), first;
	enum bus_result result;

	past.after = draw(f, 2) ? t->start : t->last - draw(f, (unsigned)(t->last - t->start) + 1);
	result = bus_history(f->author, t->room, UINT64_MAX, &past);
	first = t->last + 1 - (past.most - past.first);
	for (uint64_t n = first; n <= t->last; n++)
		compare(t, &entries[past.most - 1 - (t->last - n)], n);
	assert_int_equal(result, first <= past.after + 1 ? BUS_OK : BUS_EMPTY);
	if (first > past.after + 1 || past.after == t->start) {
		assert_true(first <= (allowed > t->sure ? allowed : t->sure));
		assert_true(first >= allowed && first >= t->never);
	}
	/* of all that is in the log, these are the newest as well */
	past = (struct bus_past){ entries, 5, 0, bytes, sizeof(bytes), 0, 0, 0 };
	assert_int_not_equal(bus_history(f->author, t->room, UINT64_MAX, &past), BUS_CORRUPT);
	first = t->last + 1 - (past.most - past.first);
	for (uint64_t n = first; n <= t->last; n++)
		compare(t, &entries[past.most - 1 - (t->last - n)], n);
}

static void check_all(struct fixture *f)
{
	let_go(f);
	assert_null(bus_check_keeping(f->author));
	assert_null(bus_check_directory(f->author));
	for (int i = 0; i < NAMES; i++)
		if (f->rooms[i].open)
			check_history(f, &f->rooms[i]);
}

/* --- steps --- */

/* Who reads sees each number of its rooms once, and nothing twice for being carried. */
static void read_all(struct fixture *f)
{
	enum bus_result result = BUS_OK;
	struct bus_entry e;

	while (f->reader.joined > 0 && result == BUS_OK) {
		result = bus_read(&f->reader, bus_cursor(&f->reader), &e);
		if (result != BUS_OK)
			break;
		f->carried += e.meta.kind == BUS_KIND_KEPT;
		for (int i = 0; i < NAMES && e.meta.kind != BUS_KIND_KEPT; i++) {
			struct told *t = &f->rooms[i];

			if (t->open && t->member && t->room.id == e.room.id && e.sequence > t->read)
				assert_int_equal(e.sequence, ++t->read);
		}
		bus_advance(&f->reader, e.end);
	}
	assert_true(result == BUS_OK || result == BUS_EMPTY);
}

static struct told *draw_room(struct fixture *f)
{
	struct told *t = &f->rooms[draw(f, NAMES)];

	/* some are much busier than others */
	if (draw(f, 3) == 0)
		t = &f->rooms[draw(f, 2)];
	return t->open ? t : NULL;
}

static size_t draw_len(struct fixture *f)
{
	return draw(f, draw(f, 6) ? 120 : FRAME_MAX);
}

static struct bus_meta meta_of(const struct said *s)
{
	return (struct bus_meta){ .sender = s->sender,
				  .time = s->time,
				  .kind = s->kind,
				  .not_to_sender = s->sender % 2,
				  .json = s->sender % 3 == 0 };
}

static struct said draw_message(struct fixture *f, uint8_t bytes[FRAME_MAX])
{
	struct said s = { .sender = ++f->count, .time = f->now, .len = draw_len(f), .kind = 1 };

	s.kind = (uint16_t)(1 + draw(f, 3));
	for (size_t i = 0; i < s.len; i++)
		bytes[i] = byte_of(s.sender, s.len, i);
	return s;
}

static void note(struct told *t, const struct said *s)
{
	*said_at(t, ++t->last) = *s;
	t->spoken = s->sender;
	t->blurred = false;
}

/* It may be full, and then is not for ever. */
static void say(struct fixture *f)
{
	static uint8_t bytes[BATCH][FRAME_MAX];
	struct told *to[BATCH];
	struct said s[BATCH];
	struct bus_part parts[BATCH];
	struct bus_item items[BATCH];
	size_t n = 0, count = draw(f, 8) ? 1 : 1 + draw(f, BATCH), added = 0;
	uint64_t before = f->author->keeping->size;
	enum bus_result result;

	while (n < count && (to[n] = draw_room(f))) {
		s[n] = draw_message(f, bytes[n]);
		parts[n] = (struct bus_part){ bytes[n], s[n].len };
		items[n] = (struct bus_item){
			.room = to[n]->room, .meta = meta_of(&s[n]), .parts = &parts[n], .count = 1
		};
		added += bus_entry_size(s[n].len);
		n++;
	}
	if (n == 0)
		return;
	for (int tries = 0;; tries++) {
		result = n == 1 ? bus_append(f->author, items[0].room, &items[0].meta, parts, 1)
				: bus_append_all(f->author, items, n);
		if (result != BUS_FULL)
			break;
		f->refused++;
		assert_true(tries < 200);
		if (!bus_want_space(f->author))
			read_all(f);
	}
	assert_int_equal(result, BUS_OK);
	for (size_t i = 0; i < n; i++) {
		if (n > 1)
			assert_int_equal(items[i].sequence, to[i]->last + 1);
		note(to[i], &s[i]);
	}
	note_evictions(f, before, added);
}

static struct bus_keep draw_keep(struct fixture *f)
{
	return (struct bus_keep){ .messages = draw(f, 5) ? draw(f, 40) : 1,
				  .bytes = draw(f, f->bytes_most),
				  .ttl = draw(f, 3) ? 0 : 1 + draw(f, 60),
				  .group = (uint16_t)draw(f, GROUPS) };
}

static void set_keep(struct told *t, const struct bus_keep *keep)
{
	bool kept = keeps(t);

	t->keep = *keep;
	if (t->keep.bytes > LAG / 4)
		t->keep.bytes = LAG / 4;
	if (kept && keeps(t))
		return;
	keep_nothing_before_now(t);
	t->blurred = true;
}

/*
 * A room that has gone, to make place for the new one, had nobody in it, and none of those that
 * stayed was quieter.
 */
static void note_gone(struct fixture *f, const struct told *new)
{
	uint64_t quietest = UINT64_MAX;

	for (int i = 0; i < NAMES; i++) {
		const struct told *t = &f->rooms[i];

		if (t->open && t != new && !t->member && !t->blurred &&
		    t->spoken < quietest &&keeps(t) && bus_room_at(f->author, t->room))
			quietest = t->spoken;
	}
	for (int i = 0; i < NAMES; i++) {
		struct told *t = &f->rooms[i];

		if (!t->open || bus_room_at(f->author, t->room))
			continue;
		assert_false(t->member);
		assert_true(t->spoken < quietest || t->blurred || t->sure > t->last);
		f->ended++;
		t->open = false;
	}
	for (uint16_t g = 0; g < GROUPS; g++)
		f->evicted[g] = bus_look_at_group(f->author, g).evicted;
}

static void enter(struct fixture *f, unsigned name)
{
	struct told *t = &f->rooms[name], *others = f->rooms;
	struct bus_keep keep = draw_keep(f);
	bool join = !t->member && draw(f, 3) == 0, given = draw(f, 2);
	struct bus_room room;
	uint64_t sequence = 0, floor = 0;
	enum bus_result result;

	for (int i = 0; i < NAMES; i++)
		floor = others[i].last > floor && !others[i].open ? others[i].last : floor;
	result = join ? bus_join(&f->reader, (const char *)&name, sizeof(name),
				 given ? &keep : NULL, &room, &sequence)
		      : bus_open(f->author, (const char *)&name, sizeof(name), given ? &keep : NULL,
				 &room);
	if (result == BUS_ROOMS_FULL) {
		for (int i = 0; i < NAMES; i++)
			assert_true(!others[i].open || others[i].member);
		return;
	}
	assert_int_equal(result, BUS_OK);
	if (!t->open || t->room.id != room.id) {
		uint64_t start = bus_beginning(f->author, room);

		if (t->open)
			assert_false(t->member);
		/* above all that this name, or any other that is gone, ever had */
		assert_true(start >= t->last && start >= floor);
		*t = (struct told){ .room = room, .start = start, .last = start };
		keep_nothing_before_now(t);
	}
	t->open = true;
	t->room = room;
	if (given)
		set_keep(t, &keep);
	if (join) {
		assert_int_equal(sequence, t->last);
		t->member = true;
		t->read = t->last;
	}
	note_gone(f, t);
}

static void leave(struct fixture *f, struct told *t)
{
	if (!t->member)
		return;
	read_all(f);
	assert_int_equal(t->read, t->last);
	bus_leave(&f->reader, t->room);
	t->member = false;
}

static void carry(struct fixture *f)
{
	uint64_t before = f->author->keeping->size;
	enum bus_result result = bus_carry(f->author, f->now, f->now);

	assert_true(result == BUS_OK || result == BUS_FULL);
	note_evictions(f, before, 0);
}

static void step(struct fixture *f)
{
	struct told *t = draw_room(f);
	unsigned n = draw(f, 100);
	struct bus_keep keep;

	f->now += draw(f, 50) ? draw(f, 30) : draw(f, 5000);
	let_go(f);
	if (n < 75) {
		say(f);
	} else if (n < 80) {
		read_all(f);
	} else if (n < 81) {
		enter(f, draw(f, NAMES));
	} else if (n < 88) {
		carry(f);
	} else if (t && n < 93) {
		leave(f, t);
	} else if (t && n < 94) {
		keep = draw_keep(f);
		assert_int_equal(bus_set_keep(f->author, t->room, &keep), BUS_OK);
		set_keep(t, &keep);
	} else if (t && n < 95 && draw(f, 3) == 0) {
		assert_int_equal(bus_forget(f->author, t->room), BUS_OK);
		keep_nothing_before_now(t);
	}
}

static void run(struct fixture *f, uint32_t bytes_most)
{
	f->bytes_most = bytes_most;
	/* for a long time all that is kept may be let go before the ring has gone round */
	for (int n = 0; n < STEPS || (f->carried == 0 && n < 20 * STEPS); n++) {
		step(f);
		check_all(f);
	}
	print_message("%llu said in %llu bytes, %u carried entries read, %u times full, %u rooms "
		      "gone, evicted %llu\n",
		      (unsigned long long)f->count, (unsigned long long)f->author->shared->tail,
		      f->carried, f->refused, f->ended,
		      (unsigned long long)(f->evicted[0] + f->evicted[1] + f->evicted[2]));
	assert_true(f->author->shared->tail > 10 * SIZE);
	assert_true(f->carried > 0 && f->ended > 0);
}

/* All of them together are allowed less than a quarter of the ring. */
static void test_nothing_is_lost(void **state)
{
	run(*state, QUARTER / PLACES);
}

static void test_the_quarter(void **state)
{
	run(*state, LAG / 4 + 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_is_lost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_quarter, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
