/*
 * timer.c - when a connection has waited long enough.
 *
 * A timing wheel: a connection sits in the list of the tick at which it is to be looked
 * at next, with one link for all its timers. Messages do not move it; they note
 * the time, and when its tick comes conn's state says what to do or when to look
 * again. A deadline that lies more than one turn of the wheel ahead is simply met
 * on the way and left in place.
 */
#include "base/metrics.h"
#include "config/config.h"
#include "session/conn_internal.h"
#include "session/session.h"

enum { WHEEL_SIZE = 512, LOOK_AGAIN = 600, ENTRY_LOOK = 1000 };

static struct conn_list wheel[WHEEL_SIZE];

void timer_init(void)
{
	for (int i = 0; i < WHEEL_SIZE; i++)
		TAILQ_INIT(&wheel[i]);
}

/* Rounded up, so that a timeout is never early; at least one tick. */
uint32_t timer_ticks(int64_t ms)
{
	int64_t ticks = (ms + SESSION_TICK - 1) / SESSION_TICK;

	return ticks < 1 ? 1 : ticks > INT32_MAX ? INT32_MAX : (uint32_t)ticks;
}

static bool reached(uint32_t deadline)
{
	return (int32_t)(session.now - deadline) >= 0;
}

void timer_add(struct conn *c, uint32_t deadline)
{
	if (reached(deadline))
		deadline = session.now + 1;
	c->deadline = deadline;
	TAILQ_INSERT_TAIL(&wheel[deadline % WHEEL_SIZE], c, link);
}

void timer_remove(struct conn *c)
{
	TAILQ_REMOVE(&wheel[c->deadline % WHEEL_SIZE], c, link);
}

void timer_set(struct conn *c, uint32_t deadline)
{
	timer_remove(c);
	timer_add(c, deadline);
}

static uint32_t earlier(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0 ? a : b;
}

/* A ping is unanswered while nothing came since it was sent. */
static bool ping_unanswered(const struct conn *c)
{
	return (int32_t)(c->last_rx - c->mark) < 0;
}

static bool ping_failed(const struct conn *c, const struct config_limits *l)
{
	return l->ping_timeout > 0 && ping_unanswered(c) &&
	       reached(c->mark + timer_ticks(l->ping_timeout));
}

/* The next ping goes out on time only to a peer that answered, or if it may be silent for ever. */
static bool ping_due(const struct conn *c, const struct config_limits *l)
{
	return reached(c->mark + timer_ticks(l->ping_interval)) &&
	       (l->ping_timeout == 0 || !ping_unanswered(c));
}

/*
 * When to look next. The answer to a ping does not move the timer, so an unanswered
 * one is looked at when the next is due, and from then on with every tick.
 */
static uint32_t ping_deadline(const struct conn *c, const struct config_limits *l)
{
	uint32_t next = c->mark + timer_ticks(l->ping_interval);

	if (ping_unanswered(c) && l->ping_timeout > 0)
		next = earlier(next, c->mark + timer_ticks(l->ping_timeout));
	return next;
}

/* Whether a message is under way that has until *end to be whole. */
static bool message_deadline(const struct conn *c, uint32_t *end)
{
	int64_t timeout = c->endpoint->limits.message_timeout;

	if (timeout == 0 || !ws_decoder_incomplete(&c->decoder, end))
		return false;
	*end += timer_ticks(timeout);
	return true;
}

static uint32_t open_deadline(const struct conn *c)
{
	const struct config_limits *l = &c->endpoint->limits;
	uint32_t next = session.now + LOOK_AGAIN, end;

	if (l->ping_interval > 0)
		next = earlier(next, ping_deadline(c, l));
	if (l->idle_timeout > 0)
		next = earlier(next, c->last_data + timer_ticks(l->idle_timeout));
	if (message_deadline(c, &end))
		next = earlier(next, end);
	if (entry_owes(c))
		next = earlier(next, session.now + timer_ticks(ENTRY_LOOK));
	return next;
}

