/*
 * requests.c - see requests.h.
 */
#include "session/requests.h"

#include "config/config.h"
#include "session/conn_internal.h"
#include "session/joined.h"
#include "session/replay.h"
#include "session/request_text.h"
#include "session/told.h"
#include "session/turn.h"

static void answer_presence(struct conn *c)
{
	if (c->endpoint->room.presence == PRESENCE_NONE)
		told_error(c, "no-presence", "this room does not tell who is present");
	else
		joined_send_presence(c);
}

static void answer_history(struct conn *c, const struct replay_wish *w)
{
	if (c->endpoint->room.history == 0) {
		told_error(c, "no-history", "messages are not kept here");
		return;
	}
	replay_take_answer(c, w);
	joined_send_history(c);
	replay_send(c);
}

static void answer(struct conn *c, const struct request *r)
{
	switch (r->name) {
	case REQUEST_POSITION:
		joined_send_position(c);
		break;
	case REQUEST_PRESENCE:
		answer_presence(c);
		break;
	case REQUEST_HISTORY:
		answer_history(c, &r->wish);
		break;
	}
}

/* No policy drops an answer: so one begins as long as those before it, that wait, are no more than that. */
static bool takes_answer(const struct conn *c)
{
	return output_told_waits(c) <= (size_t)c->endpoint->limits.max_pending;
}

void request_answer(struct conn *c, const struct ws_message *m)
{
	struct request_error why;
	struct request r;

	if (!c->admission->member.room)
		return;
	if (!c->admission->member.json) {
		told_error(c, "no-json", "requests are of clients that get the format json");
		return;
	}
	if (m->len <= REQUEST_TEXT_MAX)
		turn_spend_on(m->len, TURN_TREE);
	if (!request_read(m->data, m->len, &r, &why))
		told_error(c, why.word, why.text);
	else if (takes_answer(c))
		answer(c, &r);
	else
		told_error(c, "slow-consumer", "what was asked for before is to be read first");
}
