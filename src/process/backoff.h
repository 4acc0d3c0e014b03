/*
 * backoff.h - when a worker that died is replaced. Times are ticks of the master.
 *
 * At once, five times within a minute; after that with a pause of a second, doubled with each up
 * to half a minute, until there was a minute without a death.
 */
#ifndef PROCESS_BACKOFF_H
#define PROCESS_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

enum { BACKOFF_DEATHS = 5 };

/* Of one slot; zeroed at the start. */
struct backoff {
	uint64_t deaths[BACKOFF_DEATHS]; /* when the last ones were, a ring */
	unsigned count; /* of all deaths */
	unsigned pauses; /* since there was a minute without a death */
};

/* Notes a death. Returns whether the place is to be left alone for backoff_pause. */
bool backoff_note(struct backoff *b, uint64_t now);

/* How long the next pause is, in ticks; counts it. alone: nobody can accept meanwhile. */
uint64_t backoff_pause(struct backoff *b, bool alone);

/* The shortest pause, in ticks. */
uint64_t backoff_shortest(void);

#endif
