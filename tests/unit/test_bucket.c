// links: base
/*
 * bucket.c: so many at once, then so many a second, and none uncounted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bucket.h"

/* Those of behaviours' lines: 100 at once, then 20 a second. */
static const struct bucket_size SIZE = { 100, 50 };

static unsigned take_many(struct bucket *b, const struct bucket_size *size, uint32_t now,
			  unsigned n)
{
	unsigned passed = 0;

	while (n-- > 0)
		passed += bucket_take(b, size, now);
	return passed;
}

static void test_burst(void **state)
{
	struct bucket b = { 0 };

	(void)state;
	assert_int_equal(take_many(&b, &SIZE, 5000, 100), 100);
	assert_int_equal(b.missed, 0);
	assert_int_equal(take_many(&b, &SIZE, 5000, 320000), 0);
	assert_int_equal(b.missed, 320000);
}

/* It fills up again wherever the clock stands, and across its end. */
static void test_any_clock(void **state)
{
	static const uint32_t starts[] = {
		0, 1, 4999, 5001, 1u << 31, UINT32_MAX - 7000, UINT32_MAX
	};

	(void)state;
	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
		struct bucket b = { 0 };
		uint32_t now = starts[i];

		take_many(&b, &SIZE, now, 200);
		for (uint32_t later = 5000; later < 100000; later += 5000) {
			bucket_rest(&b);
			assert_int_equal(take_many(&b, &SIZE, now + later, 200), 100);
		}
	}
}

/* Twenty a second, not more, under a flood that goes on; every one is counted. */
static void test_flood(void **state)
{
	struct bucket b = { 0 };
	unsigned passed = 0, told = 0, counts = 0;

	(void)state;
	for (uint32_t now = 100000; now < 160000; now += 100) {
		uint32_t missed = bucket_missed(&b, &SIZE, now);

		told += missed;
		counts += missed > 0;
		passed += take_many(&b, &SIZE, now, 1000);
	}
	assert_in_range(passed + counts, 100 + 59 * 20 - 20, 100 + 60 * 20);
	/* one count a second */
	assert_in_range(counts, 58, 60);
	assert_int_equal(passed + told + b.missed, 600 * 1000);
	assert_int_equal(bucket_rest(&b), 600 * 1000 - passed - told);
	assert_int_equal(bucket_rest(&b), 0);
}

/* Who stays within the rate misses nothing. */
static void test_within_the_rate(void **state)
{
	struct bucket b = { 0 };

	(void)state;
	take_many(&b, &SIZE, 100000, 100);
	for (uint32_t now = 100050; now < 200000; now += 50) {
		assert_true(bucket_take(&b, &SIZE, now));
		assert_int_equal(bucket_missed(&b, &SIZE, now), 0);
	}
}

/* The count comes when a second's worth is there again, though nobody else does. */
static void test_count_in_silence(void **state)
{
	struct bucket b = { 0 };

	(void)state;
	take_many(&b, &SIZE, 100000, 103);
	assert_int_equal(bucket_missed(&b, &SIZE, 100900), 0);
	assert_false(bucket_take(&b, &SIZE, 100900)); /* nothing passes ahead of the count */
	assert_int_equal(bucket_missed(&b, &SIZE, 101000), 4);
	assert_int_equal(bucket_missed(&b, &SIZE, 101000), 0);
	/* telling it was one of the twenty */
	assert_int_equal(take_many(&b, &SIZE, 101000, 50), 19);
}

/* One that is slower than a second, or holds less than that, tells its count all the same. */
static void test_slow_and_small(void **state)
{
	static const struct bucket_size sizes[] = { { 4, 10000 }, { 1, 10000 }, { 1, 100 } };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		const struct bucket_size *s = &sizes[i];
		struct bucket b = { 0 };
		uint32_t now = 1000000, told = 0;

		assert_int_equal(take_many(&b, s, now, 10), s->burst);
		for (int k = 0; k < 1000 && told == 0; k++)
			told = bucket_missed(&b, s, now += 100);
		assert_int_equal(told, 10 - s->burst);
		assert_true(now <= 1000000 + 2 * s->every);
	}
}

static void test_count_does_not_overflow(void **state)
{
	struct bucket b = { .missed = UINT32_MAX };

	(void)state;
	assert_false(bucket_take(&b, &SIZE, 0));
	bucket_miss(&b, 7);
	assert_int_equal(b.missed, UINT32_MAX);
	bucket_rest(&b);
	bucket_miss(&b, 7);
	assert_int_equal(bucket_rest(&b), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_any_clock),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_within_the_rate),
		cmocka_unit_test(test_count_in_silence),
		cmocka_unit_test(test_slow_and_small),
		cmocka_unit_test(test_count_does_not_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
