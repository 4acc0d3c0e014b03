/*
 * Who is in a room, over all workers: lists that are written by some and read by others, whatever
 * has become of who writes, and whatever stands in the memory.
 */
// links: base bus
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "bus/presence.h"
#include "test_bus_check.h"
#include "resident.h"

enum { SIZE = 65536, LAG = 8192, ROOMS = 8, MEMBERS = 6, WORKERS = 3, MOST = 64 };

/* Each process is a copy of the master's struct, as after a fork; the memory is one. */
struct fixture {
	struct bus *master;
	struct bus worker[WORKERS];
	int wakeups[SLOTS];
	struct bus_who who[MOST];
	char names[MOST * BUS_USER_MAX];
	struct bus_present found;
};

static void begin_as(struct fixture *f, int slot)
{
	f->worker[slot] = *f->master;
	bus_set_slot(&f->worker[slot], slot);
}

static int set_up_members(void **state, uint32_t members)
{
	struct bus_limits l = { .size = SIZE, .lag = LAG, .max_rooms = ROOMS, .members = members };
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	bus_check_open(f->wakeups);
	f->master = bus_new(&l, f->wakeups);
	assert_non_null(f->master);
	for (int i = 0; i < WORKERS; i++)
		begin_as(f, i);
	*state = f;
	return 0;
}

static int set_up(void **state)
{
	return set_up_members(state, MEMBERS);
}

static int set_up_many(void **state)
{
	return set_up_members(state, 1 << 15);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	bus_free(f->master);
	bus_check_close(f->wakeups);
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

static enum bus_presence look(struct fixture *f, struct bus_room room, size_t most)
{
	f->found = (struct bus_present){
		.who = f->who, .names = f->names, .size = MOST, .most = most
	};
	return bus_present(f->master, room, &f->found);
}

/* All are listed, and they are these, up to 0. */
static void assert_present(struct fixture *f, struct bus_room room, const uint64_t *ids)
{
	size_t n = 0;

	assert_int_equal(look(f, room, MOST), BUS_PRESENT_ALL);
	for (; ids[n] != 0; n++)
		assert_true(n < f->found.count && !f->who[n].user && f->who[n].key == ids[n]);
	assert_int_equal(f->found.count, n);
	assert_int_equal(f->found.members, n);
}

#define ASSERT_PRESENT(f, room, ...)                                                               \
	assert_present((f), (room), (const uint64_t[]){ __VA_ARGS__, 0 })

static void test_come_and_go(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *b = &f->worker[1];
	struct bus_room room = join(a, "room"), other = join(a, "other");
	uint32_t places[4];

	join(b, "room");
	ASSERT_PRESENT(f, room, 0);
	places[0] = bus_come(a, room, 1, 11, NULL);
	places[1] = bus_come(a, room, 2, 12, NULL);
	places[2] = bus_come(a, room, 3, 13, NULL);
	places[3] = bus_come(b, room, 1, 21, NULL);
	bus_come(a, other, 1, 99, NULL);
	ASSERT_PRESENT(f, room, 11, 12, 13, 21);
	ASSERT_PRESENT(f, other, 99);
	/* in the midst of its chain, its last, its first */
	bus_go(a, room, 2, places[1]);
	ASSERT_PRESENT(f, room, 11, 13, 21);
	bus_go(a, room, 1, places[0]);
	ASSERT_PRESENT(f, room, 13, 21);
	bus_go(b, room, 0, places[3]);
	bus_leave(b, room);
	ASSERT_PRESENT(f, room, 13);
	assert_int_equal(bus_come(a, room, 2, 14, NULL), places[0]);
	ASSERT_PRESENT(f, room, 13, 14);
	bus_go(a, room, 1, places[2]);
	ASSERT_PRESENT(f, room, 14);
}

/* How many there are is known, who they are is not. */
static void test_more_than_is_listed(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0];
	struct bus_room room = join(a, "room");
	uint32_t places[MEMBERS + 1];

	for (uint32_t i = 0; i < MEMBERS; i++)
		places[i] = bus_come(a, room, i + 1, 100 + i, NULL);
	assert_int_equal(look(f, room, MEMBERS - 1), BUS_PRESENT_MANY);
	assert_int_equal(f->found.members, MEMBERS);
	assert_int_equal(f->found.count, 0);
	assert_int_equal(look(f, room, MEMBERS), BUS_PRESENT_ALL);
	/* there is no row more */
	assert_int_equal(bus_come(a, room, MEMBERS + 1, 200, NULL), 0);
	assert_int_equal(look(f, room, MOST), BUS_PRESENT_SOME);
	assert_int_equal(f->found.members, MEMBERS + 1);
	assert_int_equal(f->found.count, 0);
	/* one that was not listed goes, and one that was */
	bus_go(a, room, MEMBERS, 0);
	assert_int_equal(look(f, room, MOST), BUS_PRESENT_ALL);
	bus_go(a, room, MEMBERS - 1, places[3]);
	ASSERT_PRESENT(f, room, 100, 101, 102, 104, 105);
	/* one that is there, and is not to be listed any more, and then is */
	bus_go(a, room, MEMBERS - 1, places[5]);
	assert_int_equal(look(f, room, MOST), BUS_PRESENT_SOME);
	assert_int_not_equal(bus_come(a, room, MEMBERS - 1, 105, NULL), 0);
	ASSERT_PRESENT(f, room, 100, 101, 102, 104, 105);
}

