/*
 * A bucket in eight bytes: how many at once, how many then, and with whatever stands in it.
 */
// links: base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rate.h"

#define MS INT64_C(1000000)

static struct rate r;

static int passes(const struct rate_size *size, int64_t now)
{
	int n = 0;

	while (n < 1000 && rate_take(&r, size, now) == 0)
		n++;
	return n;
}

static int begin(void **state)
{
	(void)state;
	atomic_store(&r.full_at, 0);
	return 0;
}

static void test_sizes(void **state)
{
	struct rate_size size = rate_size_of(50 * MS, 0);

	(void)state;
	assert_int_equal(size.depth, 1000 * MS);
	size = rate_size_of(5000 * MS, 0);
	assert_int_equal(size.depth, 5000 * MS);
	size = rate_size_of(50 * MS, 3);
	assert_int_equal(size.depth, 150 * MS);
	/* what has no limit has none */
	size = rate_size_of(0, 0);
	assert_int_equal(passes(&size, 1), 1000);
}

static void test_burst_then_rate(void **state)
{
	const struct rate_size size = rate_size_of(50 * MS, 5);
	int64_t now = 77000 * MS;

	(void)state;
	assert_int_equal(passes(&size, now), 5);
	assert_int_equal(rate_take(&r, &size, now), 50 * MS);
	assert_int_equal(rate_take(&r, &size, now + 49 * MS), 1 * MS);
	assert_int_equal(passes(&size, now + 50 * MS), 1);
	assert_int_equal(passes(&size, now + 200 * MS), 3);
	assert_int_equal(passes(&size, now + 10000 * MS), 5);
}

static void test_given_back(void **state)
{
	const struct rate_size size = rate_size_of(50 * MS, 2);

	(void)state;
	assert_int_equal(passes(&size, 1000 * MS), 2);
	rate_give(&r, &size);
	assert_int_equal(passes(&size, 1000 * MS), 1);
	/* a full one has no more for it */
	rate_give(&r, &size);
	assert_int_equal(passes(&size, 9000 * MS), 2);
}

/* What is in shared memory may be anything: it never stands still. */
static void test_nonsense(void **state)
{
	static const int64_t values[] = { INT64_MAX, INT64_MIN, -1, 1 };
	const struct rate_size size = rate_size_of(50 * MS, 4);

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		atomic_store(&r.full_at, values[i]);
		assert_int_equal(passes(&size, 5000 * MS), 4);
		assert_int_equal(passes(&size, 5050 * MS), 1);
	}
}

/* Another process has the time of its own turn, which may have begun before or after. */
static void test_times_apart(void **state)
{
	static const int64_t apart[] = { 1, MS, 900 * MS };
	const struct rate_size rare = rate_size_of(3600000 * MS, 1),
			       size = rate_size_of(50 * MS, 4);
	int64_t now = 5000 * MS;

	(void)state;
	for (size_t i = 0; i < sizeof(apart) / sizeof(*apart); i++) {
		begin(NULL);
		assert_int_equal(passes(&rare, now), 1);
		assert_int_equal(passes(&rare, now - apart[i]), 0);
		assert_int_equal(rate_take(&r, &rare, now - apart[i]), 3600000 * MS + apart[i]);
		begin(NULL);
		assert_int_equal(passes(&size, now), 4);
		for (int turns = 0; turns < 10; turns++) {
			assert_int_equal(passes(&size, now - apart[i]), 0);
			assert_int_equal(passes(&size, now), 0);
		}
		assert_int_equal(passes(&size, now + 50 * MS), 1);
	}
}

/* A reload may make it smaller, or larger. */
static void test_resized(void **state)
{
	const struct rate_size large = rate_size_of(50 * MS, 20), small = rate_size_of(50 * MS, 2);

	(void)state;
	assert_int_equal(passes(&large, 5000 * MS), 20);
	assert_in_range(passes(&small, 5000 * MS), 0, 2);
	assert_int_equal(passes(&large, 6000 * MS), 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_sizes, begin),
		cmocka_unit_test_setup(test_burst_then_rate, begin),
		cmocka_unit_test_setup(test_given_back, begin),
		cmocka_unit_test_setup(test_nonsense, begin),
		cmocka_unit_test_setup(test_times_apart, begin),
		cmocka_unit_test_setup(test_resized, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
