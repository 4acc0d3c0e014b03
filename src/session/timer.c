/*
 * timer.c - when a connection has waited long enough.
 *
 * A timing wheel: a connection sits in the list of the tick at which it is to be looked
 * at next, with one entry for all its timers. Messages do not move it; they note
 * the time, and when its tick comes conn's state says what to do or when to look
 * again (timer_due). A deadline that lies more than one turn of the wheel ahead is simply met
 * on the way and left in place.
 *
 * A tick's list may be longer than what a turn of the loop has time for, and so is a walk over all
 * lists: that goes on in the next one. Meanwhile connections are added and removed, so the place is
 * kept by a mark among them. Those that are put where a walk has been already would be passed over:
 * for them it comes round once more.
 */
#include "base/metrics.h"
#include "config/config.h"
#include "session/awaiting.h"
#include "session/conn_internal.h"
#include "session/jwt_holder.h"
#include "session/late.h"
#include "session/session.h"
#include "session/turn.h"

TAILQ_HEAD(conn_list, conn);

enum { WHEEL_SIZE = 512, LOOK_AGAIN = 600, ENTRY_LOOK = 1000, PEER_LOOK = 200 };

static struct conn_list wheel[WHEEL_SIZE];

/* How far connections have been looked at whose time has come. */
static struct {
	uint32_t tick; /* all of those of this one */
	bool within; /* and of the next one those ahead of the mark */
	struct conn mark;
} due;

/* The walks over all. */
static struct walk {
	timer_walk_fn *fn; /* NULL: none is under way */
	bool (*waits)(struct conn *c);
	unsigned slot; /* of the wheel: those of the ones before it have come by, */
	bool within; /* and in it those ahead of the mark */
	bool again; /* one that waits was put there */
	struct conn mark;
} walks[TIMER_WALKS];

void timer_init(void)
{
	for (int i = 0; i < WHEEL_SIZE; i++)
		TAILQ_INIT(&wheel[i]);
	due.tick = session.now;
	due.within = false;
	for (int i = 0; i < TIMER_WALKS; i++)
		walks[i].fn = NULL;
}

