/*
 * room.h - the members that a room has in this worker, and what reaches them.
 *
 * A room is named by its endpoint's path and spans all workers: a message is
 * appended to the bus and delivered, by every worker, from there only.
 */
#ifndef SESSION_ROOM_H
#define SESSION_ROOM_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/frame.h"

struct bus;
struct conn;
struct room;
struct verdict;

/* A connection's place in a room; part of a behaviour's state. Zeroed: in none. */
struct room_member {
	struct room *room;
	size_t index;
};

/*
 * Makes c a member of its endpoint's room. False: it is to be closed as *v says (with 1013:
 * there are max_rooms already, or there is no memory, or the bus is blocked).
 */
bool room_join(struct conn *c, struct room_member *m, struct verdict *v)
	__attribute__((warn_unused_result));

/* The opposite; nothing happens if m is in no room. */
void room_leave(struct room_member *m);

/*
 * Publishes prefix and data as one message (TEXT or BINARY) to all members, to
 * c itself unless leave_out_sender. While the bus is full the message is kept and
 * c is not read from; the caller never notices. False: c is to be closed as *v says.
 */
bool room_publish(struct conn *c, struct room_member *m, enum ws_opcode opcode, const void *prefix,
		  size_t prefix_len, const void *data, size_t len, bool leave_out_sender,
		  struct verdict *v) __attribute__((warn_unused_result));

#endif
