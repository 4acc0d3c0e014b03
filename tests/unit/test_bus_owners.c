// links: base bus
/*
 * test_bus_owners.c - how many rooms somebody has, also when workers die.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/bus_internal.h"

static struct bus *bus;

static int begin(void **state)
{
	static const struct bus_limits limits = { .size = 65536, .lag = 16384, .max_rooms = 64 };
	int wakeups[SLOTS];

	(void)state;
	for (int i = 0; i < SLOTS; i++)
		wakeups[i] = -1;
	bus = bus_new(&limits, wakeups);
	assert_non_null(bus);
	bus_set_slot(bus, 1);
	return 0;
}

static int end(void **state)
{
	(void)state;
	bus_free(bus);
	return 0;
}

static struct bus_room join(int number)
{
	struct bus_room room;
	uint64_t sequence;
	char name[16];
	int len = snprintf(name, sizeof(name), "/%d", number);

	assert_int_equal(bus_join(bus, name, (size_t)len, NULL, &room, &sequence), BUS_OK);
	return room;
}

static void test_most(void **state)
{
	struct bus_room rooms[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		rooms[i] = join(i);
	for (int i = 0; i < 3; i++)
		assert_int_equal(bus_count_for(bus, rooms[i], 7, 3), BUS_OK);
	assert_int_equal(bus_count_for(bus, rooms[3], 7, 3), BUS_ROOMS_FULL);
	/* one that counts already does, whatever the limit is by now */
	assert_int_equal(bus_count_for(bus, rooms[0], 7, 1), BUS_OK);
	/* others have their own */
	assert_int_equal(bus_count_for(bus, rooms[3], 8, 1), BUS_OK);
	/* a room counts for one of them: the last one */
	assert_int_equal(bus_count_for(bus, rooms[0], 8, 1), BUS_ROOMS_FULL);
	assert_int_equal(bus_count_for(bus, rooms[0], 8, 2), BUS_OK);
	assert_int_equal(bus_count_for(bus, rooms[3], 7, 3), BUS_OK);
	bus_leave(bus, rooms[0]);
	bus_leave(bus, rooms[1]);
	rooms[0] = join(10);
	rooms[1] = join(11);
	assert_int_equal(bus_count_for(bus, rooms[0], 7, 3), BUS_OK);
	assert_int_equal(bus_count_for(bus, rooms[1], 7, 3), BUS_ROOMS_FULL);
}

/* One room of two workers is one, up to the last of them. */
static void test_readers(void **state)
{
	struct bus_room room = join(1), other = join(2);

	(void)state;
	assert_int_equal(bus_count_for(bus, room, 7, 1), BUS_OK);
	bus_set_slot(bus, 2);
	room = join(1);
	assert_int_equal(bus_count_for(bus, room, 7, 1), BUS_OK);
	bus_leave(bus, room);
	assert_int_equal(bus_count_for(bus, other, 7, 1), BUS_ROOMS_FULL);
	bus_set_slot(bus, 1);
	bus_leave(bus, room);
	assert_int_equal(bus_count_for(bus, other, 7, 1), BUS_OK);
}

/* What the dead had is nobody's, and what others have of it is theirs. */
static void test_death(void **state)
{
	struct bus_room one = join(1), both = join(2), new;

	(void)state;
	assert_int_equal(bus_count_for(bus, one, 7, 2), BUS_OK);
	assert_int_equal(bus_count_for(bus, both, 7, 2), BUS_OK);
	bus_set_slot(bus, 2);
	join(2);
	new = join(3);
	assert_int_equal(bus_count_for(bus, new, 7, 2), BUS_ROOMS_FULL);
	bus_clear_slot(bus, 1);
	assert_int_equal(bus_count_for(bus, new, 7, 2), BUS_OK);
	assert_int_equal(bus_count_for(bus, join(4), 7, 2), BUS_ROOMS_FULL);
}

/* Between a mark and its count a worker may die: the count is made anew. */
static void test_death_within(void **state)
{
	struct bus_room rooms[3];
	pid_t pid;

	(void)state;
	for (int i = 0; i < 3; i++)
		rooms[i] = join(i);
	assert_int_equal(bus_count_for(bus, rooms[0], 7, 2), BUS_OK);
	assert_int_equal(bus_count_for(bus, rooms[1], 7, 2), BUS_OK);
	pid = fork();
	if (pid == 0) {
		assert_int_equal(bus_lock(bus, BUS_PATIENTLY), BUS_OK);
		for (uint32_t i = 0; i < BUS_OWNERS; i++)
			atomic_store(&bus->owners->all[i].rooms, 0);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(bus_count_for(bus, rooms[2], 7, 2), BUS_ROOMS_FULL);
	assert_int_equal(bus_count_for(bus, rooms[2], 7, 3), BUS_OK);
}

/* The lock is not to be had: it leaves all the same, and is not counted for long. */
static void test_leave_without_the_lock(void **state)
{
	struct bus_room room = join(1), other = join(2);

	(void)state;
	assert_int_equal(bus_count_for(bus, room, 7, 1), BUS_OK);
	assert_int_equal(bus_lock(bus, BUS_PATIENTLY), BUS_OK);
	bus_leave(bus, room);
	bus_unlock(bus);
	assert_int_equal(bus_count_for(bus, other, 7, 1), BUS_OK);
}

static void test_many_owners(void **state)
{
	struct bus_room rooms[64];

	(void)state;
	for (int i = 0; i < 60; i++)
		rooms[i] = join(i);
	for (int round = 0; round < 100; round++)
		for (int i = 0; i < 60; i++)
			assert_int_equal(
				bus_count_for(bus, rooms[i], 1 + (uint64_t)(round * 60 + i), 1),
				BUS_OK);
}

static void test_gone(void **state)
{
	struct bus_room room = join(1);

	(void)state;
	room.id += 100;
	assert_int_equal(bus_count_for(bus, room, 7, 1), BUS_GONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_most),
		TEST(test_readers),
		TEST(test_death),
		TEST(test_death_within),
		TEST(test_leave_without_the_lock),
		TEST(test_many_owners),
		TEST(test_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
