/*
 * requests.c - see requests.h.
 *
 * One table has all there are. A text is small, or it is no request: what reads it makes a tree of
 * it, of which nobody is to set the size.
 */
#include "session/requests.h"

#include <jansson.h>

#include "bus/position.h"
#include "config/config.h"
#include "session/conn_internal.h"
#include "session/joined.h"
#include "session/replay.h"
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

/* False: it has been told what is wrong. */
static bool read_since(struct conn *c, const json_t *since, struct replay_wish *w)
{
	w->since = since != NULL;
	if (!since ||
	    (json_is_string(since) &&
	     bus_position_parse(json_string_value(since), json_string_length(since), &w->position)))
		return true;
	told_error(c, "bad-since", "since is to be the position of a message, as a string");
	return false;
}

static bool read_limit(struct conn *c, const json_t *limit, struct replay_wish *w)
{
	const json_int_t n = limit ? json_integer_value(limit) : CONFIG_HISTORY_MAX;

	w->counts = true;
	w->count = (uint32_t)(n < CONFIG_HISTORY_MAX ? n : CONFIG_HISTORY_MAX);
	if (!limit || (json_is_integer(limit) && n >= 0))
		return true;
	told_error(c, "bad-limit", "limit is to be a number of messages");
	return false;
}

static void answer_history(struct conn *c, const json_t *asked)
{
	struct replay_wish w = { 0 };

	if (c->endpoint->room.history == 0) {
		told_error(c, "no-history", "messages are not kept here");
		return;
	}
	if (!read_since(c, json_object_get(asked, "since"), &w) ||
	    !read_limit(c, json_object_get(asked, "limit"), &w))
		return;
	replay_take_answer(c, &w);
	joined_send_history(c);
	replay_send(c);
}

static const struct request requests[] = {
	{ "position", answer_position },
	{ "presence", answer_presence },
	{ "history", answer_history },
};

static const struct request *find(const char *name)
{
	for (size_t i = 0; name && i < sizeof(requests) / sizeof(*requests); i++)
		if (strcmp(requests[i].name, name) == 0)
			return &requests[i];
	return NULL;
}

/* No policy drops an answer: so one begins as long as those before it, that wait, are no more than that. */
static void answer(struct conn *c, const json_t *asked)
{
	const struct request *r = find(json_string_value(json_object_get(asked, "ignyx")));

	if (!r)
		told_error(c, "unknown-request",
			   "there is no such request: see ignyxd-protocol(7)");
	else if (output_told_waits(c) > (size_t)c->endpoint->limits.max_pending)
		told_error(c, "slow-consumer", "what was asked for before is to be read first");
	else
		r->answer(c, asked);
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