/* Whoever looks again when they have moved misses nothing. */
static void test_changes(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *b = &f->worker[1];
	struct bus_room room = join(a, "room"), other = join(a, "other");
	uint32_t of_room = bus_changes(f->master, room), of_other = bus_changes(f->master, other);
	uint64_t of_all = bus_all_changes(f->master);
	uint32_t place;

	join(b, "room");
	place = bus_come(a, room, 1, 1, NULL);
	assert_int_not_equal(bus_changes(f->master, room), of_room);
	of_room = bus_changes(f->master, room);
	bus_go(a, room, 0, place);
	assert_int_not_equal(bus_changes(f->master, room), of_room);
	of_room = bus_changes(f->master, room);
	bus_clear_slot(f->master, 1);
	assert_int_not_equal(bus_changes(f->master, room), of_room);
	assert_int_equal(bus_changes(f->master, other), of_other);
	assert_true(bus_all_changes(f->master) > of_all);
}

/* What it leaves behind is nobody's, and its rows are all free. */
static void test_the_dead(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *b = &f->worker[1];
	struct bus_room room = join(a, "room");

	join(b, "room");
	bus_come(b, room, 1, 21, NULL);
	for (uint32_t i = 0; i < MEMBERS; i++)
		bus_come(a, room, i + 1, 100 + i, NULL);
	/* it dies in the midst of a change */
	f->master->shared->slots[0].changing++;
	assert_int_equal(look(f, room, MOST), BUS_PRESENT_BUSY);
	bus_clear_slot(f->master, 0);
	ASSERT_PRESENT(f, room, 21);
	begin_as(f, 0);
	join(a, "room");
	ASSERT_PRESENT(f, room, 21);
	for (uint32_t i = 0; i < MEMBERS; i++)
		assert_int_not_equal(bus_come(a, room, i + 1, 300 + i, NULL), 0);
	ASSERT_PRESENT(f, room, 21, 300, 301, 302, 303, 304, 305);
	bus_clear_slot(f->master, 0);
	bus_clear_slot(f->master, 1);
	ASSERT_PRESENT(f, room, 0);
}

/* The next room in the place has none of the members of the one before it. */
static void test_another_room(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0];
	struct bus_room room = join(a, "room");
	const struct bus_room next = { room.id + 1, room.index }, none = { room.id, ROOMS };

	bus_come(a, room, 1, 1, NULL);
	ASSERT_PRESENT(f, next, 0);
	ASSERT_PRESENT(f, none, 0);
	assert_int_equal(bus_come(a, next, 5, 2, NULL), 0);
	bus_go(a, next, 5, 1);
	ASSERT_PRESENT(f, room, 1);
}

/* Whatever some process has written there. */
static void test_garbage(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0];
	struct bus_room room = join(a, "room");
	uint32_t *heads = (uint32_t *)f->master->heads;
	unsigned seed = (unsigned)time(NULL);
	uint32_t places[MEMBERS] = { 0 };

	join(&f->worker[1], "room");
	print_message("seed %u\n", seed);
	srandom(seed);
	for (int n = 0; n < 20000; n++) {
		uint32_t *words = (uint32_t *)f->master->rows;
		const size_t count = SLOTS * MEMBERS * sizeof(struct bus_row) / sizeof(*words);
		int i = (int)(random() % MEMBERS);

		words[(size_t)random() % (n % 2 ? count : 2 * MEMBERS * 4)] =
			(uint32_t)(random() % 3 ? random() % (MEMBERS + 2) : random());
		heads[random() % 2 * ROOMS + room.index] = (uint32_t)(random() % (MEMBERS + 2));
		*bus_count_of(f->master, 1, room.index) =
			(uint32_t)(random() % 3 ? random() % (MEMBERS + 2) : random());
		f->master->user_lens[random() % (2 * MEMBERS)] = (uint8_t)random();
		f->master->users[random() % (2 * MEMBERS)].words[random() % 16] =
			(uint64_t)(random() % 3 ? random() : 0x6161616161616161);
		look(f, room, (size_t)random() % MOST);
		assert_true(f->found.count <= f->found.most);
		for (size_t at = 0; at < f->found.count; at++)
			assert_true(f->who[at].user_len <= BUS_USER_MAX);
		if (random() % 2)
			places[i] = bus_come(a, room, (uint32_t)random() % 4, (uint64_t)n + 1,
					     random() % 2 ? "ada" : NULL);
		else
			bus_go(a, room, (uint32_t)random() % 4, places[i]);
	}
}

