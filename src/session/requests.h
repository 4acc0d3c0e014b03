/*
 * requests.h - what a member asks the daemon itself, in a text that begins with {"ignyx": - such a
 * text is nobody's message: it is not published, checked or logged. ignyxd-protocol(7)
 */
#ifndef SESSION_REQUESTS_H
#define SESSION_REQUESTS_H

#include <stdbool.h>
#include <string.h>

#include "proto/frame.h"

struct conn;

#define REQUEST_BEGINS "{\"ignyx\":"

static inline bool request_is(const struct ws_message *m)
{
	return m->len >= sizeof(REQUEST_BEGINS) - 1 &&
	       memcmp(m->data, REQUEST_BEGINS, sizeof(REQUEST_BEGINS) - 1) == 0;
}

/* Answers one, of which request_is is true. c is open, and its endpoint has rooms. */
void request_answer(struct conn *c, const struct ws_message *m);

#endif
