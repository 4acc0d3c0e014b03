/*
 * acceptor.h - takes connections off one listening socket in a worker.
 */
#ifndef NET_ACCEPTOR_H
#define NET_ACCEPTOR_H

#include <event2/event.h>
#include <stdbool.h>

#include "net/peer.h"

struct acceptor;

/*
 * fd is non-blocking and now the callee's; it may close it at once. Returns whether there is time
 * for another one in this loop turn.
 */
typedef bool (*acceptor_fn)(int fd, const struct net_peer *peer, void *arg);

/* Whether there is a place for one more. If not, acceptor_go_on says when it is time to ask again. */
typedef bool (*acceptor_may_fn)(void);

/*
 * Accepts on fd, which it takes over, a bounded number a loop turn, if may allows it each time;
 * meanwhile who comes waits in the queue. When the process is out of descriptors it pauses for a
 * moment, having turned one connection away with a spare one, instead of spinning. NULL: no memory;
 * fd is then closed.
 */
struct acceptor *acceptor_new(struct event_base *base, int fd, acceptor_may_fn may, acceptor_fn fn,
			      void *arg);

/* All that were told that there is no place ask again. They do so ten times a second in any case. */
void acceptor_go_on(void);

/* From the next connection on: what fn is called with, and how many are accepted a second (0: any). */
void acceptor_set(struct acceptor *a, void *arg, unsigned rate);

/* What becomes of a socket that an acceptor finishes with. */
enum acceptor_end {
	ACCEPTOR_LEAVES, /* who has a copy goes on with it */
	/* Nobody is to come by it any more, whoever has a copy of it; for TCP sockets: */
	ACCEPTOR_SHUTS, /* at once; */
	/* who is about to connect has a quarter of a second for it, which is a long round trip. Who begins to
	 * meanwhile finds another socket a second later, or none. */
	ACCEPTOR_MAKES_WAY,
};

/*
 * Accepts what waits in the queue without asking, as much as a loop turn has time for and the rest in the next
 * ones; then closes the socket, calls gone with what fn was called with, and frees.
 */
typedef void acceptor_gone_fn(void *arg);
void acceptor_finish(struct acceptor *a, enum acceptor_end end, acceptor_gone_fn *gone);
/* Whether one of them has yet to; and that they are to close at once, whoever waits. */
bool acceptor_some_finish(void);
void acceptor_finish_no_more(void);

/* Closes this process's copy of the socket without accepting more, frees. */
void acceptor_free(struct acceptor *a);

#endif
