/*
 * portion.h - how much of a long message is read or written at once.
 *
 * As much as takes a fifth of a millisecond, at most PORTION_MOST. Nearly always that is the most. But memory
 * that the kernel has not used before costs ten times as much, and as much again where the kernel
 * is itself a guest that has to be given it: what one portion took says how large the next one may be.
 */
#ifndef SESSION_PORTION_H
#define SESSION_PORTION_H

#include <stddef.h>
#include <stdint.h>

enum {
	PORTION_MOST = 256 * 1024, /* bytes */
	PORTION_LEAST = 64 * 1024,
	PORTION_LONG = 200, /* microseconds */
	PORTION_SHORT = PORTION_LONG / 4,
};

struct portion {
	size_t bytes; /* of the next one */
};

/* One of n bytes took so many microseconds. Where less came than was asked for that says nothing. */
static inline void portion_took(struct portion *p, size_t n, int64_t us)
{
	if (n < p->bytes)
		return;
	if (us > PORTION_LONG && p->bytes > PORTION_LEAST)
		p->bytes /= 2;
	else if (us < PORTION_SHORT && p->bytes < PORTION_MOST)
		p->bytes *= 2;
}

#endif