static struct conn_list *list_of(uint32_t tick)
{
	return &wheel[tick % WHEEL_SIZE];
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

static void insert(struct conn *c, uint32_t deadline)
{
	if (reached(deadline))
		deadline = session.now + 1;
	c->deadline = deadline;
	for (struct walk *w = walks; w < walks + TIMER_WALKS; w++)
		if (w->fn && deadline % WHEEL_SIZE <= w->slot && w->waits(c))
			w->again = true;
	TAILQ_INSERT_TAIL(list_of(deadline), c, entry);
}

void timer_remove(struct conn *c)
{
	TAILQ_REMOVE(list_of(c->deadline), c, entry);
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

uint32_t timer_asked(const struct conn *c)
{
	const uint32_t looked = c->extra ? c->extra->taken_at : 0;

	return looked != 0 && (int32_t)(looked - c->mark) > 0 ? looked : c->mark;
}

static bool ping_failed(const struct conn *c, const struct config_limits *l)
{
	return l->ping_timeout > 0 && ping_unanswered(c) &&
	       reached(timer_asked(c) + timer_ticks(l->ping_timeout));
}

/*
 * Each connection has ticks of its own, an interval apart, by its id: those that came together, or
 * were pinged together because all were late, are not for ever. What leads there comes early, but
 * not before half of an interval: from there the next of those ticks is no nearer.
 */
static uint32_t next_ping(const struct conn *c, const struct config_limits *l)
{
	uint32_t interval = timer_ticks(l->ping_interval);
	uint32_t left = interval - (c->mark - (uint32_t)c->id) % interval;

	return c->mark + (left < interval / 2 ? (interval + left) / 2 : left);
}

/* The next ping goes out on time only to a peer that answered, or if it may be silent for ever. */
static bool ping_due(const struct conn *c, const struct config_limits *l)
{
	return reached(next_ping(c, l)) && (l->ping_timeout == 0 || !ping_unanswered(c));
}

/*
 * When to look next. The answer to a ping does not move the timer, so an unanswered
 * one is looked at when the next is due, and from then on with every tick; but not of one to whom
 * it takes long to come, which may be so for hours.
 */
static uint32_t ping_deadline(const struct conn *c, const struct config_limits *l)
{
	const uint32_t asked = timer_asked(c), next = next_ping(c, l);
	uint32_t end;

	if (l->ping_timeout == 0 || !ping_unanswered(c))
		return next;
	end = asked + timer_ticks(l->ping_timeout);
	return asked == c->mark ? earlier(next, end) : end;
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

/* Whether output waits, which has until *end to be sent. */
static bool stall_deadline(const struct conn *c, uint32_t *end)
{
	int64_t timeout = c->endpoint->limits.stall_timeout;

	if (timeout == 0 || !link_waits(&c->link, end))
		return false;
	*end += timer_ticks(timeout);
	return true;
}

/* Whether what it came by, as far as is known, is to be looked at by *end. */
static bool expiry_deadline(const struct conn *c, uint32_t *end)
{
	if (!conn_has_jwt(c))
		return false;
	*end = c->admission->who->jwt->look;
	return true;
}

/* Whether it has until *end to say who it is. */
static bool auth_deadline(const struct conn *c, uint32_t *end)
{
	if (!conn_is_late(c))
		return false;
	*end = c->extra->late->until;
	return true;
}

/* Who is not listened to for its rate, up to `token`, is only waited for by its output. */
static uint32_t early_deadline(const struct conn *c, uint32_t token)
{
	uint32_t end;

	if (expiry_deadline(c, &end))
		token = earlier(token, end);
	return stall_deadline(c, &end) ? earlier(token, end) : token;
}

static uint32_t open_deadline(const struct conn *c)
{
	const struct config_limits *l = &c->endpoint->limits;
	uint32_t next = session.now + LOOK_AGAIN, end;

	if (park_is_early(c, &end))
		return early_deadline(c, end);
	if (l->ping_interval > 0)
		next = earlier(next, ping_deadline(c, l));
	if (l->idle_timeout > 0)
		next = earlier(next, c->last_data + timer_ticks(l->idle_timeout));
	if (message_deadline(c, &end))
		next = earlier(next, end);
	if (stall_deadline(c, &end))
		next = earlier(next, end);
	if (expiry_deadline(c, &end) || auth_deadline(c, &end))
		next = earlier(next, end);
	if (entry_owes(c))
		next = earlier(next, session.now + timer_ticks(ENTRY_LOOK));
	return next;
}

/* Ahead of OPEN there may be no endpoint yet: then the defaults hold. */
static const struct config_limits *limits_of(const struct conn *c)
{
	return c->endpoint ? &c->endpoint->limits : &session.config->limits;
}

static uint32_t handshake_deadline(const struct conn *c)
{
	return c->mark + timer_ticks(limits_of(c)->handshake_timeout);
}

static uint32_t close_deadline(const struct conn *c)
{
	return c->mark + timer_ticks(limits_of(c)->close_timeout);
}

/* Who waits for an answer is not read from: whether he is still there is to be looked at. */
static uint32_t opening_deadline(const struct conn *c)
{
	const uint32_t end = handshake_deadline(c);

	return awaiting_is(c) ? earlier(end, session.now + timer_ticks(PEER_LOOK)) : end;
}

static uint32_t deadline_of(const struct conn *c)
{
	if (c->state_now < CONN_OPEN)
		return opening_deadline(c);
	return c->state_now == CONN_OPEN ? open_deadline(c) : close_deadline(c);
}

void timer_add(struct conn *c)
{
	insert(c, deadline_of(c));
}

void timer_renew(struct conn *c)
{
	timer_remove(c);
	timer_add(c);
}

/* Who would be looked at before that anyway stays where it is, and is renewed then. */
static void look_by(struct conn *c, uint32_t deadline)
{
	if (earlier(deadline, c->deadline) == c->deadline)
		return;
	timer_remove(c);
	insert(c, deadline);
}

void timer_update(struct conn *c)
{
	if (c->state_now != CONN_DEAD)
		look_by(c, deadline_of(c));
}

void timer_message_begun(struct conn *c)
{
	uint32_t end;

	if (c->state_now == CONN_OPEN && message_deadline(c, &end))
		look_by(c, end);
}

void timer_output_waits(struct conn *c)
{
	uint32_t end;

	if (c->state_now == CONN_OPEN && stall_deadline(c, &end))
		look_by(c, end);
}

static enum timer_due open_due(const struct conn *c)
{
	const struct config_limits *l = &c->endpoint->limits;
	uint32_t end;

	if (stall_deadline(c, &end) && reached(end))
		return DUE_STALL;
	if (expiry_deadline(c, &end) && reached(end))
		return DUE_EXPIRY;
	if (auth_deadline(c, &end) && reached(end))
		return DUE_AUTH;
	if (park_is_early(c, &end))
		return reached(end) ? DUE_TOKEN : DUE_NOTHING;
	/* What it has said may be in its input, to which we have not listened since. */
	if (c->parked && session.now - c->last_rx > 1)
		return DUE_NOTHING;
	if (message_deadline(c, &end) && reached(end))
		return DUE_MESSAGE;
	if (l->idle_timeout > 0 && reached(c->last_data + timer_ticks(l->idle_timeout)))
		return DUE_IDLE;
	if (l->ping_interval == 0)
		return DUE_NOTHING;
	if (ping_failed(c, l))
		return DUE_PONG;
	return ping_due(c, l) ? DUE_PING : DUE_NOTHING;
}

enum timer_due timer_due(const struct conn *c)
{
	if (c->state_now == CONN_OPEN)
		return open_due(c);
	if (!reached(deadline_of(c)))
		return DUE_NOTHING;
	return c->state_now < CONN_OPEN ? DUE_HANDSHAKE : DUE_CLOSE;
}

static bool is_mark(const struct conn *c)
{
	bool is = c == &due.mark;

	for (int i = 0; i < TIMER_WALKS; i++)
		is |= c == &walks[i].mark;
	return is;
}

/* Moves the mark behind the next connection, which is returned. NULL: there is none, nor a mark. */
static struct conn *step(struct conn *mark, struct conn_list *list)
{
	struct conn *c = TAILQ_NEXT(mark, entry);

	while (c && is_mark(c))
		c = TAILQ_NEXT(c, entry);
	TAILQ_REMOVE(list, mark, entry);
	if (c)
		TAILQ_INSERT_AFTER(list, c, mark, entry);
	return c;
}

/* The next one in the list of the tick whose turn it is. NULL: all have been looked at. */
static struct conn *next_due(void)
{
	struct conn_list *list = list_of(due.tick + 1);
	struct conn *c;

	if (!due.within)
		TAILQ_INSERT_HEAD(list, &due.mark, entry);
	c = step(&due.mark, list);
	due.within = c != NULL;
	return c;
}

/* Who is put back into the list meanwhile has a later deadline, and is left alone. */
bool timer_go_on(void (*fn)(struct conn *c))
{
	while (due.tick != session.now) {
		struct conn *c = next_due();

		if (!c) {
			due.tick++;
			continue;
		}
		metrics_beat();
		turn_spend(TURN_LOOK);
		if (reached(c->deadline))
			fn(c);
		if (turn_is_over())
			return true;
	}
	return false;
}

void timer_walk_end(enum timer_walk which)
{
	struct walk *w = &walks[which];

	if (w->fn && w->within)
		TAILQ_REMOVE(&wheel[w->slot], &w->mark, entry);
	w->fn = NULL;
	w->within = false;
}

void timer_walk(enum timer_walk which, timer_walk_fn *fn, bool (*waits)(struct conn *c))
{
	struct walk *w = &walks[which];

	timer_walk_end(which);
	w->fn = fn;
	w->waits = waits;
	w->slot = 0;
	w->again = false;
}

/* The next one in the list that the walk has come to. NULL: all of it have come by. */
static struct conn *next_of_walk(struct walk *w)
{
	struct conn_list *list = &wheel[w->slot];
	struct conn *c;

	if (!w->within)
		TAILQ_INSERT_HEAD(list, &w->mark, entry);
	c = step(&w->mark, list);
	w->within = c != NULL;
	return c;
}

static void walk_to_next_list(struct walk *w)
{
	if (++w->slot < WHEEL_SIZE)
		return;
	w->slot = 0;
	if (!w->again)
		w->fn = NULL;
	w->again = false;
}

bool timer_walk_on(enum timer_walk which)
{
	struct walk *w = &walks[which];

	while (w->fn) {
		struct conn *c = next_of_walk(w);

		if (!c) {
			walk_to_next_list(w);
			continue;
		}
		metrics_beat();
		turn_spend(TURN_LOOK);
		w->fn(c);
		if (turn_is_over())
			return true;
	}
	return false;
}

void timer_each(void (*fn)(struct conn *c, void *arg), void *arg)
{
	struct conn *c, *next;

	for (int i = 0; i < WHEEL_SIZE; i++) {
		struct conn *last = TAILQ_LAST(&wheel[i], conn_list);

		for (c = TAILQ_FIRST(&wheel[i]); c; c = next) {
			bool end = c == last;

			next = TAILQ_NEXT(c, entry);
			metrics_beat();
			if (!is_mark(c))
				fn(c, arg);
			if (end)
				break;
		}
	}
}
