/*
 * frames.c - what is done about frames that came in: input.c says what they call for, and here it
 * is seen to that nobody's take more of a turn than its share.
 *
 * A share is what is done between two looks at the clock, and what was left ahead of the first: it
 * is enough for what a read brings in nearly all cases. What is over it waits (park.c).
 */
#include "session/conn_internal.h"
#include "session/session.h"
#include "session/turn.h"
#include "session/verdict.h"

void frames_begin(struct conn *c)
{
	struct verdict v;

	if (!input_open(c, &v))
		conn_close(c, v.code, v.reason, v.text, v.len);
}

/* Returns from where on it has to wait, NULL: nothing has to. */
static uint8_t *handle(struct conn *c, uint8_t *p, uint8_t *end)
{
	struct verdict v;
	bool looked = false;

	while (c->state_now == CONN_OPEN || c->state_now == CONN_CLOSING) {
		switch (input_next(c, &p, end, &v)) {
		case INPUT_MORE:
			return NULL;
		case INPUT_STEP:
			if (looked || output_is_behind(c) || turn_is_over())
				return p;
			looked = true;
			break;
		case INPUT_PARKED:
			return p;
		case INPUT_UNHEARD:
			conn_settle(c);
			break;
		case INPUT_CLOSE:
			conn_close(c, v.code, v.reason, v.text, v.len);
			break;
		case INPUT_CLOSED:
			conn_end(c, v.code, REASON_PEER_CLOSED, "", 0);
			return NULL;
		case INPUT_FAILED:
			verdict_close_word(&v, v.code, v.reason);
			conn_end(c, v.code, v.reason, v.text, v.len);
			return NULL;
		}
	}
	return NULL;
}

static void keep_rest(struct conn *c, const uint8_t *p, const uint8_t *end)
{
	if (park_rest(c, p, (size_t)(end - p)))
		conn_update_interest(c);
	else
		conn_kill(c, REASON_NO_MEMORY);
}

static inline void take(struct conn *c, uint8_t *p, uint8_t *end)
{
	p = handle(c, p, end);
	if (p)
		keep_rest(c, p, end);
}

void frames_take(struct conn *c, uint8_t *p, uint8_t *end)
{
	take(c, p, end);
}

void frames_gather(struct conn *c, uint8_t *p, uint8_t *end)
{
	output_cork(c);
	take(c, p, end);
	output_uncork(c);
}

bool frames_go_on(void)
{
	uint8_t *p, *end;
	struct conn *c = park_take(&p, &end);

	if (!c)
		return false;
	metrics_beat();
	atomic_store_explicit(&session.row->activity, ACTIVITY_READING, memory_order_relaxed);
	atomic_store_explicit(&session.row->conn, c->id, memory_order_relaxed);
	/* We did not listen to it: its silence was ours. */
	c->last_rx = session.now;
	output_cork(c);
	p = handle(c, p, end);
	output_uncork(c);
	park_put_back(p);
	conn_settle(c);
	if (!c->parked) {
		conn_update_interest(c);
		conn_read_rest(c);
	}
	return true;
}
