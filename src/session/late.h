/*
 * late.h - who says who it is in its first message, where `first_message` lets it.
 *
 * It is open, and that is all: in no room, without an admission, and no behaviour knows of it. Its first
 * message is {"ignyx":"auth","token":TOKEN}, or it goes; so it does when that has not come in time.
 */
#ifndef SESSION_LATE_H
#define SESSION_LATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/frame.h"
#include "session/jwt_holder.h"
#include "session/replay.h"

struct config_endpoint;
struct conn;
struct verdict;

enum { LATE_MESSAGE_MAX = JWT_MESSAGE_MAX }; /* bytes of that message */

/* What is kept of its request up to then. */
struct conn_late {
	uint32_t until; /* tick: it has not come in time then */
	bool json;
	struct replay_wish wish;
	char name[]; /* the path that it came by */
};

/* c, which is about to be open, is one of them. False: no memory. */
bool late_begin(struct conn *c, const char *name, bool json, const struct replay_wish *wish);

/*
 * Whether c, one of them, would be let wait at e, too: that may be done there, and of all else that is asked
 * there nothing is missing but what its request has shown, and is not kept. Its origin has been judged.
 */
bool late_holds(struct conn *c, const struct config_endpoint *e);

/*
 * Its first message has come. True: it is let in, and its behaviour is to be told that it is open. False:
 * it is to be closed as *v says.
 */
bool late_take(struct conn *c, const struct ws_message *m, struct verdict *v);

#endif
