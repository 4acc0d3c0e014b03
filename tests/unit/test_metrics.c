/* What workers count, and what the others see of it. */
// links: base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/metrics.h"

/* Up to the last row that any worker had, whatever order they came in. */
static void test_open_of_all(void **state)
{
	struct segment s;
	struct metrics *m = metrics_new(&s);

	(void)state;
	assert_non_null(m);
	assert_int_equal(metrics_open(m), 0);
	metrics_use(m, 3)->open = 5;
	assert_int_equal(metrics_open(m), 5);
	metrics_use(m, 1)->open = 2;
	metrics_use(m, SLOTS - 1)->open = 1;
	assert_int_equal(metrics_open(m), 8);
	segment_free(&s);
}

static void test_what_a_child_counts(void **state)
{
	struct segment s;
	struct metrics *m = metrics_new(&s);
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
	segment_free(&s);
}

/* What a process sees that has the descriptor alone, and reads. */
static int read_attached(int fd)
{
	struct segment s;
	const char *why;
	const struct metrics *m;

	if (segment_attach(&s, fd, &metrics_layout, false, &why) < 0)
		return 1;
	m = s.at;
	return metrics_open(m) == 9 && atomic_load(&m->rows[SLOTS - 1].accepted) == 4 ? 0 : 2;
}

static void test_who_attaches_reads(void **state)
{
	struct segment s;
	struct metrics *m = metrics_new(&s);
	struct metrics_row *row = metrics_use(m, SLOTS - 1);
	int status;
	pid_t pid;

	(void)state;
	row->open = 9;
	metrics_add(&row->accepted, 4);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		munmap(s.at, s.mapped);
		_exit(read_attached(s.fd));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	segment_free(&s);
}

/* No two processes write to one cache line, or to the next that is fetched with it. */
static void test_rows_are_apart(void **state)
{
	struct segment s;
	struct metrics *m = metrics_new(&s);

	(void)state;
	for (int i = 0; i < SLOTS; i++)
		assert_int_equal((uintptr_t)&m->rows[i] % 128, 0);
	segment_free(&s);
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
		cmocka_unit_test(test_who_attaches_reads),
		cmocka_unit_test(test_rows_are_apart),
		cmocka_unit_test(test_activities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
