/*
 * backoff.c - see backoff.h.
 *
 * One death is an accident, and who waits for that worker is to wait for a fork only. A worker that
 * dies of what it is asked, or of the machine, dies again: then forking is all that would be done.
 */
#include "process/backoff.h"

#include "process/ticks.h"

/* Milliseconds. */
enum { MINUTE = 60000, SHORTEST = 1000, LONGEST = 30000 };

bool backoff_note(struct backoff *b, uint64_t now)
{
	uint64_t newest = b->deaths[(b->count + BACKOFF_DEATHS - 1) % BACKOFF_DEATHS];
	uint64_t *oldest = &b->deaths[b->count % BACKOFF_DEATHS];
	bool often = b->count >= BACKOFF_DEATHS && now - *oldest < ticks_of(MINUTE);

	if (now - newest >= ticks_of(MINUTE))
		b->pauses = 0;
	*oldest = now;
	b->count++;
	return often;
}

uint64_t backoff_pause(struct backoff *b, bool alone)
{
	int64_t ms = SHORTEST;

	for (unsigned i = 0; i < b->pauses && ms < LONGEST; i++)
		ms *= 2;
	b->pauses++;
	return ticks_of(alone ? SHORTEST : ms < LONGEST ? ms : LONGEST);
}

uint64_t backoff_shortest(void)
{
	return ticks_of(SHORTEST);
}
