/*
 * The title is put where the arguments and the environment were, and no further.
 */
// links: base proto bus config net session behaviours admin process
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "process/title.h"

/* As the kernel lays them out: arguments, then variables, then what is not ours. */
static char area[] = "ignyxd\0-v\0A=1\0B=2\0behind";
static const size_t BEHIND = sizeof("ignyxd\0-v\0A=1\0B=2") /* with the last NUL */;

static void test_title(void **state)
{
	char *argv[] = { area, area + 7, NULL };
	char *env[] = { area + 10, area + 14, NULL };
	char **before = environ, **moved;

	(void)state;
	title_set("nothing yet");
	assert_string_equal(area, "ignyxd");

	environ = env;
	moved = title_init(2, argv);
	assert_ptr_not_equal(moved, argv);
	title_set("worker");
	/* cut to the 18 bytes that there are, the NUL among them */
	assert_string_equal(area, "ignyxd: worker");
	assert_string_equal(area + BEHIND, "behind");
	title_set("a title that is longer");
	assert_string_equal(area, "ignyxd: a title t");
	assert_string_equal(area + BEHIND, "behind");
	title_set("x");
	for (size_t i = strlen("ignyxd: x"); i < BEHIND; i++)
		assert_int_equal(area[i], 0);

	assert_string_equal(moved[0], "ignyxd");
	assert_string_equal(moved[1], "-v");
	assert_null(moved[2]);
	assert_string_equal(getenv("A"), "1");
	assert_string_equal(getenv("B"), "2");
	assert_null(environ[2]);
	environ = before;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_title) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
