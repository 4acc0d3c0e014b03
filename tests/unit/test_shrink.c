/*
 * A run that fails is shrunk to the steps that it needs for it, and with too few tries still fails.
 */
// links: base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shrink.h"

/* Fails with three of its steps, and no matter what else. */
static bool needs_three(void *arg, const unsigned *steps, size_t count)
{
	unsigned found = 0;

	++*(unsigned *)arg;
	for (size_t i = 0; i < count; i++)
		found += steps[i] == 3 || steps[i] == 500 || steps[i] == 998;
	return found == 3;
}

static void test_what_fails_is_shrunk(void **state)
{
	unsigned steps[1000], runs = 0;
	struct shrink s = { needs_three, &runs, 300, 60 };

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		steps[i] = i;
	assert_int_equal(shrink(&s, steps, 1000), 3);
	assert_int_equal(steps[0], 3);
	assert_int_equal(steps[1], 500);
	assert_int_equal(steps[2], 998);
	assert_int_equal(runs + s.runs, 300);
}

/* It still fails, wherever the shrinking ends for having tried enough. */
static void test_shrinking_ends(void **state)
{
	unsigned runs = 0;

	(void)state;
	for (unsigned most = 0; most < 40; most++) {
		unsigned steps[1000];
		struct shrink s = { needs_three, &runs, most, 60 };
		size_t count;

		for (unsigned i = 0; i < 1000; i++)
			steps[i] = i;
		count = shrink(&s, steps, 1000);
		assert_true(needs_three(&runs, steps, count));
		assert_int_equal(s.runs, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_fails_is_shrunk),
		cmocka_unit_test(test_shrinking_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
