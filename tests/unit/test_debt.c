/*
 * Bytes in a second: what passes at once, when the next may, and over a long time no more than that.
 */
// links: base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/debt.h"

static const int64_t SECOND = 1000000000;
static const int64_t begin = INT64_C(77777) * 1000000000;

static void test_a_second_at_once(void **state)
{
	struct debt d = { 0 };

	(void)state;
	for (int i = 0; i < 10; i++) {
		assert_int_equal(debt_wait(&d, 1000, begin), 0);
		debt_add(&d, 100);
	}
	assert_int_equal(debt_wait(&d, 1000, begin), SECOND / 1000);
	assert_int_equal(debt_wait(&d, 1000, begin + SECOND / 1000 - 1), 1);
	assert_int_equal(debt_wait(&d, 1000, begin + SECOND / 1000), 0);
	debt_add(&d, 100);
	assert_int_equal(debt_wait(&d, 1000, begin + SECOND / 1000), SECOND / 10);
}

/* One that is larger than all that passes in a second passes, too, and is paid for. */
static void test_one_large(void **state)
{
	struct debt d = { 0 };

	(void)state;
	assert_int_equal(debt_wait(&d, 10, begin), 0);
	debt_add(&d, 1000);
	assert_int_equal(debt_wait(&d, 10, begin), SECOND * 99 + SECOND / 10);
	assert_int_equal(debt_wait(&d, 10, begin + 99 * SECOND), SECOND / 10);
	assert_int_equal(debt_wait(&d, 10, begin + 100 * SECOND), 0);
}

/* What is owed is in bytes, whatever the rate becomes. */
static void test_another_rate(void **state)
{
	struct debt d = { 0 };

	(void)state;
	assert_int_equal(debt_wait(&d, 1, begin), 0);
	debt_add(&d, 5000);
	assert_int_equal(debt_wait(&d, 1, begin), 5000 * SECOND);
	assert_int_equal(debt_wait(&d, 1000, begin + SECOND), 3 * SECOND + SECOND / 1000);
	assert_int_equal(debt_wait(&d, DEBT_MOST, begin + SECOND), 0);
}

static void test_the_most(void **state)
{
	struct debt d = { 0 };

	(void)state;
	assert_int_equal(debt_wait(&d, 1, begin), 0);
	for (int i = 0; i < 3; i++)
		debt_add(&d, DEBT_MOST);
	assert_int_equal(debt_wait(&d, 1, begin), DEBT_MOST * SECOND);
	assert_int_equal(debt_wait(&d, DEBT_MOST, begin), 1);
	assert_int_equal(debt_wait(&d, DEBT_MOST, INT64_MAX), 0);
	/* a clock that goes back pays nothing */
	debt_add(&d, DEBT_MOST);
	assert_int_equal(debt_wait(&d, 1, begin), DEBT_MOST * SECOND);
}

/* However often it is asked, and by however little: neither more nor less than the rate passes. */
static void test_over_a_long_time(void **state)
{
	static const int64_t rates[] = { 10, 33, 999, 100000, INT64_C(1) << 30 };
	unsigned seed = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		struct debt d = { 0 };
		const int64_t rate = rates[i], piece = rate / 3 + 1;
		int64_t now = begin, passed = 0;

		while (now < begin + 1000 * SECOND) {
			if (debt_wait(&d, rate, now) == 0) {
				debt_add(&d, piece);
				passed += piece;
			}
			now += rand_r(&seed) % (SECOND / 7);
		}
		assert_in_range(passed, 990 * rate, 1002 * rate + 2 * piece);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_second_at_once), cmocka_unit_test(test_one_large),
		cmocka_unit_test(test_another_rate),     cmocka_unit_test(test_the_most),
		cmocka_unit_test(test_over_a_long_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
