/*
 * frames.c - what is done about frames that came in: input.c says what they call for.
 */
#include "session/conn_internal.h"
#include "session/verdict.h"

void frames_begin(struct conn *c)
{
	struct verdict v;

	if (!input_open(c, &v))
		conn_close(c, v.code, v.reason, v.text, v.len);
}

void frames_take(struct conn *c, uint8_t *p, uint8_t *end)
{
	struct verdict v;

	while (c->state_now == CONN_OPEN || c->state_now == CONN_CLOSING) {
		switch (input_next(c, &p, end, &v)) {
		case INPUT_MORE:
			return;
		case INPUT_PARKED:
			conn_update_interest(c);
			return;
		case INPUT_UNHEARD:
			conn_settle(c);
			break;
		case INPUT_CLOSE:
			conn_close(c, v.code, v.reason, v.text, v.len);
			break;
		case INPUT_CLOSED:
			conn_end(c, v.code, REASON_PEER_CLOSED, "", 0);
			return;
		case INPUT_FAILED:
			verdict_close_word(&v, v.code, v.reason);
			conn_end(c, v.code, v.reason, v.text, v.len);
			return;
		case INPUT_NO_MEMORY:
			conn_kill(c, REASON_NO_MEMORY);
			return;
		}
	}
}

void frames_gather(struct conn *c, uint8_t *p, uint8_t *end)
{
	output_cork(c);
	frames_take(c, p, end);
	output_uncork(c);
}
