/*
 * failing.h - memory that runs out when a test wants it to.
 *
 * Every unit test is linked so that what our own code asks for comes by here: malloc,
 * calloc, realloc, reallocarray, strdup, mmap and mremap; not what libraries ask for
 * themselves. To see each request fail once:
 *
 *	for (unsigned n = 1; failing_nth(n), run(), failing_end(); n++)
 *		;
 */
#ifndef TESTS_FAILING_H
#define TESTS_FAILING_H

#include <stdbool.h>

/* The nth request from now on fails (1: the next one), that one alone; or it and all behind it. */
void failing_nth(unsigned n);
void failing_from(unsigned n);

/* No more of that. Returns whether one has failed. */
bool failing_end(void);

#endif
