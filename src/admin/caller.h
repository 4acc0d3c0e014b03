/*
 * caller.h - who asks, and what he may do.
 */
#ifndef ADMIN_CALLER_H
#define ADMIN_CALLER_H

#include <stdbool.h>

#include "config/config.h"
#include "net/peer.h"

/* What somebody may do. */
enum right {
	MAY_LOOK = 0, /* whether it lives: everybody who can connect may */
	MAY_READ = 1, /* what is there, but no contents of messages */
	MAY_PUBLISH = 2, /* contents, and new ones */
	MAY_MANAGE = 4,
	MAY_ALL = 7
};

struct caller {
	unsigned rights; /* enum right */
	bool stranger; /* over TCP, without a token that is known */
	bool has_guessed; /* but with one that is not */
	char who[CONFIG_TOKEN_NAME_MAX + 16]; /* "token shop", "uid 1000": stays the same */
	char peer[NET_PEER_TEXT_MAX]; /* for the log: the address, or the user on a unix socket */
	struct net_peer address;
};

/*
 * Who is at the other end of a connection; authorization: what the request has in the header of that
 * name, NULL: nothing.
 */
void caller_know(struct caller *c, int fd, const char *authorization);

#endif
