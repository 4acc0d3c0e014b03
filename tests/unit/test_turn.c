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
	assert_true(work_to_the_end() >= 1800 - TURN_STEP / US);
	assert_true(turn_is_over());
}

static void test_each_part_has_its_share(void **state)
{
	(void)state;
	turn_begin();
	work_to_the_end();
	for (enum turn_part part = TURN_INPUT; part < TURN_PARTS; part++) {
		/* as of now: however long this test was not on a CPU */
		this_turn.began = session_clock_us() - this_turn.share;
		turn_go_on(part);
		assert_false(turn_is_over());
		work_to_the_end();
		assert_true(turn_is_over());
	}
	assert_true(this_turn.share < 5000);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_short_turn_reads_no_clock),
		cmocka_unit_test(test_a_turn_ends),
		cmocka_unit_test(test_each_part_has_its_share),
		cmocka_unit_test(test_work_that_takes_longer_than_thought),
		cmocka_unit_test(test_bytes_are_charged_by_the_kib),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
