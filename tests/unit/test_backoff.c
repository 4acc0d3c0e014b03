/*
 * When a worker that died is replaced: at once, then with pauses, then at once again.
 */
// links: base proto bus config net session behaviours admin process
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "process/backoff.h"
#include "process/ticks.h"

enum { SECOND = 1000 / MASTER_TICK, MINUTE = 60 * SECOND };

static void test_ticks(void **state)
{
	(void)state;
	assert_int_equal(ticks_of(-1), 0);
	assert_int_equal(ticks_of(0), 0);
	assert_int_equal(ticks_of(1), 1);
	assert_int_equal(ticks_of(MASTER_TICK), 1);
	assert_int_equal(ticks_of(MASTER_TICK + 1), 2);
	assert_int_equal(ticks_of(1000), SECOND);
}

static void test_five_within_a_minute(void **state)
{
	struct backoff b = { 0 };

	(void)state;
	for (uint64_t i = 0; i < 5; i++)
		assert_false(backoff_note(&b, 100 + i));
	assert_true(backoff_note(&b, 105));
	assert_int_equal(b.count, 6);
}

/* A sixth that is a minute behind the first is one of five again; a tick earlier it is not. */
static void test_the_minute_to_the_tick(void **state)
{
	(void)state;
	for (uint64_t early = 0; early < 2; early++) {
		struct backoff b = { 0 };

		for (uint64_t i = 0; i < 5; i++)
			assert_false(backoff_note(&b, 100 + i * SECOND));
		assert_int_equal(backoff_note(&b, 100 + MINUTE - early), early);
		/* and so it goes on, each by the one five before it */
		assert_int_equal(backoff_note(&b, 100 + SECOND + MINUTE - early), early);
	}
}

static void test_deaths_far_apart_are_never_often(void **state)
{
	struct backoff b = { 0 };

	(void)state;
	for (uint64_t i = 1; i < 100; i++)
		assert_false(backoff_note(&b, i * MINUTE / 5));
}

static void test_pauses_double(void **state)
{
	static const uint64_t seconds[] = { 1, 2, 4, 8, 16, 30, 30, 30 };
	struct backoff b = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++)
		assert_int_equal(backoff_pause(&b, false), seconds[i] * SECOND);
	b.pauses = UINT32_MAX - 1;
	assert_int_equal(backoff_pause(&b, false), 30 * SECOND);
	assert_int_equal(backoff_shortest(), SECOND);
}

/* With nobody else it is a second, and counts all the same. */
static void test_pause_of_who_is_alone(void **state)
{
	struct backoff b = { 0 };

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(backoff_pause(&b, true), SECOND);
	assert_int_equal(backoff_pause(&b, false), 16 * SECOND);
}

static void test_a_minute_without_a_death(void **state)
{
	(void)state;
	for (uint64_t early = 0; early < 2; early++) {
		struct backoff b = { 0 };

		for (uint64_t i = 0; i < 6; i++)
			backoff_note(&b, 100);
		backoff_pause(&b, false);
		backoff_pause(&b, false);
		backoff_note(&b, 100 + MINUTE - early);
		assert_int_equal(b.pauses, early ? 2 : 0);
		assert_int_equal(backoff_pause(&b, false), early ? 4 * SECOND : SECOND);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ticks),
		cmocka_unit_test(test_five_within_a_minute),
		cmocka_unit_test(test_the_minute_to_the_tick),
		cmocka_unit_test(test_deaths_far_apart_are_never_often),
		cmocka_unit_test(test_pauses_double),
		cmocka_unit_test(test_pause_of_who_is_alone),
		cmocka_unit_test(test_a_minute_without_a_death),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
