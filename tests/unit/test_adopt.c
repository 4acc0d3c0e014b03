/*
 * Who accepts for a slot whose worker cannot, and what the other workers are told of it.
 */
// links: base proto bus config net session behaviours admin process
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "config/config.h"
#include "process/adopt.h"
#include "process/control.h"
#include "process/running.h"
#include "process/ticks.h"

enum { WORKERS = 3, SECOND = 1000 / MASTER_TICK };

static struct event_base *base;
static struct config config;
static struct control ends[WORKERS]; /* the workers' */

static void ignore_ready(void)
{
}

static void ignore_reloaded(unsigned moved, unsigned closed)
{
	(void)moved;
	(void)closed;
}

static const struct slot_events events = { .ready = ignore_ready, .reloaded = ignore_reloaded };

/* A worker that is said to be there, under this process's number. */
static void run(int slot)
{
	slots[slot].state = SLOT_RUNNING;
	slots[slot].pid = getpid();
	stall_begin(&slots[slot].stall, 0, ticks_now());
}

static void leave(int slot, enum slot_state state)
{
	slots[slot].state = state;
	slots[slot].pid = 0;
}

static int begin(void **state)
{
	(void)state;
	config = (struct config){ .workers = WORKERS };
	running = (struct running){ .config = &config, .phase = PHASE_READY };
	base = event_base_new();
	if (!base || slots_init(base, &events) < 0)
		return -1;
	for (int i = 0; i < WORKERS; i++) {
		control_init(&ends[i], slots[i].pair[1], CONTROL_TO_WORKER);
		run(i);
	}
	return 0;
}

static int end(void **state)
{
	(void)state;
	for (int i = 0; i < WORKERS; i++) {
		adopt_forget(&slots[i]);
		control_fini(&ends[i]);
	}
	slots_fini();
	event_base_free(base);
	return 0;
}

static void expect_nothing(int worker)
{
	struct control_frame f;

	assert_int_equal(control_read(&ends[worker], &f), CONTROL_MORE);
}

static void expect_adopt(int worker, int slot)
{
	struct control_frame f;

	assert_int_equal(control_read(&ends[worker], &f), CONTROL_FRAME);
	assert_int_equal(f.type, CONTROL_ADOPT);
	assert_int_equal(((const struct control_adopt *)f.body)->slot, slot);
	assert_int_equal(adopter_of(&slots[slot]), worker);
}

static void expect_release(int worker, int slot)
{
	struct control_frame f;

	assert_int_equal(control_read(&ends[worker], &f), CONTROL_FRAME);
	assert_int_equal(f.type, CONTROL_RELEASE);
	assert_int_equal(((const struct control_release *)f.body)->slot, slot);
	assert_int_equal(((const struct control_release *)f.body)->give_up, 0);
	assert_int_equal(adopter_of(&slots[slot]), -1);
}

static void expect_silence(void)
{
	for (int i = 0; i < WORKERS; i++)
		expect_nothing(i);
}

/* While it backs off and while its next worker starts; not before, not after, and told once. */
static void test_from_back_off_until_it_listens(void **state)
{
	(void)state;
	adopt_look();
	expect_silence();
	leave(0, SLOT_BACKOFF);
	adopt_look();
	expect_adopt(1, 0);
	adopt_look();
	expect_silence();
	slots[0].state = SLOT_STARTING;
	adopt_look();
	expect_silence();
	assert_int_equal(adopter_of(&slots[0]), 1);
	run(0);
	adopt_look();
	expect_release(1, 0);
	expect_silence();
}

/* Nobody accepts for one that was just forked: its queue waits for a moment only. */
static void test_one_that_starts_at_once(void **state)
{
	(void)state;
	slots[0].state = SLOT_STARTING;
	adopt_look();
	expect_silence();
	assert_int_equal(adopter_of(&slots[0]), -1);
}

static void test_one_that_stands_still(void **state)
{
	(void)state;
	for (int i = 0; i < SECOND; i++)
		ticks_advance();
	stall_moved(&slots[0].stall, ticks_now());
	stall_moved(&slots[2].stall, ticks_now());
	adopt_look();
	expect_adopt(2, 1);
	stall_moved(&slots[1].stall, ticks_now());
	adopt_look();
	expect_release(2, 1);
}

/* Who stands still or dies while he accepts for another is no help to that. */
static void test_an_adopter_that_fails(void **state)
{
	(void)state;
	leave(0, SLOT_BACKOFF);
	adopt_look();
	expect_adopt(1, 0);
	leave(1, SLOT_BACKOFF);
	adopt_forget(&slots[1]);
	assert_int_equal(adopter_of(&slots[0]), -1);
	adopt_look();
	expect_adopt(2, 0);
	expect_adopt(2, 1);
	run(1);
	for (int i = 0; i < SECOND; i++)
		ticks_advance();
	stall_moved(&slots[1].stall, ticks_now());
	adopt_look();
	expect_adopt(1, 0);
	assert_int_equal(adopter_of(&slots[2]), 1);
}

