/*
 * The names of those who are in a room, between any two instructions of who writes them and of who
 * reads them: nobody is seen who was not there.
 */
// links: base bus
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bus/presence.h"
#include "bus_step.h"

enum { LAG = 8192, ROOMS = 3, MOST = 4 };

static char longest[BUS_USER_MAX + 1], middle[BUS_USER_MAX - 20];

static int set_up(void **state)
{
	memset(longest, 'l', sizeof(longest) - 1);
	memset(middle, 'm', sizeof(middle) - 1);
	return set_up_in(state, A_WORKER, LAG, ROOMS);
}

/* The only one who is there at any time has one of these names, or none. False: he has not. */
static bool is_somebody(const struct bus_who *who)
{
	static const char *const names[] = { longest, middle, "x" };

	if (!who->user)
		return who->key == 3;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (who->user_len == strlen(names[i]) &&
		    memcmp(who->user, names[i], who->user_len) == 0)
			return true;
	return false;
}

static enum bus_presence look(const struct bus *b, struct bus_room room, bool *fine)
{
	static struct bus_who who[MOST];
	static char names[MOST * BUS_USER_MAX];
	struct bus_present p = { .who = who, .names = names, .size = MOST, .most = MOST };
	enum bus_presence found = bus_present(b, room, &p);

	*fine = p.count <= 1 && (p.count == 0 || is_somebody(&p.who[0]));
	return found;
}

static void join_room(struct fixture *f)
{
	uint64_t sequence;

	if (bus_join(f->victim, "room", 4, NULL, &f->room, &sequence) != BUS_OK)
		_exit(1);
}

/* One after the other in the same row. */
static void change(struct bus *b, struct bus_room room)
{
	static const char *const names[] = { middle, "x", NULL, longest };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		uint32_t place = bus_come(b, room, 1, i + 1, names[i]);

		bus_go(b, room, 0, place);
	}
	bus_come(b, room, 1, 5, middle);
}

static void come_and_go(struct fixture *f)
{
	change(f->victim, f->room);
}

/* Wherever who writes stands still, or is killed. */
static void test_who_writes_stands_still(void **state)
{
	struct fixture *f = *state;
	unsigned steps = 0, busy = 0, seen = 0;
	pid_t pid = start(f, join_room, come_and_go);
	bool fine;

	if (pid < 0)
		skip_for("needs ptrace, which is not allowed here");
	do {
		enum bus_presence found = look(&f->other, f->room, &fine);

		assert_true(fine);
		assert_true(found == BUS_PRESENT_ALL || found == BUS_PRESENT_BUSY);
		busy += found == BUS_PRESENT_BUSY;
		seen += found == BUS_PRESENT_ALL;
	} while (step(pid, 1) == 1 && ++steps < TOO_MANY_STEPS);
	end(f, pid);
	print_message("%u of %u instructions within a change\n", busy, steps);
	assert_true(busy > 50 && seen > 50);
}

/* He had died in that, and the next one in the slot begins with rows of which some have names. */
static void check_next(struct fixture *f)
{
	struct bus next = *f->victim;
	struct bus_room room;
	uint64_t sequence;
	bool fine;

	assert_int_equal(look(&f->other, f->room, &fine), BUS_PRESENT_ALL);
	assert_true(fine);
	bus_set_slot(&next, f->slot);
	assert_int_equal(bus_join(&next, "room", 4, NULL, &room, &sequence), BUS_OK);
	assert_int_not_equal(bus_come(&next, room, 1, 3, NULL), 0);
	assert_int_equal(look(&f->other, room, &fine), BUS_PRESENT_ALL);
	assert_true(fine);
	bus_go(&next, room, 0, 1);
	bus_leave(&next, room);
}

static void test_who_writes_is_killed(void **state)
{
	kills_wanted = 60;
	kill_everywhere(*state, join_room, come_and_go, check_next);
}

static void begin_anew(struct fixture *f)
{
	static uint32_t place;

	bus_go(&f->other, f->room, 0, place);
	place = bus_come(&f->other, f->room, 1, 1, longest);
}

static void change_meanwhile(struct fixture *f)
{
	bus_go(&f->other, f->room, 0, 1);
	change(&f->other, f->room);
}

static void read_users(struct fixture *f)
{
	bool fine;

	(void)look(f->victim, f->room, &fine);
	if (!fine)
		_exit(1);
}

/* Wherever who reads was when it changed. */
static void test_who_reads_sees_it_whole(void **state)
{
	meddle_everywhere(*state, begin_anew, read_users, change_meanwhile, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_who_writes_stands_still, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_who_writes_is_killed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_who_reads_sees_it_whole, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
