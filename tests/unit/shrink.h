/*
 * shrink.h - the few steps of a run that fails, of the many that it had.
 *
 * A run is a list of numbers of steps, in order, and each part of the list is a run, too.
 */
#ifndef TESTS_SHRINK_H
#define TESTS_SHRINK_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

struct shrink {
	bool (*fails)(void *arg, const unsigned *steps, size_t count);
	void *arg;
	unsigned runs; /* that may still be made; on return, that are left */
	time_t seconds; /* that it may take, about */
};

static inline time_t shrink_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* Leaves out so many steps at a time, from the last ones on, wherever the rest fails as well. */
static inline size_t shrink_by(struct shrink *s, unsigned *steps, size_t count, size_t size,
			       time_t until)
{
	unsigned left_out[size];

	for (size_t end = count; end > 0 && s->runs > 0 && shrink_now() < until;) {
		size_t n = size < end ? size : end, rest = count - end;
		unsigned *from = steps + end - n;

		memcpy(left_out, from, n * sizeof(*from));
		memmove(from, from + n, rest * sizeof(*from));
		s->runs--;
		if (s->fails(s->arg, steps, count - n)) {
			count -= n;
		} else {
			memmove(from + n, from, rest * sizeof(*from));
			memcpy(from, left_out, n * sizeof(*from));
		}
		end -= n;
	}
	return count;
}

/*
 * Leaves out halves, quarters ... and single steps of a run that fails, as long as the rest does,
 * in place; single ones again until none can be left out. Returns how many are left.
 */
static inline size_t shrink(struct shrink *s, unsigned *steps, size_t count)
{
	time_t until = shrink_now() + s->seconds;
	size_t before = 0;

	for (size_t size = count / 2; size > 1; size /= 2)
		count = shrink_by(s, steps, count, size, until);
	while (count != before && s->runs > 0 && shrink_now() < until) {
		before = count;
		count = shrink_by(s, steps, count, 1, until);
	}
	return count;
}

#endif
