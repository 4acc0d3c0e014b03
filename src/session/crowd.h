/*
 * crowd.h - the openings of a worker, by whose they are.
 *
 * Every connection that is not open yet is in it, and so is one that was refused and has not ended:
 * each has a descriptor. There are at most max_handshakes of them. At that number the oldest of the
 * address that has most makes way for the next one, if it is older than a second and it is not us who
 * have to go on with it; else nobody is accepted until one has ended. So whoever comes with many half
 * requests takes places from himself, and clients that come back together, which are young, wait for
 * each other in the queue of the kernel. Where a quarter of that number get through within a second
 * nobody makes way at all: clients that are slow because so many come need not come again.
 */
#ifndef SESSION_CROWD_H
#define SESSION_CROWD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct conn;
struct crowd_address;

/* What an opening has of it, zeroed at first. */
struct crowd_place {
	TAILQ_ENTRY(crowd_place) entry; /* with others of its address, the oldest first */
	struct conn *conn; /* NULL: it is not in the crowd */
	struct crowd_address *address; /* NULL: it was not asked for yet */
	uint32_t since; /* tick at which it came */
};

/*
 * Puts c in, by its opening. It counts as its peer's (network.h). As long as that is somebody
 * who may speak for others, it counts as nobody's, which is an address of its own: who speaks for
 * many has many, with good reason.
 */
void crowd_enter(struct conn *c);

/* A PROXY header has said whose c is. */
void crowd_rename(struct conn *c);

/* Takes it out, unless it is out already; who waits to be accepted may go on. */
void crowd_leave(struct conn *c);

/* One of them has become open. */
void crowd_through(void);

/* Whether one more may be accepted: an acceptor_may_fn. */
bool crowd_has_place(void);

/* Who has to make way for that one. NULL: nobody. */
struct conn *crowd_in_the_way(void);

void crowd_fini(void);

#endif
