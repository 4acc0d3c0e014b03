/*
 * What is seen of the bus from beside it: members over all workers, the rooms that there are, and
 * the figures of the log. Who looks is a process of its own that is in no room.
 */
// links: base bus
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "bus/presence.h"
#include "test_bus_check.h"

enum { SIZE = 65536, LAG = 8192, ROOMS = 8, WORKERS = 2, LOOKER = SLOTS_WORKERS };

/* Each process is a copy of the master's struct, as after a fork; the memory is one. */
struct fixture {
	struct bus *master;
	struct bus worker[WORKERS];
	struct bus looker;
	int wakeups[SLOTS];
};

static void begin_as(struct fixture *f, struct bus *b, int slot)
{
	*b = *f->master;
	bus_set_slot(b, slot);
}

static int set_up_rooms(void **state, uint32_t rooms)
{
	struct bus_limits l = { .size = SIZE, .lag = LAG, .max_rooms = rooms };
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	bus_check_open(f->wakeups);
	f->master = bus_new(&l, f->wakeups);
	assert_non_null(f->master);
	for (int i = 0; i < WORKERS; i++)
		begin_as(f, &f->worker[i], i);
	begin_as(f, &f->looker, LOOKER);
	*state = f;
	return 0;
}

static int set_up(void **state)
{
	return set_up_rooms(state, ROOMS);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	bus_free(f->master);
	bus_check_close(f->wakeups);
	free(f);
	return 0;
}

static struct bus_room join(struct bus *b, const char *name, uint32_t members)
{
	struct bus_room room;
	uint64_t sequence;

	assert_int_equal(bus_join(b, name, strlen(name), NULL, &room, &sequence), BUS_OK);
	bus_go(b, room, members, 0);
	return room;
}

static void say(struct bus *b, struct bus_room room, size_t len, int64_t time)
{
	static const uint8_t bytes[SIZE / 4];
	const struct bus_meta meta = { .kind = BUS_KIND_MESSAGE, .time = time };
	struct bus_part part = { bytes, len };

	assert_int_equal(bus_append(b, room, &meta, &part, 1), BUS_OK);
}

/* Until everything that was said before is overwritten. */
static void go_round(struct fixture *f, struct bus_room room)
{
	for (size_t n = 0; n <= SIZE / 1000 + 1; n++) {
		say(&f->looker, room, 1000, 1);
		for (int i = 0; i < WORKERS; i++)
			bus_advance(&f->worker[i], f->master->shared->tail);
	}
}

static void test_members_of_all_workers(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *b = &f->worker[1];
	struct bus_room one = join(a, "one", 3), two = join(b, "two", 5);

	assert_int_equal(bus_members(&f->looker, one), 3);
	join(b, "one", UINT32_MAX);
	assert_int_equal(bus_members(&f->looker, one), 3 + (uint64_t)UINT32_MAX);
	assert_int_equal(bus_members(a, two), 5);
	bus_go(a, one, 4, 0);
	bus_leave(b, one);
	assert_int_equal(bus_members(&f->looker, one), 4);
	bus_leave(a, one);
	assert_int_equal(bus_members(&f->looker, one), 0);
	bus_go(a, (struct bus_room){ one.id, ROOMS }, 1, 0);
	bus_go(a, (struct bus_room){ one.id + 77, one.index }, 1, 0);
	assert_int_equal(bus_members(&f->looker, (struct bus_room){ one.id, ROOMS }), 0);
	assert_int_equal(bus_members(&f->looker, (struct bus_room){ one.id + 77, one.index }), 0);
}

/* Neither who has the slot next, nor the next room in the place, has members of before. */
static void test_members_of_the_dead(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *b = &f->worker[1];
	struct bus_room room = join(a, "room", 3);
	uint64_t sequence;

	join(b, "room", 5);
	bus_clear_slot(f->master, 0);
	assert_int_equal(bus_members(&f->looker, room), 5);
	begin_as(f, a, 0);
	assert_int_equal(bus_join(a, "room", 4, NULL, &room, &sequence), BUS_OK);
	assert_int_equal(bus_members(&f->looker, room), 5);
	bus_go(a, room, 1, 0);
	assert_int_equal(bus_members(&f->looker, room), 6);

	bus_leave(a, room);
	bus_leave(b, room);
	for (char name[] = "0"; name[0] < '0' + ROOMS; name[0]++) {
		assert_int_equal(bus_join(b, name, 1, NULL, &room, &sequence), BUS_OK);
		assert_int_equal(bus_members(&f->looker, room), 0);
	}
}