/* With the sockets of the new configuration; for a slot that starts as well. */
static void test_over_a_reload(void **state)
{
	(void)state;
	leave(0, SLOT_BACKOFF);
	adopt_look();
	expect_adopt(1, 0);
	slots[0].state = SLOT_STARTING;
	adopt_anew();
	expect_adopt(1, 0);
	expect_silence();
}

/* The slot is not wanted any more, and nobody goes on with its sockets. */
static void test_over_a_reload_with_fewer_workers(void **state)
{
	(void)state;
	leave(2, SLOT_BACKOFF);
	adopt_look();
	expect_adopt(0, 2);
	config.workers = 2;
	leave(2, SLOT_UNUSED);
	adopt_anew();
	expect_silence();
	assert_int_equal(adopter_of(&slots[2]), -1);
}

/* Where the adopter cannot be told it is told later: else two would accept. */
static void test_a_release_that_cannot_be_sent(void **state)
{
	const struct control_stop stop = { 0 };
	struct control_frame f;

	(void)state;
	leave(0, SLOT_BACKOFF);
	adopt_look();
	expect_adopt(1, 0);
	run(0);
	while (control_send(&slots[1].control, CONTROL_STOP, 0, &stop, NULL, 0) == 0)
		;
	adopt_look();
	assert_int_equal(adopter_of(&slots[0]), 1);
	for (bool more = true; more; control_flush(&slots[1].control)) {
		more = false;
		while (control_read(&ends[1], &f) == CONTROL_FRAME)
			more = true;
	}
	adopt_look();
	expect_release(1, 0);
}

static void test_when_it_stops(void **state)
{
	(void)state;
	leave(0, SLOT_BACKOFF);
	running.phase = PHASE_STOPPING;
	adopt_look();
	expect_silence();
}

static void test_who_needs_an_adopter(void **state)
{
	(void)state;
	for (int bits = 0; bits < 8; bits++) {
		bool adopted = bits & 1, still = bits & 2, ready = bits & 4;
		/* a start may take its time: nobody has been served yet */
		bool stands_still = still && ready;

		assert_true(adopt_is_needed(SLOT_BACKOFF, adopted, still, ready));
		assert_int_equal(adopt_is_needed(SLOT_STARTING, adopted, still, ready),
				 adopted || stands_still);
		assert_int_equal(adopt_is_needed(SLOT_RUNNING, adopted, still, ready),
				 stands_still);
		assert_int_equal(adopt_is_needed(SLOT_UNUSED, adopted, false, ready), false);
	}
}

static void test_who_adopts(void **state)
{
	(void)state;
	assert_int_equal(adopt_choose(0, 0), -1);
	/* nobody accepts for himself */
	assert_int_equal(adopt_choose(UINT64_C(1) << 5, 5), -1);
	assert_int_equal(adopt_choose(~UINT64_C(0), 5), 6);
	assert_int_equal(adopt_choose(UINT64_C(1) << 4 | UINT64_C(1) << 9, 5), 9);
	assert_int_equal(adopt_choose(UINT64_C(1) << 4 | UINT64_C(1) << 3, 5), 3);
	assert_int_equal(adopt_choose(1, CONFIG_WORKERS_MAX - 1), 0);
	assert_int_equal(adopt_choose(UINT64_C(1) << (CONFIG_WORKERS_MAX - 1), 0),
			 CONFIG_WORKERS_MAX - 1);
}

/* Several that cannot accept do not all fall to the same. */
static void test_adopters_differ(void **state)
{
	const uint64_t able = UINT64_C(0x2a); /* 1, 3 and 5 */

	(void)state;
	assert_int_equal(adopt_choose(able, 0), 1);
	assert_int_equal(adopt_choose(able, 2), 3);
	assert_int_equal(adopt_choose(able, 4), 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_from_back_off_until_it_listens),
		TEST(test_one_that_starts_at_once),
		TEST(test_one_that_stands_still),
		TEST(test_an_adopter_that_fails),
		TEST(test_over_a_reload),
		TEST(test_over_a_reload_with_fewer_workers),
		TEST(test_a_release_that_cannot_be_sent),
		TEST(test_when_it_stops),
		cmocka_unit_test(test_who_needs_an_adopter),
		cmocka_unit_test(test_who_adopts),
		cmocka_unit_test(test_adopters_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
