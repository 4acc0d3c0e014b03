/*
 * step.h - a child that is traced, instruction by instruction.
 */
#ifndef TESTS_STEP_H
#define TESTS_STEP_H

#include <signal.h>
#include <stdbool.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child: from here on it is traced, and stops. */
static inline void step_begin(void)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		_exit(1);
	raise(SIGSTOP);
}

/* Waits until a child has stopped there. False: it may not be traced. */
static inline bool step_ready(pid_t pid)
{
	int status;

	assert_true(pid >= 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSTOPPED(status);
}

/* Goes on for at most so many instructions. Returns how many, fewer when it stopped by itself. */
static inline unsigned step(pid_t pid, unsigned most)
{
	int status;

	for (unsigned n = 0; n < most; n++) {
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSTOPPED(status));
		if (WSTOPSIG(status) != SIGTRAP)
			return n;
	}
	return most;
}

#endif
