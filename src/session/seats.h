/*
 * seats.h - the connections of each user in this worker, the oldest first.
 *
 * A seat is a connection under a key that it is counted by. Of each key all workers are told how old the
 * oldest here is (tally_mark), so that each of them can say who has the oldest of all.
 */
#ifndef SESSION_SEATS_H
#define SESSION_SEATS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/tally.h"

struct conn;

struct seat {
	struct conn *conn; /* NULL: it is none */
	uint64_t
		since; /* microseconds of the monotonic clock; SEAT_LEAVING: it is on its way out */
	uint64_t id; /* the connection's: of those since the same time the lower is the older */
	struct tally_key key;
};

enum { SEAT_LEAVING = 1 };

/* Adds one, filled in. False: no memory, and it is none. */
bool seats_add(struct seat *s) __attribute__((warn_unused_result));

/* Takes one out; it is none then. */
void seats_remove(struct seat *s);

/* The oldest of a key here, ahead of which are those that leave. NULL: there is none. */
struct seat *seats_oldest(const struct tally_key *k);

#endif
