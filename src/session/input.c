/*
 * input.c - frames in: from decoded events to the behaviour, and what its
 * answer means for the connection.
 */
#include <stdlib.h>
#include <string.h>

#include "base/block.h"
#include "base/bytes.h"
#include "base/log.h"
#include "behaviour.h"
#include "config/config.h"
#include "session/conn_internal.h"
#include "session/session.h"
#include "session/verdict.h"

static TAILQ_HEAD(conn_parked_list, conn_parked) parked = TAILQ_HEAD_INITIALIZER(parked);

void input_open(struct conn *c)
{
	const struct behaviour *b = c->endpoint->behaviour;

	struct verdict v;

	c->opened_behaviour = true;
	if (b->open && !b->open(c, c->endpoint->opts, c->state, &v))
		conn_close(c, v.code, v.reason, v.text, v.len);
}

static void handle_data(struct conn *c, const struct ws_message *m)
{
	const struct behaviour *b = c->endpoint->behaviour;
	struct verdict v;

	/* After our close frame only the peer's is of interest. */
	if (c->state_now != CONN_OPEN)
		return;
	c->messages_in++;
	metrics_add(&session.row->messages_in, 1);
	c->last_data = session.now;
	if (b->message && !b->message(c, c->endpoint->opts, c->state, m, &v))
		conn_close(c, v.code, v.reason, v.text, v.len);
}

static void handle_close(struct conn *c, const struct ws_message *m)
{
	if (c->state_now == CONN_OPEN) {
		c->code = m->code;
		output_close(c, m->code, "", 0);
		conn_end_output(c, REASON_PEER_CLOSED);
	} else {
		conn_end_output(c, c->reason);
	}
}

static void handle(struct conn *c, const struct ws_message *m)
{
	switch (m->opcode) {
	case WS_TEXT:
	case WS_BINARY:
		handle_data(c, m);
		break;
	case WS_CLOSE:
		handle_close(c, m);
		break;
	case WS_PING:
		if (c->state_now == CONN_OPEN)
			output_pong(c, m->data, m->len);
		break;
	case WS_PONG:
		output_ping_answered(c, m->data, m->len);
		break;
	case WS_CONTINUATION:
		break;
	}
}

/* What the peer sends from here on cannot be understood: no close frame is waited for. */
static void fail(struct conn *c, uint16_t code, enum reason reason)
{
	const char *word = reason_word(reason);

	if (c->state_now == CONN_OPEN) {
		c->code = code;
		output_close(c, code, word, strlen(word));
	}
	conn_end_output(c, reason);
}

static void keep_rest(struct conn *c, const uint8_t *p, size_t len)
{
	struct conn_parked *pk = c->parked;

	if (len == 0)
		return;
	pk->rest = block_resize(NULL, 0, 0, len);
	if (!pk->rest) {
		conn_kill(c, REASON_NO_MEMORY);
		return;
	}
	memcpy(pk->rest, p, len);
	pk->rest_len = len;
}

/* What is incomplete may take message_timeout from now on, if it has only begun. */
static void note_incomplete(struct conn *c)
{
	if (ws_decoder_note(&c->decoder, session.now))
		timer_message_begun(c);
}

void input_frames(struct conn *c, uint8_t *p, uint8_t *end)
{
	struct ws_message m;
	enum reason reason;
	uint16_t code;

	while (c->state_now == CONN_OPEN || c->state_now == CONN_CLOSING) {
		if (c->parked) {
			keep_rest(c, p, (size_t)(end - p));
			return;
		}
		switch (ws_decode(&c->decoder, &p, end, &m, &code, &reason)) {
		case WS_NEED_MORE:
			if (c->decoder.partial)
				note_incomplete(c);
			return;
		case WS_EVENT:
			handle(c, &m);
			break;
		case WS_FAILED:
			fail(c, code, reason);
			return;
		}
	}
}

void input_bytes(struct conn *c, uint8_t *p, uint8_t *end)
{
	output_cork(c);
	input_frames(c, p, end);
	output_uncork(c);
}

int input_park(struct conn *c, struct bus_room room, uint64_t origin, const struct bus_part *parts,
	       int count)
{
	struct conn_parked *pk = calloc(1, sizeof(*pk));

	if (!pk)
		return -1;
	for (int i = 0; i < count; i++)
		pk->frame_len += parts[i].len;
	pk->frame = block_resize(NULL, 0, 0, pk->frame_len);
	if (!pk->frame) {
		free(pk);
		return -1;
	}
	for (size_t i = 0, at = 0; i < (size_t)count; at += parts[i++].len)
		bytes_copy(pk->frame + at, parts[i].p, parts[i].len);
	pk->conn = c;
	pk->room = room;
	pk->origin = origin;
	c->parked = pk;
	TAILQ_INSERT_TAIL(&parked, pk, link);
	conn_update_interest(c);
	return 0;
}

void input_unpark(struct conn *c)
{
	struct conn_parked *pk = c->parked;

	c->parked = NULL;
	TAILQ_REMOVE(&parked, pk, link);
	block_free(pk->frame, pk->frame_len);
	block_free(pk->rest, pk->rest_len);
	free(pk);
}

/* Its message is in the log: goes on with what came behind it, then with the socket. */
static void resume(struct conn *c)
{
	struct conn_parked *pk = c->parked;
	uint8_t *rest = pk->rest;
	size_t len = pk->rest_len;

	pk->rest = NULL;
	pk->rest_len = 0;
	input_unpark(c);
	if (rest)
		input_bytes(c, rest, rest + len);
	block_free(rest, len);
	conn_update_interest(c);
	if (!c->parked)
		conn_read_rest(c);
}

bool input_retry_parked(void)
{
	struct conn_parked *pk, *last = TAILQ_LAST(&parked, conn_parked_list);

	while ((pk = TAILQ_FIRST(&parked))) {
		struct bus_part part = { pk->frame, pk->frame_len };
		bool end = pk == last;

		metrics_beat();
		switch (bus_append(session.bus, pk->room, BUS_KIND_MESSAGE, pk->origin, &part, 1)) {
		case BUS_OK:
			metrics_add(&session.row->publishes, 1);
			resume(pk->conn);
			break;
		case BUS_CORRUPT:
			room_corrupt();
		default:
			return true;
		}
		if (end)
			break;
	}
	return !TAILQ_EMPTY(&parked);
}