/* A room's list is read while its workers change it, and die in that: it is one that there was. */
static void test_while_it_changes(void **state)
{
	enum { LOOKS = 20000 };
	struct fixture *f = *state;
	struct bus_room room = join(&f->worker[0], "room");
	size_t seen = 0;
	pid_t pid;
	int status;

	join(&f->worker[1], "room");
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (uint64_t n = 1;; n++) {
			uint32_t one = bus_come(&f->worker[1], room, 1, n * 1000, NULL);
			uint32_t two = bus_come(&f->worker[1], room, 2, n * 1000 + 1, NULL);

			bus_go(&f->worker[1], room, 1, two);
			bus_go(&f->worker[1], room, 0, one);
		}
	}
	for (int i = 0; i < LOOKS || seen == 0; i++) {
		if (look(f, room, MOST) != BUS_PRESENT_ALL)
			continue;
		assert_true(f->found.count <= 2);
		assert_int_equal(f->found.count, f->found.members);
		if (f->found.count == 1)
			assert_int_equal(f->who[0].key % 1000, 0);
		if (f->found.count < 2)
			continue;
		assert_true(f->who[0].key % 1000 == 0 && f->who[1].key == f->who[0].key + 1);
		seen++;
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	bus_clear_slot(f->master, 1);
	ASSERT_PRESENT(f, room, 0);
}

/* How many pages there are of an array for all members of all slots. */
static size_t pages_of(const void *array, size_t each)
{
	return resident_pages(array, (size_t)SLOTS * (1 << 15) * each);
}

/* Its memory is there when it is used, that of users only where there are some. */
static void test_memory(void **state)
{
	struct fixture *f = *state;
	const struct bus *b = f->master;
	struct bus_room room = join(&f->worker[0], "room");
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	assert_int_equal(bus_populate(f->master), 0);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_not_equal(bus_come(&f->worker[0], room, i + 1, i + 1, NULL), 0);
	assert_in_range(pages_of(b->rows, sizeof(*b->rows)), 1, 1000 * sizeof(*b->rows) / page + 3);
	f->found = (struct bus_present){ .who = calloc(2000, sizeof(*f->who)),
					 .names = malloc(2000 * BUS_USER_MAX),
					 .size = 2000,
					 .most = 2000 };
	assert_int_equal(bus_present(b, room, &f->found), BUS_PRESENT_ALL);
	assert_int_equal(f->found.count, 1000);
	/* the first may lie in one with the rows, the last with the lengths */
	assert_in_range(pages_of(b->users, sizeof(*b->users)), 0, 2);
	for (uint32_t i = 1000; i < 1100; i++)
		assert_int_not_equal(bus_come(&f->worker[0], room, i + 1, i + 1, "ada"), 0);
	assert_int_equal(bus_present(b, room, &f->found), BUS_PRESENT_ALL);
	assert_int_equal(f->found.count, 1001);
	assert_in_range(pages_of(b->users, sizeof(*b->users)), 1,
			100 * sizeof(*b->users) / page + 4);
	free(f->found.who);
	free(f->found.names);
}

/* --- users --- */

/* Who of all that are listed is a user of that name. */
static bool has_user(const struct fixture *f, const char *user)
{
	for (size_t i = 0; i < f->found.count; i++)
		if (f->who[i].user && f->who[i].user_len == strlen(user) &&
		    memcmp(f->who[i].user, user, strlen(user)) == 0)
			return true;
	return false;
}

