/*
 * debt.h - so many bytes in a second: whoever sends more than that owes them.
 *
 * What comes is one piece, of any size, and passes as long as less is owed than comes in a second.
 * What is owed is paid back as time passes. It is counted in bytes, so that another rate holds for what
 * is owed already, too.
 */
#ifndef BASE_DEBT_H
#define BASE_DEBT_H

#include <stdint.h>

/* Most that is said of bytes, for each of the three here. */
#define DEBT_MOST (INT64_C(1) << 32)

/* Zeroed nothing is owed. For one process. */
struct debt {
	int64_t bytes; /* owed, */
	int64_t at; /* at that time, in nanoseconds of the monotonic clock */
};

/*
 * Whether one more passes at the time now: 0: it does; else so many nanoseconds until it may. rate: bytes
 * a second, from 1 on.
 */
int64_t debt_wait(struct debt *d, int64_t rate, int64_t now);

/* It has passed: so many more are owed. */
void debt_add(struct debt *d, int64_t bytes);

#endif
