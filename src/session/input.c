/*
 * input.c - frames in: from decoded events to the behaviour. What a connection is to do about
 * them is returned.
 *
 * Text that is to be JSON is gone through ahead of the behaviour: at once if it is short, as nearly
 * all are. What is long is kept, and gone on with by a slice each time that it is its connection's
 * turn (park.c).
 */
#include <stdlib.h>

#include "base/metrics.h"
#include "behaviour.h"
#include "config/config.h"
#include "proto/deflate.h"
#include "session/conn_internal.h"
#include "session/expiry.h"
#include "session/late.h"
#include "session/requests.h"
#include "session/session.h"
#include "session/turn.h"
#include "session/unheard.h"
#include "session/verdict.h"

/* Bytes of JSON that are gone through in one piece; and of a piece, where there are more. */
enum { JSON_SHORT = 32 * 1024, JSON_SLICE = 16 * 1024 };

bool input_open(struct conn *c, struct verdict *v)
{
	const struct behaviour *b = c->endpoint->behaviour;

	return !b->open || b->open(c, c->endpoint->opts, conn_state(c), v);
}

/* found: NULL where it was not looked at. */
static inline enum input_event tell(struct conn *c, const struct ws_message *m,
				    const struct json_scan *found, struct verdict *v)
{
	const struct behaviour *b = c->endpoint->behaviour;
	const void *opts = c->endpoint->opts;

	if (found ? !b->json(c, opts, conn_state(c), m, found, v)
		  : b->message && !b->message(c, opts, conn_state(c), m, v))
		return INPUT_CLOSE;
	return c->parked && park_has_message(c) ? INPUT_PARKED : INPUT_MORE;
}

/* --- what waits --- */

/*
 * What is not for this turn is kept as a whole, and input behind it with it. early: it is over the
 * rate. NULL: no memory, as *v says.
 */
static struct conn_text *keep(struct conn *c, struct ws_message m, bool early, uint32_t due,
			      struct verdict *v)
{
	struct conn_text *t = calloc(1, sizeof(*t));

	turn_spend_on(m.len, TURN_KEEP);
	if (t) {
		t->opcode = (uint8_t)m.opcode;
		t->early = early;
		t->due = due;
	}
	if (t && ws_decoder_keep(&c->decoder, &m, &t->bytes) && park_text(c, t))
		return t;
	park_free_text(t);
	verdict_close_word(v, WS_CLOSE_INTERNAL, REASON_NO_MEMORY);
	return NULL;
}

static struct ws_message message_of(const struct conn_text *t)
{
	return (struct ws_message){ .opcode = t->opcode, .data = t->bytes.p, .len = t->bytes.len };
}

/* For the daemon, and no message (requests.h). */
static inline bool is_request(const struct conn *c, const struct ws_message *m)
{
	return m->opcode == WS_TEXT && c->endpoint->has_room && request_is(m);
}

/* --- JSON --- */

/* The member that is looked for, "" where it is only to be JSON. NULL: it need not be. */
static const char *member_of(const struct conn *c)
{
	const struct config_endpoint *e = c->endpoint;

	if (!e->reads_json)
		return NULL;
	return e->behaviour->json_member ? e->behaviour->json_member(e->opts) : "";
}

/* Those that are looked for change with the settings: then it begins anew. False: none is. */
static bool begin_text(const struct conn *c, struct conn_text *t)
{
	const char *member = member_of(c);

	t->generation = c->endpoint->config->generation;
	if (member)
		json_begin(&t->scan, t->bytes.p, t->bytes.len, member);
	return member != NULL;
}

/* What is long is no matter of what is left of this turn's part, but waits in line. */
static enum input_event keep_text(struct conn *c, const struct ws_message *m, struct verdict *v)
{
	struct conn_text *t = keep(c, *m, false, 0, v);

	if (!t)
		return INPUT_CLOSE;
	begin_text(c, t);
	memory_note(c);
	return INPUT_PARKED;
}

static enum input_event take_json(struct conn *c, const struct ws_message *m, struct verdict *v)
{
	const char *member = member_of(c);
	struct json_scan s;

	if (!member)
		return tell(c, m, NULL, v);
	if (m->len > JSON_SHORT)
		return keep_text(c, m, v);
	turn_spend_on(m->len, TURN_JSON);
	json_begin(&s, m->data, m->len, member);
	while (json_go_on(&s, JSON_SLICE) == JSON_MORE)
		;
	return tell(c, m, &s, v);
}

/* It has been gone through, and is c's no more. */
static enum input_event end_text(struct conn *c, bool checked, struct verdict *v)
{
	struct conn_text *t = park_take_text(c);
	const struct ws_message m = message_of(t);
	enum input_event e = tell(c, &m, checked ? &t->scan : NULL, v);

	park_free_text(t);
	return e == INPUT_MORE && c->link.verdict >= LINK_OVER ? INPUT_UNHEARD : e;
}

/* Goes on with a text by a slice. */
static __attribute__((noinline)) enum input_event check_text(struct conn *c, struct verdict *v)
{
	struct conn_text *t = park_text_of(c);

	if (t->generation != c->endpoint->config->generation && !begin_text(c, t))
		return end_text(c, false, v);
	metrics_beat();
	c->last_data = session.now;
	turn_spend_on(JSON_SLICE, TURN_JSON);
	if (json_go_on(&t->scan, JSON_SLICE) == JSON_MORE)
		return INPUT_STEP;
	return end_text(c, true, v);
}

/* --- the rate --- */