static uint32_t close_deadline(const struct conn *c)
{
	const struct config_limits *l =
		c->endpoint ? &c->endpoint->limits : &session.config->limits;

	return c->mark + timer_ticks(l->close_timeout);
}

void timer_update(struct conn *c)
{
	switch (c->state_now) {
	case CONN_PROXY:
	case CONN_TLS:
	case CONN_UPGRADE:
		timer_set(c, handshake_deadline(c));
		break;
	case CONN_OPEN:
		timer_set(c, open_deadline(c));
		break;
	case CONN_CLOSING:
	case CONN_ENDING:
		timer_set(c, close_deadline(c));
		break;
	}
}

/* It is moved only for a timeout that passes before c would be looked at anyway. */
void timer_message_begun(struct conn *c)
{
	uint32_t end;

	if (c->state_now == CONN_OPEN && message_deadline(c, &end) &&
	    earlier(end, c->deadline) != c->deadline)
		timer_set(c, end);
}

static void open_timer(struct conn *c)
{
	const struct config_limits *l = &c->endpoint->limits;
	uint32_t end;

	/* TCP tells of room only when there is much; but some is a sign of life, too. */
	if (c->pending)
		output_writable(c);
	if (c->state_now != CONN_OPEN)
		return;
	if (entry_owes(c))
		entry_look_again(c);
	/* We do not read from it: its silence is ours. */
	if (c->parked) {
		c->last_rx = c->last_data = session.now;
	} else if (message_deadline(c, &end) && reached(end)) {
		conn_close_word(c, WS_CLOSE_POLICY, REASON_MESSAGE_TIMEOUT);
		return;
	} else if (l->idle_timeout > 0 && reached(c->last_data + timer_ticks(l->idle_timeout))) {
		conn_close_word(c, WS_CLOSE_GOING_AWAY, REASON_IDLE_TIMEOUT);
		return;
	} else if (l->ping_interval > 0 && ping_failed(c, l)) {
		conn_close_word(c, WS_CLOSE_INTERNAL, REASON_PING_TIMEOUT);
		return;
	} else if (l->ping_interval > 0 && ping_due(c, l)) {
		c->mark = session.now;
		output_ping(c);
	}
	timer_update(c);
}

static void fire(struct conn *c)
{
	metrics_beat();
	atomic_store_explicit(&session.row->conn, c->id, memory_order_relaxed);
	switch (c->state_now) {
	case CONN_PROXY:
		origin_timeout(c);
		break;
	case CONN_TLS:
		secure_timeout(c);
		break;
	case CONN_UPGRADE:
		handshake_refuse(c, REASON_HANDSHAKE_TIMEOUT);
		break;
	case CONN_OPEN:
		open_timer(c);
		break;
	case CONN_CLOSING:
	case CONN_ENDING:
		conn_kill(c, REASON_CLOSE_TIMEOUT);
		break;
	}
}

/*
 * Those that are due are taken off first: what is done to one may add to the
 * same list.
 */
void timer_tick(void)
{
	struct conn_list *list = &wheel[session.now % WHEEL_SIZE];
	struct conn *c, *next, *last = TAILQ_LAST(list, conn_list);

	for (c = TAILQ_FIRST(list); c; c = next) {
		bool end = c == last;

		next = TAILQ_NEXT(c, link);
		if (reached(c->deadline))
			fire(c);
		if (end)
			break;
	}
}

void timer_each(void (*fn)(struct conn *c, void *arg), void *arg)
{
	struct conn *c, *next;

	for (int i = 0; i < WHEEL_SIZE; i++) {
		struct conn *last = TAILQ_LAST(&wheel[i], conn_list);

		for (c = TAILQ_FIRST(&wheel[i]); c; c = next) {
			bool end = c == last;

			next = TAILQ_NEXT(c, link);
			metrics_beat();
			fn(c, arg);
			if (end)
				break;
		}
	}
}
