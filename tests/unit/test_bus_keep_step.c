/*
 * A kill between any two instructions of whatever changes what a room keeps: an entry that comes
 * and one that leaves, a room that is carried, by an append or ahead of it, one that is evicted, told
 * to keep something else, or gives way. Each time all that is to be kept is there, byte for byte, and the
 * sums are the sums. And what is kept can be read wherever it is carried meanwhile.
 */
// links: base bus
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bus_step.h"

enum { LAG = 16384, KEPT = 5, LONG = 700, SHORT = 40, GROUP = 3, NOW = 1000 };

static const struct bus_keep five = { .messages = KEPT, .bytes = LAG / 4, .group = GROUP };

static int set_up(void **state)
{
	return set_up_in(state, A_WORKER, LAG, MOST_ROOMS);
}

/* All bytes of an entry are the low ones of its number. */
static enum bus_result say(struct bus *b, struct bus_room room, size_t len)
{
	static uint8_t bytes[LAG];
	const struct bus_meta meta = { .kind = BUS_KIND_MESSAGE, .time = NOW };
	struct bus_part part = { bytes, len };

	memset(bytes, (int)(bus_sequence(b, room) + 1), len);
	return bus_append(b, room, &meta, &part, 1);
}

/* By the other, however often it is told to try again. */
static void other_says(struct fixture *f, struct bus_room room, size_t len)
{
	enum bus_result result;

	while ((result = say(&f->other, room, len)) == BUS_FULL)
		bus_advance(&f->other, f->other.shared->tail);
	assert_int_equal(result, BUS_OK);
}

/* Returns how many of the room's newest entries are shown; -1: they are not what was said. */
static int look_at(const struct bus *b, struct bus_room room)
{
	static struct bus_entry entries[2 * KEPT];
	static uint8_t bytes[SIZE];
	struct bus_past past = { entries, 2 * KEPT, 0, bytes, sizeof(bytes), 0, 0, NOW };
	enum bus_result result = bus_history(b, room, UINT64_MAX, &past);

	if (result != BUS_OK && result != BUS_EMPTY)
		return -1;
	for (size_t i = past.first; i < past.most; i++) {
		const struct bus_entry *e = &entries[i];

		if (i > past.first && e->sequence != e[-1].sequence + 1)
			return -1;
		for (size_t n = 0; n < e->frame_len; n++)
			if (e->frame[n] != (uint8_t)e->sequence)
				return -1;
	}
	return (int)(past.most - past.first);
}

static void assert_kept(const struct fixture *f, struct bus_room room)
{
	uint64_t said = bus_sequence(&f->other, room) - bus_beginning(&f->other, room);

	assert_int_equal(look_at(&f->other, room), said < KEPT ? (int)said : KEPT);
}

/* What is new comes to who reads once and in order, carried or not. */
static void read_on(struct fixture *f)
{
	enum bus_result result;
	struct bus_entry e;

	while ((result = bus_read(&f->other, bus_cursor(&f->other), &e)) == BUS_OK) {
		if (e.room.id == f->room.id && e.meta.kind != BUS_KIND_KEPT)
			assert_int_equal(e.sequence, ++f->last);
		bus_advance(&f->other, e.end);
	}
	assert_int_equal(result, BUS_EMPTY);
}

/* Who comes next mends what there is to mend. */
static void assert_sound(struct fixture *f)
{
	other_says(f, f->room, SHORT);
	assert_null(bus_check_keeping(&f->other));
	assert_null(bus_check_directory(&f->other));
	read_on(f);
	assert_int_equal(f->last, bus_sequence(&f->other, f->room));
}

static void open_keeper(struct fixture *f, unsigned i)
{
	const char letter = (char)('a' + i);

	assert_int_equal(bus_open(&f->other, &letter, 1, &five, &f->held[i]), BUS_OK);
}

/* --- an entry that comes, and one that leaves --- */

static void open_two(struct fixture *f)
{
	for (unsigned i = 0; i < 2; i++)
		open_keeper(f, i);
}

static void victim_says(struct fixture *f)
{
	if (say(f->victim, f->held[0], LONG) != BUS_OK)
		_exit(1);
}

static void check_two(struct fixture *f)
{
	assert_sound(f);
	for (unsigned i = 0; i < 2; i++)
		assert_kept(f, f->held[i]);
}

static void test_append(void **state)
{
	open_two(*state);
	assert_some_with_the_lock(*state, kill_everywhere(*state, NULL, victim_says, check_two));
}