/* The room of that name in a list of all of them. */
static bool is_listed(const struct bus *b, const char *name, struct bus_listed *r)
{
	struct bus_listed all;
	unsigned found = 0;

	for (uint32_t i = 0; i < bus_places(b); i++) {
		if (!bus_list(b, i, &all) || all.name_len != strlen(name) ||
		    memcmp(all.name, name, all.name_len) != 0)
			continue;
		*r = all;
		found++;
	}
	assert_in_range(found, 0, 1);
	return found == 1;
}

static uint32_t rooms_in_use(const struct bus *b)
{
	struct bus_figures figures;

	bus_look(b, &figures);
	return figures.rooms;
}

static void test_rooms_in_use_are_listed(void **state)
{
	struct fixture *f = *state;
	struct bus_room joined = join(&f->worker[0], "joined", 7), said, opened, found;
	struct bus_listed r;

	assert_int_equal(bus_open(&f->looker, "said", 4, NULL, &said), BUS_OK);
	assert_int_equal(bus_open(&f->looker, "opened", 6, NULL, &opened), BUS_OK);
	say(&f->looker, said, 1, 1);
	say(&f->looker, said, 1, 1);
	assert_true(is_listed(&f->looker, "joined", &r));
	assert_int_equal(r.room.id, joined.id);
	assert_int_equal(r.room.index, joined.index);
	assert_int_equal(r.members, 7);
	assert_int_equal(r.sequence, 0);
	assert_true(is_listed(&f->looker, "said", &r));
	assert_int_equal(r.room.id, said.id);
	assert_int_equal(r.members, 0);
	assert_int_equal(r.sequence, 2);
	/* nobody is in it, nothing was said */
	assert_false(is_listed(&f->looker, "opened", &r));
	assert_int_equal(rooms_in_use(&f->looker), 2);
	assert_int_equal(bus_find(&f->looker, "opened", 6, &found), BUS_GONE);
	assert_int_equal(bus_find(&f->looker, "joined", 6, &found), BUS_OK);
	assert_int_equal(found.id, joined.id);
	assert_int_equal(bus_find(&f->looker, "said", 4, &found), BUS_OK);
	assert_int_equal(found.index, said.index);

	go_round(f, joined);
	assert_false(is_listed(&f->looker, "said", &r));
	assert_int_equal(bus_find(&f->looker, "said", 4, &found), BUS_GONE);
	assert_true(is_listed(&f->looker, "joined", &r));
	bus_leave(&f->worker[0], joined);
	assert_true(is_listed(&f->looker, "joined", &r));
	assert_int_equal(r.members, 0);
	assert_int_equal(bus_places(&f->looker), 3);
	assert_false(bus_list(&f->looker, 3, &r));
	assert_false(bus_list(&f->looker, ROOMS, &r));
}

static void test_looking_for_a_room_makes_none(void **state)
{
	static const char too_long[BUS_ROOM_NAME_MAX + 1];
	struct fixture *f = *state;
	struct bus_room room = { 1, 2 };

	assert_int_equal(bus_find(&f->looker, "none", 4, &room), BUS_GONE);
	assert_int_equal(bus_find(&f->looker, too_long, sizeof(too_long), &room), BUS_GONE);
	assert_int_equal(bus_places(&f->looker), 0);
	f->master->shared->broken = 1;
	assert_int_equal(bus_find(&f->looker, "none", 4, &room), BUS_CORRUPT);
}

/* A place that is given to another room shows that one, with nothing of the one before. */
static void test_places_are_used_again(void **state)
{
	struct fixture *f = *state;
	struct bus_room rooms[ROOMS], another;
	struct bus_listed r;

	for (char name[] = "0"; name[0] < '0' + ROOMS; name[0]++)
		rooms[name[0] - '0'] = join(&f->worker[0], name, 9);
	bus_leave(&f->worker[0], rooms[5]);
	assert_int_equal(rooms_in_use(&f->looker), ROOMS - 1);
	another = join(&f->worker[1], "another", 1);
	assert_int_equal(another.index, rooms[5].index);
	assert_true(bus_list(&f->looker, another.index, &r));
	assert_int_equal(r.room.id, another.id);
	assert_int_equal(r.members, 1);
	assert_int_equal(r.name_len, 7);
	assert_false(is_listed(&f->looker, "5", &r));
	assert_int_equal(bus_members(&f->looker, rooms[5]), 0);
	/* as it is for a moment while a room is made */
	f->master->names[another.index].id = 0;
	assert_false(bus_list(&f->looker, another.index, &r));
	f->master->shared->used = UINT32_MAX;
	assert_int_equal(bus_places(&f->looker), ROOMS);
}

