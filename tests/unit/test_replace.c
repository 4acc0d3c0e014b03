/*
 * What follows a worker's end.
 */
// links: base proto bus config net session behaviours admin process
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_how_one_ended),
		cmocka_unit_test(test_at_once_five_times),
		cmocka_unit_test(test_who_retired_is_no_death),
		cmocka_unit_test(test_start_that_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
