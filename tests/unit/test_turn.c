/*
 * How long a turn is. Nothing here measures how fast something is: a turn that began long ago is
 * over as soon as its credit is used up, and one that begins has at least its share.
 */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "session/portion.h"
#include "session/session.h"
#include "session/turn.h"

enum { US = 1000 };

static void test_a_short_turn_reads_no_clock(void **state)
{
	(void)state;
	turn_begin();
	turn_spend(TURN_STEP - 1);
	assert_false(turn_is_over());
	assert_int_equal(this_turn.began, 0);
	turn_spend(1);
	assert_false(turn_is_over());
	assert_true(this_turn.began > 0);
	/* what was charged ahead of the first look is taken to have been done */
	assert_true(session_clock_us() - this_turn.began >= TURN_STEP / US);
}

/* Returns how long it was, in microseconds. */
static int64_t work_to_the_end(void)
{
	int64_t start = session_clock_us();

	while (!turn_is_over())
		turn_spend(TURN_STEP / 10);
	return session_clock_us() - start;
}

static void test_a_turn_ends(void **state)
{
	(void)state;
	turn_begin();
	assert_true(work_to_the_end() >= (int64_t)this_turn.share - TURN_STEP / US);
	assert_true(turn_is_over());
}

static void test_each_part_has_its_share(void **state)
{
	(void)state;
	turn_begin();
	work_to_the_end();
	for (enum turn_part part = TURN_INPUT; part < TURN_PARTS; part++) {
		/* as of now: however long this test was not on a CPU */
		this_turn.looked = session_clock_us();
		this_turn.began = this_turn.looked - this_turn.share;
		turn_go_on(part);
		assert_false(turn_is_over());
		work_to_the_end();
		assert_true(turn_is_over());
	}
	/* a unit that cannot be cut has 3 ms behind it */
	assert_true(this_turn.share < 2000);
}

static uint32_t share_of(enum turn_part part)
{
	turn_go_on(part);
	return this_turn.share;
}

/* Whoever comes meanwhile waits for less, and nobody has less for it: what is left is gone on with. */
static void test_a_turn_of_few_events_is_over_sooner(void **state)
{
	uint32_t events;

	(void)state;
	turn_begin();
	events = this_turn.share;
	turn_spend(TURN_STEP / 2);
	assert_true(share_of(TURN_INPUT) < events);
	assert_int_equal(share_of(TURN_CHORES), share_of(TURN_INPUT));
}

/* Then those behind it have some time each, and not more for how far it went over its own. */
static void test_parts_behind_a_long_one(void **state)
{
	uint32_t input, last;

	(void)state;
	turn_begin();
	turn_spend(TURN_STEP);
	turn_is_over();
	this_turn.began = this_turn.looked - this_turn.share;
	this_turn.credit = this_turn.given;
	input = share_of(TURN_INPUT);
	last = share_of(TURN_CHORES);
	this_turn.began = this_turn.looked - 7000;
	turn_spend(TURN_STEP);
	assert_int_equal(share_of(TURN_INPUT), input);
	assert_true(turn_is_over());
	assert_true(share_of(TURN_CHORES) > last);
	assert_true(share_of(TURN_CHORES) < 500);
	assert_true(turn_is_over());
}

static void test_work_that_takes_longer_than_thought(void **state)
{
	(void)state;
	turn_begin();
	this_turn.began = 1;
	turn_spend(TURN_STEP - 1);
	assert_false(turn_is_over());
	turn_spend(1);
	assert_true(turn_is_over());
	turn_go_on(TURN_INPUT);
	assert_true(turn_is_over());
}

static void test_bytes_are_charged_by_the_kib(void **state)
{
	(void)state;
	turn_begin();
	turn_spend_on(2048, TURN_COPY);
	assert_int_equal(this_turn.credit, TURN_STEP - 2 * TURN_COPY);
	/* no piece of work is charged more than one look at the clock will put right */
	turn_begin();
	turn_spend_on(UINT64_MAX / TURN_DEFLATE, TURN_DEFLATE);
	assert_int_equal(this_turn.credit, 0);
}

static uint64_t turns_up_to(int bound)
{
	return metrics_own->turn.counts[bound];
}

/* Those that nobody looked at the clock in are told together, with the next tick. */
static void test_short_turns_are_counted(void **state)
{
	uint64_t count, sum;

	(void)state;
	turn_begin();
	turn_tick();
	count = turns_up_to(0);
	sum = metrics_own->turn.sum;
	turn_spend(30 * US);
	turn_begin();
	turn_spend(50 * US);
	turn_begin();
	assert_int_equal(turns_up_to(0), count);
	turn_tick();
	assert_int_equal(turns_up_to(0), count + 2);
	assert_int_equal(metrics_own->turn.sum, sum + 80);
	turn_tick();
	assert_int_equal(turns_up_to(0), count + 2);
}

/* Of one in which somebody looked: up to then as it was, and behind that as it was charged. */
static void test_long_turns_are_counted(void **state)
{
	enum { UP_TO_10_MS = 6 };
	uint64_t count = turns_up_to(UP_TO_10_MS), sum;

	(void)state;
	assert_int_equal(metrics_bounds[UP_TO_10_MS], 10000);
	turn_begin();
	sum = metrics_own->turn.sum;
	turn_spend(TURN_STEP);
	turn_is_over();
	this_turn.began = this_turn.looked - 7000;
	turn_spend(40 * US);
	turn_begin();
	assert_int_equal(turns_up_to(UP_TO_10_MS), count + 1);
	assert_int_equal(metrics_own->turn.sum, sum + 7040);
}

/* One that took long is followed by smaller ones, and these by larger ones again. */
static void test_a_portion_is_as_large_as_time_allows(void **state)
{
	struct portion p = { PORTION_MOST };

	(void)state;
	portion_took(&p, PORTION_MOST, PORTION_LONG);
	assert_int_equal(p.bytes, PORTION_MOST);
	portion_took(&p, PORTION_MOST, PORTION_LONG + 1);
	assert_int_equal(p.bytes, PORTION_MOST / 2);
	/* less than was asked for says nothing */
	portion_took(&p, PORTION_MOST / 2 - 1, 0);
	assert_int_equal(p.bytes, PORTION_MOST / 2);
	for (int i = 0; i < 10; i++)
		portion_took(&p, p.bytes, PORTION_LONG + 1);
	assert_int_equal(p.bytes, PORTION_LEAST);
	portion_took(&p, PORTION_LEAST, PORTION_SHORT);
	assert_int_equal(p.bytes, PORTION_LEAST);
	for (int i = 0; i < 10; i++)
		portion_took(&p, p.bytes, 0);
	assert_int_equal(p.bytes, PORTION_MOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_short_turn_reads_no_clock),
		cmocka_unit_test(test_a_turn_ends),
		cmocka_unit_test(test_each_part_has_its_share),
		cmocka_unit_test(test_a_turn_of_few_events_is_over_sooner),
		cmocka_unit_test(test_parts_behind_a_long_one),
		cmocka_unit_test(test_work_that_takes_longer_than_thought),
		cmocka_unit_test(test_bytes_are_charged_by_the_kib),
		cmocka_unit_test(test_short_turns_are_counted),
		cmocka_unit_test(test_long_turns_are_counted),
		cmocka_unit_test(test_a_portion_is_as_large_as_time_allows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