enum { MANY_ROOMS = 65536 };

static int set_up_many(void **state)
{
	return set_up_rooms(state, MANY_ROOMS);
}

/* Members take memory where there are some; to look takes none. */
static void test_rows_are_there_where_they_are_used(void **state)
{
	struct fixture *f = *state;
	struct stat before, after;
	struct bus_listed r;

	assert_int_equal(fstat(f->master->segment.fd, &before), 0);
	for (unsigned i = 0; i < 2000; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%u", i);
		join(&f->worker[i % 2], name, 1);
	}
	/* of each: 64 bytes twice, a name, and 4 for each worker; and what begins and ends a page */
	assert_int_equal(fstat(f->master->segment.fd, &after), 0);
	assert_in_range((after.st_blocks - before.st_blocks) * 512, 2000 * (2 * 64 + 1088),
			2000 * (2 * 64 + 1088 + 2 * 4) + MANY_ROOMS * 4 + 16 * 4096);
	before = after;
	for (uint32_t i = 0; i < bus_places(&f->looker); i++)
		assert_true(bus_list(&f->looker, i, &r));
	assert_int_equal(rooms_in_use(&f->looker), 2000);
	assert_int_equal(fstat(f->master->segment.fd, &after), 0);
	assert_int_equal(after.st_blocks, before.st_blocks);
}

static void test_what_is_still_to_be_read(void **state)
{
	struct fixture *f = *state;
	struct bus_room room = join(&f->worker[0], "room", 1);
	struct bus_figures figures;
	uint64_t start = f->master->shared->tail;

	join(&f->worker[1], "room", 1);
	bus_look(&f->looker, &figures);
	assert_int_equal(figures.size, SIZE);
	assert_int_equal(figures.lag, LAG);
	assert_int_equal(figures.max_rooms, ROOMS);
	assert_int_equal(figures.rooms, 1);
	assert_int_equal(figures.used, 0);
	assert_int_equal(figures.oldest, 0);
	for (int i = 0; i < 3; i++)
		say(&f->looker, room, 1000 - sizeof(struct bus_head), 1);
	bus_advance(&f->worker[1], start + 2000);
	bus_look(&f->looker, &figures);
	assert_int_equal(figures.used, 3000);
	for (int i = 0; i < SLOTS; i++)
		assert_int_equal(figures.behind[i], i == 0 ? 3000 : i == 1 ? 1000 : 0);
	bus_leave(&f->worker[0], room);
	bus_look(&f->looker, &figures);
	assert_int_equal(figures.used, 1000);
}

/* In the order of positions, as long as the test keeps them: the time of each is its number. */
static void test_age_of_the_oldest(void **state)
{
	static uint64_t positions[20000];
	struct fixture *f = *state;
	struct bus_room room;
	unsigned seed = bus_check_seed(), oldest = 1;
	struct bus_figures figures;

	assert_int_equal(bus_open(&f->looker, "room", 4, NULL, &room), BUS_OK);
	for (unsigned n = 1; n < 20000; n++) {
		size_t len = (size_t)rand_r(&seed) % (rand_r(&seed) % 50 ? 200 : SIZE / 8);
		uint64_t told;

		positions[n] = f->master->shared->tail;
		say(&f->looker, room, len, n);
		while (f->master->shared->reserve - positions[oldest] > SIZE)
			oldest++;
		bus_look(&f->looker, &figures);
		assert_in_range(figures.oldest, oldest, n);
		told = positions[figures.oldest];
		/* an entry behind one that begins a 64th later, at most */
		if (told - positions[oldest] > SIZE / 64)
			assert_true(positions[figures.oldest - 1] - positions[oldest] <= SIZE / 64);
		if (positions[n] <= SIZE + SIZE / 64)
			assert_int_equal(figures.oldest, 1);
	}
	assert_true(oldest > 15000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_members_of_all_workers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_members_of_the_dead, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rooms_in_use_are_listed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_looking_for_a_room_makes_none, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_places_are_used_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rows_are_there_where_they_are_used,
						set_up_many, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_still_to_be_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_age_of_the_oldest, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
