/*
 * backlog.h - what a room's members are still to get, once it is out of the log.
 *
 * A delivery that one turn does not finish takes its entries out of the log, so that the cursor
 * goes on and other rooms are delivered meanwhile. What comes for the room later queues behind it.
 */
#ifndef SESSION_BACKLOG_H
#define SESSION_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "session/edition.h"
#include "session/rendition.h"
#include "session/turn_counters.h"

/* Entries that are delivered together. */
struct backlog_batch {
	TAILQ_ENTRY(backlog_batch) next;
	struct batch batch;
	struct batched *entries;
	size_t size; /* of entries, the array */
	struct renditions renditions;
	struct edition edition; /* for members of the format "json" */
	struct renditions of_edition;
	bool begun; /* somebody has got it: nothing more is put in */
};

/* That of one room. Zeroed: it has none. */
struct backlog {
	TAILQ_HEAD(backlog_list, backlog_batch) batches;
	TAILQ_ENTRY(backlog) entry; /* among those of all rooms */
	struct turn_wait wait; /* for its turn among them */
	size_t bytes; /* of memory that its batches take; 0: there are none */
};

/*
 * Puts the entries of a batch behind what b has. begun: its delivery has begun, and b has none.
 * False: no memory, and nothing has changed.
 */
bool backlog_put(struct backlog *b, const struct batch *batch, bool begun);

/* Makes a batch's edition, unless it is made. False: no memory. */
bool backlog_need_edition(struct backlog *b, struct backlog_batch *w, const struct envelope *v);

/* The batch that is to be delivered next, from now on as it is; b has one. */
struct backlog_batch *backlog_begin(struct backlog *b);
/* It is delivered. */
void backlog_end(struct backlog *b);
/* Nobody is to get any of it. */
void backlog_forget(struct backlog *b);

static inline bool backlog_is_empty(const struct backlog *b)
{
	return b->bytes == 0;
}

/* Of all rooms: the one whose turn it is, which is then behind the others. NULL: none has any. */
struct backlog *backlog_next(void);
/* Bytes of memory that all together take. */
size_t backlog_bytes(void);

#endif
