// links: base
/*
 * distinct.c: how many different ones there were.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/distinct.h"

/* Keys that differ as addresses of one network do, each three times. */
static unsigned count(uint64_t n, uint64_t step)
{
	struct distinct d = { { 0 } };

	for (int round = 0; round < 3; round++)
		for (uint64_t i = 0; i < n; i++)
			distinct_add(&d, 0xffffffff0a000000 + i * step);
	return distinct_count(&d);
}

static void test_few(void **state)
{
	(void)state;
	assert_int_equal(count(0, 1), 0);
	assert_int_equal(count(1, 1), 1);
	/* two that share a bit are one: four in five thousand */
	assert_in_range(count(7, 1), 6, 7);
	assert_in_range(count(37, 1), 34, 39);
	assert_in_range(count(37, 1 << 16), 34, 39);
}

/* Six times what is to be expected of chance, and less than what a linear map would be off by. */
static void test_many(void **state)
{
	static const uint64_t numbers[] = { 500, 2000, 5000, 10000, 15000 };

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		uint64_t n = numbers[i], off = n * (n < 5000 ? 6 : 12) / 100 + 6;

		assert_in_range(count(n, 1), n - off, n + off);
		assert_in_range(count(n, 256), n - off, n + off);
	}
}

static void test_more_than_it_can_tell(void **state)
{
	(void)state;
	assert_int_equal(count(100000, 1), DISTINCT_MOST);
	/* with every bit set */
	assert_int_equal(count(1000000, 1), DISTINCT_MOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_more_than_it_can_tell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