static void victim_says_all(struct fixture *f)
{
	static uint8_t bytes[2 * KEPT][SHORT];
	struct bus_part parts[2 * KEPT];
	struct bus_item items[2 * KEPT];

	for (unsigned i = 0; i < 2 * KEPT; i++) {
		struct bus_room room = f->held[i % 2];
		uint64_t number = bus_sequence(f->victim, room) + 1 + i / 2;

		memset(bytes[i], (int)number, SHORT);
		parts[i] = (struct bus_part){ bytes[i], SHORT };
		items[i] = (struct bus_item){ .room = room,
					      .meta = { .kind = BUS_KIND_MESSAGE, .time = NOW },
					      .parts = &parts[i],
					      .count = 1 };
	}
	if (bus_append_all(f->victim, items, 2 * KEPT) != BUS_OK)
		_exit(1);
}

static void test_batch(void **state)
{
	open_two(*state);
	assert_some_with_the_lock(*state,
				  kill_everywhere(*state, NULL, victim_says_all, check_two));
}

/* --- a room that is carried --- */

/* Whether who appends an entry of that length finds what a room keeps in the way. */
static bool is_in_the_way(const struct fixture *f, unsigned i, size_t len)
{
	const struct bus_keeping *all = f->other.keeping;

	return all->rooms[f->held[i].index].from + SIZE <
	       f->other.shared->tail + all->size + 2 * bus_entry_size(len);
}

/* Others write until the ring has come round to what the first room keeps, but for a long entry. */
static void come_round(struct fixture *f)
{
	for (int i = 0; i < KEPT; i++)
		other_says(f, f->held[0], 100);
	while (!is_in_the_way(f, 0, LONG)) {
		other_says(f, f->room, SHORT);
		bus_advance(&f->other, f->other.shared->tail);
	}
	f->last = bus_sequence(&f->other, f->room);
}

static uint64_t carried;

static void prepare_carry(struct fixture *f)
{
	/* in the process that is traced, too, where it changes nothing that is shared */
	carried = f->victim->keeping->rooms[f->held[0].index].from;
}

static void say_in_room(struct fixture *f)
{
	if (say(f->victim, f->room, LONG) != BUS_OK)
		_exit(1);
}

static unsigned moved, stayed;

/* It is carried or not, by who died or who came after it, and is all there. */
static void check_carried(struct fixture *f)
{
	const struct bus_dir_keep *k = &f->other.keeping->rooms[f->held[0].index];
	struct bus_room room;

	assert_int_equal(bus_find(&f->other, "a", 1, &room), BUS_OK);
	if (k->from != carried)
		moved++;
	else
		stayed++;
	assert_null(bus_check_keeping(&f->other));
	assert_kept(f, f->held[0]);
	assert_sound(f);
	check_two(f);
	/* for the next one */
	bus_advance(&f->other, f->other.shared->tail);
	come_round(f);
	prepare_carry(f);
}

static void carry_everywhere(struct fixture *f, void (*call)(struct fixture *))
{
	open_two(f);
	come_round(f);
	prepare_carry(f);
	moved = stayed = 0;
	assert_some_with_the_lock(f, kill_everywhere(f, prepare_carry, call, check_carried));
	print_message("%u carried, %u not\n", moved, stayed);
	assert_true(moved > 2 && stayed > 2);
	assert_int_equal(bus_look_at_group(f->victim, GROUP).evicted, 0);
}

static void test_append_that_carries(void **state)
{
	carry_everywhere(*state, say_in_room);
}

static void victim_carries(struct fixture *f)
{
	if (bus_carry(f->victim, NOW, NOW) != BUS_OK)
		_exit(1);
}

static void test_carry_ahead(void **state)
{
	carry_everywhere(*state, victim_carries);
}

/* --- one that is evicted --- */

enum { HOARDERS = 7 };

/* They keep more than a quarter of the ring, and what the first of them keeps is in the way. */
static void hoard(struct fixture *f)
{
	for (unsigned i = 0; i < HOARDERS; i++) {
		open_keeper(f, i);
		for (int n = 0; n < KEPT; n++)
			other_says(f, f->held[i], LONG);
		bus_advance(&f->other, f->other.shared->tail);
	}
	while (!is_in_the_way(f, 0, LONG)) {
		other_says(f, f->room, SHORT);
		bus_advance(&f->other, f->other.shared->tail);
	}
	f->last = bus_sequence(&f->other, f->room);
}

static void check_evicted(struct fixture *f)
{
	uint64_t missing = 0;

	assert_sound(f);
	for (unsigned i = 0; i < HOARDERS; i++) {
		int shown = look_at(&f->other, f->held[i]);

		assert_in_range(shown, 0, KEPT);
		missing += (uint64_t)(KEPT - shown);
	}
	assert_int_equal(bus_look_at_group(&f->other, GROUP).evicted, missing);
	/* as if nothing had been */
	f->other.keeping->evicted[GROUP] = 0;
	for (unsigned i = 0; i < HOARDERS; i++)
		assert_int_equal(bus_forget(&f->other, f->held[i]), BUS_OK);
	hoard(f);
	missing = f->other.keeping->evicted[GROUP];
	assert_int_equal(missing, 0);
}