static void test_users(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0], *b = &f->worker[1];
	struct bus_room room = join(a, "room");
	char longest[BUS_USER_MAX + 1], too_long[BUS_USER_MAX + 2];
	uint32_t ada;

	memset(longest, 'l', sizeof(longest) - 1);
	longest[BUS_USER_MAX] = '\0';
	memset(too_long, 't', sizeof(too_long) - 1);
	too_long[BUS_USER_MAX + 1] = '\0';
	join(b, "room");
	ada = bus_come(a, room, 1, 11, "a");
	bus_come(a, room, 2, 12, longest);
	bus_come(a, room, 3, 13, NULL);
	bus_come(b, room, 1, 21, too_long);
	bus_come(b, room, 2, 22, "a");
	bus_come(b, room, 3, 23, "a\xc3\xa4\"\\");
	assert_int_equal(look(f, room, MOST), BUS_PRESENT_ALL);
	/* each once, users behind the others */
	assert_int_equal(f->found.count, 5);
	assert_int_equal(f->found.members, 6);
	assert_true(!f->who[0].user && f->who[0].key == 13);
	assert_true(!f->who[1].user && f->who[1].key == 21);
	assert_true(has_user(f, "a") && has_user(f, longest) && has_user(f, "a\xc3\xa4\"\\"));
	/* the other connection of his is still there */
	bus_go(a, room, 2, ada);
	assert_int_equal(look(f, room, MOST), BUS_PRESENT_ALL);
	assert_int_equal(f->found.count, 5);
	/* its row is that of somebody else now, and nobody's who is known then */
	assert_int_equal(bus_come(a, room, 3, 14, "eve"), ada);
	assert_int_equal(look(f, room, MOST), BUS_PRESENT_ALL);
	assert_true(has_user(f, "eve") && has_user(f, "a") && f->found.count == 6);
	bus_go(a, room, 2, ada);
	assert_int_equal(bus_come(a, room, 3, 15, NULL), ada);
	assert_int_equal(look(f, room, MOST), BUS_PRESENT_ALL);
	assert_false(has_user(f, "eve"));
	assert_int_equal(f->who[1].key, 15);
	assert_null(f->who[1].user);
}

/* What counts is who is told, and there is an end to who is looked at. */
static void test_many_of_one(void **state)
{
	struct fixture *f = *state;
	struct bus *a = &f->worker[0];
	struct bus_room room = join(a, "room");

	for (uint32_t i = 0; i < MEMBERS - 1; i++)
		bus_come(a, room, i + 1, i + 1, i % 2 ? "ada" : "eve");
	assert_int_equal(look(f, room, 2), BUS_PRESENT_ALL);
	assert_int_equal(f->found.count, 2);
	assert_int_equal(look(f, room, 1), BUS_PRESENT_MANY);
	bus_come(a, room, MEMBERS, MEMBERS, NULL);
	assert_int_equal(look(f, room, 2), BUS_PRESENT_MANY);
	assert_int_equal(look(f, room, 3), BUS_PRESENT_ALL);
	f->found.size = MEMBERS - 1;
	assert_int_equal(bus_present(f->master, room, &f->found), BUS_PRESENT_MANY);
	assert_int_equal(f->found.members, MEMBERS);
	/* of those without users not more than are told */
	for (int i = 1; i < WORKERS; i++) {
		join(&f->worker[i], "room");
		for (uint32_t n = 0; n < MEMBERS; n++)
			bus_come(&f->worker[i], room, n + 1, (uint64_t)i * 100 + n, NULL);
	}
	assert_int_equal(look(f, room, 4), BUS_PRESENT_MANY);
	assert_int_equal(f->found.connections, 5);
	assert_int_equal(f->found.members, WORKERS * MEMBERS);
}

/* What cannot be a name is none, whoever wrote it. */
static void test_no_names(void **state)
{
	static const char *const texts[] = { "a\x01", "\x7f",  "\xc2\x85",
					     "\xff",  "a\xc3", "\xed\xa0\x80" };
	struct fixture *f = *state;
	struct bus *a = &f->worker[0];
	struct bus_room room = join(a, "room");

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		uint32_t place = bus_come(a, room, 1, 7, texts[i]);

		ASSERT_PRESENT(f, room, 7);
		bus_go(a, room, 0, place);
	}
	bus_come(a, room, 1, 8, "");
	ASSERT_PRESENT(f, room, 8);
	/* longer than any, and with a NUL in it */
	a->user_lens[0] = BUS_USER_MAX + 1;
	ASSERT_PRESENT(f, room, 8);
	a->users[0].words[0] = 0x6100610061;
	a->user_lens[0] = 5;
	ASSERT_PRESENT(f, room, 8);
}

/* They are told apart by their names, whatever their hashes are, and from connections. */
static void test_same_hash(void **state)
{
	const struct bus_who all[] = {
		{ .key = 4 },     { .key = 5 },     { 3, "b", 1, 0 },
		{ 4, "a", 1, 0 }, { 4, "b", 1, 0 }, { 4, "aa", 2, 0 },
	};
	const int count = sizeof(all) / sizeof(*all);
	const struct bus_who again = { 4, "a", 1, 9 };

	(void)state;
	for (int i = 0; i < count; i++)
		for (int j = 0; j < count; j++) {
			const int order = bus_who_compare(&all[i], &all[j]);

			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
		}
	assert_int_equal(bus_who_compare(&all[3], &again), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_come_and_go, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_more_than_is_listed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_changes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_dead, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_another_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_garbage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_while_it_changes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_memory, set_up_many, tear_down),
		cmocka_unit_test_setup_teardown(test_users, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_of_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_names, set_up, tear_down),
		cmocka_unit_test(test_same_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
