/*
 * distinct.h - about how many different keys there were, in 512 bytes.
 */
#ifndef BASE_DISTINCT_H
#define BASE_DISTINCT_H

#include <stdint.h>

enum {
	DISTINCT_BITS = 4096,
	DISTINCT_MOST = 20000, /* what it can tell apart */
};

/* Zeroed there was none. */
struct distinct {
	uint64_t bits[DISTINCT_BITS / 64];
};

/* Notes a key; once more does not change it. */
void distinct_add(struct distinct *d, uint64_t key);

/*
 * How many there were, to a few in a hundred; up to ten or so it is hardly ever wrong. DISTINCT_MOST:
 * so many or more.
 */
unsigned distinct_count(const struct distinct *d);

#endif
