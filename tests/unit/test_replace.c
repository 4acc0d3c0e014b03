/*
 * What follows a worker's end, and who accepts for it meanwhile.
 */
// links: base proto bus config net session behaviours process
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "process/adopt.h"
#include "process/replace.h"
#include "process/ticks.h"

enum { MINUTE = 60000 / MASTER_TICK, NOW = 1000 };

/* As waitpid has them. */
static int exited(int status)
{
	return status << 8;
}

static int killed(void)
{
	return SIGKILL;
}

static void test_how_one_ended(void **state)
{
	(void)state;
	assert_true(replace_ended_well(exited(0)));
	assert_false(replace_ended_well(exited(1)));
	assert_false(replace_ended_well(exited(255)));
	assert_false(replace_ended_well(killed()));
}

static void test_at_once_five_times(void **state)
{
	struct backoff b = { 0 };

	(void)state;
	for (uint64_t i = 0; i < 5; i++)
		assert_int_equal(replace_judge(&b, killed(), true, NOW + i), REPLACE_NOW);
	assert_int_equal(replace_judge(&b, exited(1), true, NOW + 5), REPLACE_LATER);
	assert_int_equal(replace_judge(&b, exited(1), true, NOW + 6 + MINUTE), REPLACE_NOW);
}

/* It is wanted again already: no death, however often that happens. */
static void test_who_retired_is_no_death(void **state)
{
	struct backoff b = { 0 };

	(void)state;
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(replace_judge(&b, exited(0), i % 2 == 0, NOW), REPLACE_NOW);
	assert_int_equal(b.count, 0);
}

/* The third death of one, at whatever pace, while some never came up. */
static void test_start_that_fails(void **state)
{
	struct backoff b = { 0 }, c = { 0 };

	(void)state;
	assert_int_equal(replace_judge(&b, exited(1), false, NOW), REPLACE_NOW);
	assert_int_equal(replace_judge(&b, exited(1), false, NOW + 2 * MINUTE), REPLACE_NOW);
	assert_int_equal(replace_judge(&b, exited(1), false, NOW + 4 * MINUTE), REPLACE_GIVE_UP);
	/* deaths of the start are no reason to give up what was there once */
	assert_int_equal(replace_judge(&c, exited(1), false, NOW), REPLACE_NOW);
	assert_int_equal(replace_judge(&c, exited(1), false, NOW), REPLACE_NOW);
	assert_int_equal(replace_judge(&c, exited(1), true, NOW), REPLACE_NOW);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_how_one_ended),
		cmocka_unit_test(test_at_once_five_times),
		cmocka_unit_test(test_who_retired_is_no_death),
		cmocka_unit_test(test_start_that_fails),
		cmocka_unit_test(test_who_needs_an_adopter),
		cmocka_unit_test(test_who_adopts),
		cmocka_unit_test(test_adopters_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
