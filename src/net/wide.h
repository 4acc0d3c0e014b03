/*
 * wide.h - a few sockets that take much more than they can send at once.
 *
 * What a socket takes beyond that is little (socket.h), for there are very many, and what
 * stands still there counts nowhere. But to keep the rest of a long message here costs a copy of
 * it and several calls. So those that asked last may have more. One that asks takes the place of
 * the first of them, unless that has much in its socket by then.
 */
#ifndef NET_WIDE_H
#define NET_WIDE_H

#include <stdbool.h>
#include <stddef.h>

struct transport;

enum {
	WIDE_UNSENT = 2 * 1024 * 1024, /* bytes that such a socket takes, */
	WIDE_BYTES =
		WIDE_UNSENT / 2 * 3, /* and of memory for them at most, which are in the account */
	WIDE_MAX = 64, /* of them in this process */
};

/*
 * Lets the socket take more; at most `bytes` are spent on all such sockets. Returns whether it takes more now
 * than it did: false too if it could before, or is no TCP socket.
 */
bool wide_ask(struct transport *t, size_t bytes);

/* What its socket keeps unsent beyond what others do, in bytes of memory. Of those that are not wide: 0. */
size_t wide_excess(const struct transport *t);

/* Ahead of its end. */
void wide_forget(struct transport *t);

#endif
