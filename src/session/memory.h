/*
 * memory.h - the sum of what a worker keeps for its connections is bounded (max_memory).
 *
 * Where it is too much the slowest consumer goes first: who has most bytes unsent. Where there is
 * none, it is who has sent most of a message that is not whole.
 */
#ifndef SESSION_MEMORY_H
#define SESSION_MEMORY_H

#include <stdbool.h>
#include <sys/queue.h>

struct conn;

/* Nobody is ended for less, in bytes. */
enum { MEMORY_LEAST = 4096 };

/* Of one that has more. Zeroed: it has not. */
struct memory_entry {
	TAILQ_ENTRY(memory_entry) entry;
	struct conn *conn; /* NULL: it stands in no list */
};

/* To be called where c may have come to keep more: it is one of those that are looked at then. */
void memory_note(struct conn *c);
/* c ends. */
void memory_forget(struct conn *c);

/*
 * Where the sum is too much, goes on looking for who is to go, for as long as the turn lasts.
 * *found is it (slow: for what is to be sent to it), or NULL: nobody, or not yet. Returns whether
 * the sum is too much, and there is somebody to look at.
 */
bool memory_search(struct conn **found, bool *slow);

#endif