static void test_eviction(void **state)
{
	struct fixture *f = *state;

	hoard(f);
	assert_true(f->other.keeping->size > SIZE / 4);
	assert_some_with_the_lock(f, kill_everywhere(f, NULL, say_in_room, check_evicted));
}

/* --- what it is told --- */

static void victim_sets(struct fixture *f)
{
	const struct bus_keep other = { .messages = 2, .bytes = LAG / 4, .ttl = 9, .group = 77 };
	const struct bus_keep nothing = { .messages = 0 };

	if (bus_set_keep(f->victim, f->held[0], &other) != BUS_OK ||
	    bus_set_keep(f->victim, f->held[1], &nothing) != BUS_OK ||
	    bus_forget(f->victim, f->held[2]) != BUS_OK)
		_exit(1);
}

static void tell_them(struct fixture *f)
{
	for (unsigned i = 0; i < 3; i++) {
		open_keeper(f, i);
		while (look_at(&f->other, f->held[i]) < KEPT)
			other_says(f, f->held[i], SHORT);
	}
}

static void check_told(struct fixture *f)
{
	static const int less[] = { 2, 0, 0 };
	int shown;

	assert_sound(f);
	for (unsigned i = 0; i < 3; i++) {
		shown = look_at(&f->other, f->held[i]);
		assert_true(shown == KEPT || shown == less[i]);
	}
	tell_them(f);
}

static void test_set_and_forget(void **state)
{
	tell_them(*state);
	assert_some_with_the_lock(*state, kill_everywhere(*state, NULL, victim_sets, check_told));
}

/* --- a room that gives way --- */

static void fill_directory(struct fixture *f)
{
	for (unsigned i = 0; i < MOST_ROOMS - 1; i++) {
		open_keeper(f, i);
		if (look_at(&f->other, f->held[i]) == 0)
			other_says(f, f->held[i], SHORT);
	}
}

static void open_another(struct fixture *f)
{
	char name[32];
	struct bus_room room;
	int len = snprintf(name, sizeof(name), "another %u", f->number);

	if (bus_open(f->victim, name, (size_t)len, &five, &room) != BUS_OK)
		_exit(1);
}

/* The rooms that are there are all sound, and no number is given again. */
static void check_given_way(struct fixture *f)
{
	static uint64_t newest;
	unsigned missing = 0;

	assert_sound(f);
	if (f->number == 0)
		newest = 0;
	/* who was about to give way may have lost what it kept, and nobody else has */
	for (unsigned i = 0; i < MOST_ROOMS - 1; i++)
		if (bus_room_at(&f->other, f->held[i]))
			missing += look_at(&f->other, f->held[i]) != 1;
	assert_in_range(missing, 0, 1);
	fill_directory(f);
	for (unsigned i = 0; i < MOST_ROOMS - 1; i++) {
		if (!bus_room_at(&f->other, f->held[i]) ||
		    bus_beginning(&f->other, f->held[i]) == 0)
			continue;
		assert_true(bus_beginning(&f->other, f->held[i]) <= f->other.keeping->floor);
	}
	assert_true(f->other.keeping->floor >= newest);
	newest = f->other.keeping->floor;
	assert_null(bus_check_directory(&f->other));
}

static void test_gives_way(void **state)
{
	fill_directory(*state);
	assert_some_with_the_lock(*state,
				  kill_everywhere(*state, NULL, open_another, check_given_way));
}

/* --- who looks at what is kept, while it is carried --- */

static void prepare_look(struct fixture *f)
{
	if (f->held[0].id == 0)
		open_two(f);
	while (look_at(&f->other, f->held[0]) < KEPT)
		other_says(f, f->held[0], LONG);
	come_round(f);
}

static void look(struct fixture *f)
{
	if (look_at(f->victim, f->held[0]) != KEPT)
		_exit(1);
}

/* As much as comes round once, by which what is kept is carried, or nearly. */
static void write_round(struct fixture *f)
{
	uint64_t until = f->other.shared->tail + SIZE / 2 + f->number % 8 * SIZE / 8;

	while (f->other.shared->tail < until)
		other_says(f, f->room, LONG);
}

static void test_looks_while_it_is_carried(void **state)
{
	meddle_everywhere(*state, prepare_look, look, write_round, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_append, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_batch, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_append_that_carries, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_carry_ahead, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_eviction, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_set_and_forget, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_gives_way, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_looks_while_it_is_carried, set_up, tear_down),
	};

	/* by a sample, as each of them takes long */
	kills_wanted = 30;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