/* Nanoseconds until c may say one more, of so many bytes; 0: it does now. */
static int64_t ahead_of_rate(struct conn *c, size_t len)
{
	const int64_t bandwidth = c->endpoint->limits.bandwidth;
	int64_t ns = 0;

	/* Without memory to count in it is not held up. */
	if (!conn_need_extra(c))
		return 0;
	if (bandwidth > 0)
		ns = debt_wait(&c->extra->debt, bandwidth, turn_time());
	if (ns == 0)
		ns = rate_take(&c->extra->rate, &c->endpoint->rate, turn_time());
	if (ns == 0 && bandwidth > 0)
		debt_add(&c->extra->debt, (int64_t)len);
	return ns;
}

/* With which tick so many nanoseconds are over; never 0, which stands for none. */
static uint32_t tick_after(int64_t ns)
{
	uint32_t tick = session.now + timer_ticks(ns / 1000000 + 1);

	return tick ? tick : 1;
}

static bool takes_json(const struct conn *c, unsigned opcode)
{
	return c->endpoint->reads_json && opcode == WS_TEXT;
}

static enum input_event delay(struct conn *c, const struct ws_message *m, int64_t ns,
			      struct verdict *v)
{
	if (!keep(c, *m, true, tick_after(ns), v))
		return INPUT_CLOSE;
	metrics_add(&c->endpoint->cell->rate_limited, 1);
	memory_note(c);
	timer_update(c);
	return INPUT_PARKED;
}

/* A message is over the rate, by so much. */
static enum input_event over_rate(struct conn *c, const struct ws_message *m, int64_t ns,
				  struct verdict *v)
{
	switch (c->endpoint->limits.over_rate) {
	case OVER_RATE_DELAY:
		return delay(c, m, ns, v);
	case OVER_RATE_DROP:
		unheard_message(c, REASON_RATE_LIMITED);
		return INPUT_MORE;
	default:
		metrics_add(&c->endpoint->cell->rate_limited, 1);
		verdict_close_word(v, WS_CLOSE_POLICY, REASON_RATE_LIMITED);
		return INPUT_CLOSE;
	}
}

/* One that was over it may have its token now; then it is as if it came now. */
static enum input_event try_again(struct conn *c, struct verdict *v)
{
	struct conn_text *t = park_text_of(c);
	int64_t ns = c->endpoint->rated ? ahead_of_rate(c, t->bytes.len) : 0;
	struct ws_message m;

	c->last_data = session.now;
	if (ns > 0) {
		t->due = tick_after(ns);
		timer_update(c);
		return INPUT_PARKED;
	}
	t->early = false;
	m = message_of(t);
	if (expiry_is_renewal(c, &m)) {
		const bool good = expiry_renew(c, &m, v);

		park_free_text(park_take_text(c));
		if (!good)
			return INPUT_CLOSE;
		return c->link.verdict >= LINK_OVER ? INPUT_UNHEARD : INPUT_MORE;
	}
	if (is_request(c, &m)) {
		request_answer(c, &m);
		park_free_text(park_take_text(c));
		return c->link.verdict >= LINK_OVER ? INPUT_UNHEARD : INPUT_MORE;
	}
	if (takes_json(c, t->opcode) && begin_text(c, t))
		return check_text(c, v);
	return end_text(c, false, v);
}

static enum input_event go_on_with_text(struct conn *c, struct verdict *v)
{
	return park_text_of(c)->early ? try_again(c, v) : check_text(c, v);
}

/* --- events --- */

/* The first message of who is still to say who it is. */
static enum input_event take_late(struct conn *c, const struct ws_message *m, struct verdict *v)
{
	return late_take(c, m, v) && input_open(c, v) ? INPUT_MORE : INPUT_CLOSE;
}

/* Not inline: most messages are for the behaviour as they are. */
static __attribute__((noinline)) enum input_event take(struct conn *c, const struct ws_message *m,
						       struct verdict *v)
{
	int64_t ns;

	if (conn_is_late(c))
		return take_late(c, m, v);
	ns = c->endpoint->rated ? ahead_of_rate(c, m->len) : 0;
	if (ns > 0)
		return over_rate(c, m, ns, v);
	if (expiry_is_renewal(c, m))
		return expiry_renew(c, m, v) ? INPUT_MORE : INPUT_CLOSE;
	if (is_request(c, m)) {
		request_answer(c, m);
		return INPUT_MORE;
	}
	return takes_json(c, m->opcode) ? take_json(c, m, v) : tell(c, m, NULL, v);
}

static enum input_event handle_data(struct conn *c, const struct ws_message *m, struct verdict *v,
				    uint64_t *payload)
{
	/* After our close frame only the peer's is of interest. */
	if (c->state_now != CONN_OPEN)
		return INPUT_MORE;
	c->messages_in++;
	*payload += m->len;
	c->last_data = session.now;
	return c->endpoint->looks ? take(c, m, v) : tell(c, m, NULL, v);
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

enum input_event input_next(struct conn *c, uint8_t **p, uint8_t *end, struct verdict *v,
			    uint64_t *payload)
{
	struct ws_message m;
	enum input_event e;

	if (c->parked && park_text_of(c)) {
		e = go_on_with_text(c, v);
		if (e != INPUT_MORE)
			return e;
	}
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
		e = m.opcode <= WS_BINARY ? handle_data(c, &m, v, payload)
					  : handle_control(c, &m, v);
		if (e != INPUT_MORE)
			return e;
		if (c->link.verdict >= LINK_OVER)
			return INPUT_UNHEARD;
		turn_spend(TURN_MESSAGE);
		if (this_turn.credit <= 0 && *p < end)
			return end_step(c);
	}
}
