/*
 * skipping.h - a test that cannot be made, and why: run.sh tells it, and count.sh what that means.
 */
#ifndef TESTS_SKIPPING_H
#define TESTS_SKIPPING_H

#define NO_PTRACE "needs ptrace, which is not allowed here"

/* Ends the test. What a way of running leaves out by design is "not under ..."; all else is missing. */
static inline void skip_for(const char *why)
{
	print_message("SKIPPED: %s\n", why);
	skip();
}

#endif
