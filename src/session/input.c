/*
 * input.c - frames in: from decoded events to the behaviour. What a connection is to do about
 * them is returned.
 */
#include "base/metrics.h"
#include "behaviour.h"
#include "config/config.h"
#include "proto/deflate.h"
#include "session/conn_internal.h"
#include "session/session.h"
#include "session/turn.h"
#include "session/verdict.h"

bool input_open(struct conn *c, struct verdict *v)
{
	const struct behaviour *b = c->endpoint->behaviour;

	return !b->open || b->open(c, c->endpoint->opts, conn_state(c), v);
}

static enum input_event handle_data(struct conn *c, const struct ws_message *m, struct verdict *v)
{
	const struct behaviour *b = c->endpoint->behaviour;

	/* After our close frame only the peer's is of interest. */
	if (c->state_now != CONN_OPEN)
		return INPUT_MORE;
	c->messages_in++;
	metrics_add(&session.row->messages_in, 1);
	c->last_data = session.now;
	if (b->message && !b->message(c, c->endpoint->opts, conn_state(c), m, v))
		return INPUT_CLOSE;
	return c->parked && park_has_message(c) ? INPUT_PARKED : INPUT_MORE;
}

static enum input_event handle_control(struct conn *c, const struct ws_message *m,
				       struct verdict *v)
{
	switch (m->opcode) {
	case WS_CLOSE:
		v->code = m->code;
		return INPUT_CLOSED;
	case WS_PING:
		if (c->state_now == CONN_OPEN)
			output_pong(c, m->data, m->len);
		break;
	case WS_PONG:
		output_ping_answered(c, m->data, m->len);
		break;
	default:
		break;
	}
	return INPUT_MORE;
}

/* What is incomplete may take message_timeout from now on, if it has only begun. */
static void note_incomplete(struct conn *c)
{
	if (!c->decoder.partial)
		return;
	if (ws_decoder_note(&c->decoder, session.now))
		timer_message_begun(c);
	memory_note(c);
}

/* What was inflated does not lie in the input, and so has no room ahead of it. */
static void charge_inflated(const struct conn *c)
{
	struct ws_inflate *i = c->decoder.inflate;

	if (!i)
		return;
	turn_spend_on(i->work, TURN_INFLATE);
	i->work = 0;
}

/* Not inline: hardly any input is longer than a step. */
static __attribute__((noinline)) enum input_event end_step(struct conn *c)
{
	note_incomplete(c);
	return INPUT_STEP;
}

enum input_event input_next(struct conn *c, uint8_t **p, uint8_t *end, struct verdict *v)
{
	struct ws_message m;
	enum input_event e;

	for (;;) {
		switch (ws_decode(&c->decoder, p, end, &m, &v->code, &v->reason)) {
		case WS_NEED_MORE:
			charge_inflated(c);
			note_incomplete(c);
			return INPUT_MORE;
		case WS_EVENT:
			if (m.room == 0)
				charge_inflated(c);
			break;
		case WS_PAUSED:
			charge_inflated(c);
			return end_step(c);
		case WS_FAILED:
			return INPUT_FAILED;
		}
		e = m.opcode <= WS_BINARY ? handle_data(c, &m, v) : handle_control(c, &m, v);
		if (e != INPUT_MORE)
			return e;
		if (c->link.verdict >= LINK_OVER)
			return INPUT_UNHEARD;
		turn_spend(TURN_MESSAGE);
		if (this_turn.credit <= 0 && *p < end)
			return end_step(c);
	}
}
