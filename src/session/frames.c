/*
 * frames.c - what is done about frames that came in: input.c says what they call for, and here it
 * is seen to that nobody's take more of a turn than its share.
 *
 * A step is what is done up to a look at the clock. When a read brings something its share is two
 * of them, which is enough for all of it in nearly all cases. What is over it waits (park.c), and
 * then has a step each time.
 */
#include "base/metrics.h"
#include "config/config.h"
#include "session/conn_internal.h"
#include "session/session.h"
#include "session/turn.h"
#include "session/verdict.h"

enum { FIRST_SHARE = 2, SHARE = 1 };

void frames_begin(struct conn *c)
{
	struct verdict v;

	if (!input_open(c, &v))
		conn_close(c, v.code, v.reason, v.text, v.len);
}

/*
 * Returns from where on it has to wait, NULL: nothing has to. steps: how many its share has. Inline,
 * as each read comes by here: what it needs is in registers already.
 */
static inline __attribute__((always_inline)) uint8_t *
go_through(struct conn *c, uint8_t *p, uint8_t *end, unsigned steps, uint64_t *payload)
{
	struct verdict v;

	while (c->state_now == CONN_OPEN || c->state_now == CONN_CLOSING) {
		switch (input_next(c, &p, end, &v, payload)) {
		case INPUT_MORE:
			return NULL;
		case INPUT_STEP:
			if (--steps == 0 || output_is_behind(c) || turn_is_over())
				return p;
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

/* As go_through. bytes: how many of them are new. */
static uint8_t *handle(struct conn *c, uint8_t *p, uint8_t *end, unsigned steps, size_t bytes)
{
	struct metrics_cell *cell = c->endpoint->cell;
	uint64_t before = c->messages_in, payload = 0;

	p = go_through(c, p, end, steps, &payload);
	metrics_add(&cell->bytes_in, bytes);
	metrics_add(&cell->messages_in, c->messages_in - before);
	metrics_add(&cell->payload_in, payload);
	return p;
}

/* Where the turn is over it is thought to have had no share of it yet. */
static void keep_rest(struct conn *c, const uint8_t *p, const uint8_t *end)
{
	bool fresh = turn_is_over() && !output_is_behind(c);

	if (!park_rest(c, p, (size_t)(end - p), fresh)) {
		conn_kill(c, REASON_NO_MEMORY);
		return;
	}
	memory_note(c);
	conn_update_interest(c);
}

static inline void take(struct conn *c, uint8_t *p, uint8_t *end)
{
	p = handle(c, p, end, FIRST_SHARE, (size_t)(end - p));
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

bool frames_go_on(struct conn **reads)
{
	uint8_t *p, *end;
	struct conn *c = park_take(&p, &end);

	if (!c)
		return false;
	*reads = p == end && !park_text_of(c) ? c : NULL;
	metrics_beat();
	atomic_store_explicit(&session.row->activity, ACTIVITY_READING, memory_order_relaxed);
	atomic_store_explicit(&session.row->conn, c->id, memory_order_relaxed);
	/* We did not listen to it: its silence was ours. */
	c->last_rx = session.now;
	output_cork(c);
	p = handle(c, p, end, SHARE, 0);
	output_uncork(c);
	park_put_back(p);
	conn_settle(c);
	if (c->parked)
		return true;
	conn_update_interest(c);
	if (*reads && !conn_reads(c))
		*reads = NULL;
	else if (!*reads)
		conn_read_rest(c);
	return true;
}
