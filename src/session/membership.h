/*
 * membership.h - what a behaviour whose endpoints have rooms does with them.
 *
 * A room spans all workers: a message is appended to the bus and delivered, by every worker, from
 * there only. Its name is where the connection's path led; who ends leaves it by itself.
 */
#ifndef SESSION_MEMBERSHIP_H
#define SESSION_MEMBERSHIP_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/frame.h"

struct conn;
struct verdict;

/*
 * Makes c a member of its room, unless its admission did. False: it is to be closed as *v says (with
 * 1013: there are max_rooms already, or there is no memory, or the bus is blocked).
 */
bool room_join(struct conn *c, struct verdict *v) __attribute__((warn_unused_result));

/*
 * Publishes prefix and data as one message (TEXT or BINARY) to all members of the room that c has
 * joined, to c itself unless leave_out_sender. While the bus is full the message is kept and c is
 * not read from; where members may not publish it is counted and dropped, and over
 * room_rate as over_rate says; the caller never notices. Where `data` is "json" a text is one JSON
 * value, which the caller has checked (behaviour.h), and a BINARY message is none. False: c is to be
 * closed as *v says.
 */
bool room_publish(struct conn *c, enum ws_opcode opcode, const void *prefix, size_t prefix_len,
		  const void *data, size_t len, bool leave_out_sender, struct verdict *v)
	__attribute__((warn_unused_result));

#endif
