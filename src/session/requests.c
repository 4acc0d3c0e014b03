/*
 * requests.c - see requests.h.
 *
 * One table has all there are. A text is small, or it is no request: what reads it makes a tree of
 * it, of which nobody is to set the size.
 */
#include "session/requests.h"

#include <jansson.h>

#include "config/config.h"
#include "session/conn_internal.h"
#include "session/joined.h"
#include "session/told.h"
#include "session/turn.h"

enum { REQUEST_MAX = 4096 }; /* bytes */

struct request {
	const char *name;
	void (*answer)(struct conn *c, const json_t *asked);
};

static void answer_position(struct conn *c, const json_t *asked)
{
	(void)asked;
	joined_send_position(c);
}

static void answer_presence(struct conn *c, const json_t *asked)
{
	(void)asked;
	if (c->endpoint->room.presence == PRESENCE_NONE)
		told_error(c, "no-presence", "this room does not tell who is present");
	else
		joined_send_presence(c);
}

static const struct request requests[] = {
	{ "position", answer_position },
	{ "presence", answer_presence },
};

static void answer(struct conn *c, const json_t *asked)
{
	const char *name = json_string_value(json_object_get(asked, "ignyx"));

	for (size_t i = 0; name && i < sizeof(requests) / sizeof(*requests); i++) {
		if (strcmp(requests[i].name, name) == 0) {
			requests[i].answer(c, asked);
			return;
		}
	}
	told_error(c, "unknown-request", "there is no such request: see ignyxd-protocol(7)");
}

void request_answer(struct conn *c, const struct ws_message *m)
{
	json_error_t error;
	json_t *asked;

	if (!c->admission->member.room)
		return;
	if (!c->admission->member.json) {
		told_error(c, "no-json", "requests are of clients that get the format json");
		return;
	}
	if (m->len > REQUEST_MAX) {
		told_error(c, "request-too-long", "a request has at most 4096 bytes");
		return;
	}
	turn_spend_on(m->len, TURN_TREE);
	asked = json_loadb((const char *)m->data, m->len, JSON_REJECT_DUPLICATES, &error);
	if (asked)
		answer(c, asked);
	else
		told_error(c, "invalid-json", "a request is one JSON object");
	json_decref(asked);
}
