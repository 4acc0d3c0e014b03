/* What the log leaves alone, the error that its caller has yet to look at; and what it counts. */
// links: base
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

/* Runs with standard error as `fd`, and returns errno behind an entry. */
static int errno_behind_an_entry(int fd)
{
	int saved = dup(STDERR_FILENO), after;

	assert_true(saved >= 0 && dup2(fd, STDERR_FILENO) >= 0);
	errno = ENOTTY;
	log_err(NULL, "an entry: %s", strerror(errno));
	after = errno;
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	return after;
}

static void test_errno(void **state)
{
	int null = open("/dev/null", O_WRONLY), full = open("/dev/full", O_WRONLY);

	(void)state;
	assert_true(null >= 0 && full >= 0);
	assert_int_equal(errno_behind_an_entry(null), ENOTTY);
	/* also where it cannot be written */
	assert_int_equal(errno_behind_an_entry(full), ENOTTY);
	assert_int_equal(errno_behind_an_entry(null), ENOTTY);
	close(null);
	close(full);
}

/* Each entry that is dropped is counted once, by the process that could not write it. */
static void test_dropped(void **state)
{
	int full = open("/dev/full", O_WRONLY), status;
	pid_t pid;

	(void)state;
	log_take_dropped();
	errno_behind_an_entry(full);
	errno_behind_an_entry(full);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		uint64_t parents;

		log_forked();
		parents = log_take_dropped();
		errno_behind_an_entry(full);
		_exit((int)(16 * parents + log_take_dropped()));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_int_equal(log_take_dropped(), 2);
	assert_int_equal(log_take_dropped(), 0);
	close(full);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_errno),
					    cmocka_unit_test(test_dropped) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
