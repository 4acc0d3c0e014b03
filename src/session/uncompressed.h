/*
 * uncompressed.h - messages that wait to be compressed for one connection alone.
 *
 * Where what is sent depends on all that was sent before (context takeover), each connection has
 * to have its messages compressed for itself. That is done when its socket takes them, a slice a
 * turn: a peer that reads slowly costs no work, and what is kept for it is the message as it was
 * published, once for all who wait for it. Without takeover it is only long ones that wait.
 *
 * Those whose sockets take some have turns, slice by slice. Of long messages only a few are under
 * way at a time, for each has all that has come out of it by then.
 */
#ifndef SESSION_UNCOMPRESSED_H
#define SESSION_UNCOMPRESSED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "session/gap.h"
#include "session/turn_counters.h"

struct conn;
struct counted;

/* How many long messages are under way; and how many of a connection wait at most, however short. */
enum { UNCOMPRESSED_LONG = 8, UNCOMPRESSED_MOST = 65536 };

struct uncompressed_message {
	STAILQ_ENTRY(uncompressed_message) next;
	struct counted *holder; /* of the payload */
	struct iovec payload;
	uint64_t as; /* its mark, without a length */
	struct gap gap; /* it stands for those, and has no payload; none: it is a message */
	uint8_t opcode; /* of a control frame the payload is the whole frame */
};

TAILQ_HEAD(uncompressed_list, uncompressed);

/* What one connection has. Zeroed: nothing. */
struct uncompressed {
	STAILQ_HEAD(, uncompressed_message) messages;
	TAILQ_ENTRY(uncompressed) entry;
	struct uncompressed_list *list; /* in which it is, if its socket takes some; else NULL */
	struct turn_wait wait; /* in that of those that have turns */
	struct conn *conn;
	size_t bytes; /* of all payloads, */
	size_t told; /* and of those that are LINK_TOLD */
	unsigned count; /* of messages; 0: there are none */
	bool busy; /* the first is one of the long ones that are under way */
};

/*
 * Puts a message behind the others. holder: of the counted bytes that the one part lies in, or
 * NULL: the parts are copied. False: no memory.
 */
bool uncompressed_put(struct uncompressed *u, struct conn *c, uint8_t opcode, uint64_t as,
		      const struct iovec *parts, int count, struct counted *holder);
/* What would have followed those that there are is missing. False: no memory. */
bool uncompressed_lose(struct uncompressed *u, struct gap lost);

/* Bytes of memory that they take, those that others hold as well included. */
static inline size_t uncompressed_memory(const struct uncompressed *u)
{
	return u->bytes + u->count * sizeof(struct uncompressed_message);
}

/* The first one, of those that there are; and that it is out. */
static inline const struct uncompressed_message *uncompressed_first(const struct uncompressed *u)
{
	return STAILQ_FIRST(&u->messages);
}
void uncompressed_shift(struct uncompressed *u);

/*
 * The oldest that is not told is not to be sent, or that behind the first. told: of the gap that it
 * leaves, or NULL. False: there is none.
 */
bool uncompressed_drop(struct uncompressed *u, bool but_first, const struct gap_form *told);
/* None of them is to be sent. */
void uncompressed_forget(struct uncompressed *u);

/* The socket takes some, or none: its turn comes, or does not. */
void uncompressed_ready(struct uncompressed *u, bool takes);

/* The connection whose turn it is, which is then behind the others. NULL: there is none. */
struct conn *uncompressed_next(void);
bool uncompressed_any(void);

#endif
