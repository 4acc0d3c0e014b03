/* What workers count, and what the others see of it. */
// links: base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/metrics.h"

/* Up to the last row that any worker had, whatever order they came in. */
static void test_open_of_all(void **state)
{
	struct metrics *m = metrics_new();

	(void)state;
	assert_non_null(m);
	assert_int_equal(metrics_open(m), 0);
	metrics_use(m, 3)->open = 5;
	assert_int_equal(metrics_open(m), 5);
	metrics_use(m, 1)->open = 2;
	metrics_use(m, SLOTS - 1)->open = 1;
	assert_int_equal(metrics_open(m), 8);
}

static void test_what_a_child_counts(void **state)
{
	struct metrics *m = metrics_new();
	uint64_t before = metrics_heartbeat(&m->rows[2]);
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		metrics_use(m, 2)->open = 7;
		metrics_beat();
		metrics_add(&metrics_own->messages_in, 2);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(metrics_open(m), 7);
	assert_int_equal(metrics_heartbeat(&m->rows[2]), before + 3);
}

static void test_activities(void **state)
{
	(void)state;
	for (int i = 0; i < ACTIVITY_COUNT; i++)
		assert_non_null(activity_name(i));
	/* a damaged number is no place in a table */
	assert_string_equal(activity_name(-1), activity_name(ACTIVITY_COUNT));
	assert_string_not_equal(activity_name(-1), activity_name(ACTIVITY_WAITING));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_of_all),
		cmocka_unit_test(test_what_a_child_counts),
		cmocka_unit_test(test_activities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
