/*
 * drain.c - see drain.h.
 *
 * With each tick a drain owes what is left by the time that is left, in fractions, and whole
 * connections are closed of that. So they go evenly whether they are three or ten thousand, whoever
 * leaves by himself meanwhile, and with the last tick of the span the last of them; turns that were
 * too short for it make up for that later. Those that are left behind the span, for the worker had no
 * time, are closed as fast as turns allow.
 */
#include "session/drain.h"

#include <stdio.h>
#include <string.h>

#include "base/metrics.h"
#include "config/config.h"
#include "proto/upgrade.h"
#include "session/conn_internal.h"
#include "session/session.h"
#include "session/turn.h"

/* OFFERED: by others. EMPTYING: of those of the one before. */
enum stage { NONE, EMPTYING, COLLECTING, OFFERED, GOING };

static struct drain {
	enum stage stage;
	struct drain_plan plan;
	char endpoint[UPGRADE_PATH_MAX + 1];
	uint32_t until; /* tick */
	double owed; /* connections that are to go now */
	struct session_drained gone;
} drains[LEAVING_SETS];

static bool is_over_time(const struct drain *d)
{
	return (int32_t)(session.now - d->until) >= 0;
}

static size_t left_of(enum leaving_set set)
{
	const struct drain *d = &drains[set];
	size_t count = leaving_count(set);

	if (d->stage == NONE || d->stage == EMPTYING)
		return 0;
	return count < d->plan.most ? count : d->plan.most;
}

/* For administrators. */
static void tell_left(void)
{
	uint64_t left = 0;

	for (enum leaving_set s = 0; s < LEAVING_SETS; s++)
		left += left_of(s);
	atomic_store_explicit(&session.row->leaving, left, memory_order_relaxed);
}

void drain_init(void)
{
	memset(drains, 0, sizeof(drains));
}

/* --- who --- */

static bool is_for(const struct drain *d, const struct conn *c)
{
	return c->state_now == CONN_OPEN &&
	       (!d->plan.endpoint || strcmp(c->endpoint->path, d->plan.endpoint) == 0);
}

static bool is_to_come(struct conn *c)
{
	for (enum leaving_set s = 0; s < LEAVING_SETS; s++)
		if (drains[s].stage == COLLECTING && is_for(&drains[s], c) && !leaving_mark(s, c))
			return true;
	return false;
}

static void collect(struct conn *c)
{
	for (enum leaving_set s = 0; s < LEAVING_SETS; s++)
		if (drains[s].stage == COLLECTING && is_for(&drains[s], c))
			drain_offer(s, c, 1);
}

static void start(struct drain *d, const struct drain_plan *p)
{
	d->plan = *p;
	if (p->endpoint)
		d->plan.endpoint = strcpy(d->endpoint, p->endpoint);
	d->until = session.now + (uint32_t)(p->over / SESSION_TICK);
	session.chores = true;
}

void drain_begin(enum leaving_set set, const struct drain_plan *p)
{
	struct drain *d = &drains[set];

	start(d, p);
	d->gone = (struct session_drained){ 0 };
	d->owed = 0;
	d->stage = EMPTYING;
}

void drain_open(enum leaving_set set, const struct drain_plan *p)
{
	struct drain *d = &drains[set];

	start(d, p);
	if (leaving_count(set) == 0) {
		leaving_begin(set, p->order);
		d->gone = (struct session_drained){ 0 };
		d->owed = 0;
	}
	d->stage = OFFERED;
}

void drain_offered(enum leaving_set set)
{
	if (drains[set].stage == OFFERED)
		drains[set].stage = GOING;
}

void drain_cancel(enum leaving_set set)
{
	if (drains[set].stage == NONE)
		return;
	drains[set].stage = EMPTYING;
	drains[set].plan.most = 0;
	drains[set].plan.told = NULL;
	session.chores = true;
}

/* --- going --- */

/* "endpoint-changed retry-after=12.4s" */
static int text_of(const struct drain_plan *p, char text[WS_CLOSE_REASON_MAX + 1])
{
	unsigned tenths;

	if (p->over < SESSION_TICK)
		return snprintf(text, WS_CLOSE_REASON_MAX + 1, "%s", reason_word(p->reason));
	tenths = 1 + (unsigned)(leaving_random() % (uint64_t)(p->over / SESSION_TICK));
	return snprintf(text, WS_CLOSE_REASON_MAX + 1, "%s retry-after=%u.%us",
			reason_word(p->reason), tenths / 10, tenths % 10);
}

static void let_go(struct drain *d, struct conn *c)
{
	char text[WS_CLOSE_REASON_MAX + 1];
	int len = text_of(&d->plan, text);

	turn_spend(TURN_CALL);
	conn_close(c, d->plan.code, d->plan.reason, text, (size_t)len);
	d->gone.let_go++;
	d->gone.late += d->plan.over > 0 && is_over_time(d);
	if (d->plan.most != DRAIN_ALL_OF_THEM)
		d->plan.most--;
}

/* Without memory for its place it goes now, as long as any are to. */
void drain_offer(enum leaving_set set, struct conn *c, uint64_t mark)
{
	if (!leaving_add(set, c, mark) && drains[set].plan.most > 0)
		let_go(&drains[set], c);
}

/* Whoever is on its way out by itself is no one that is let go. */
static bool let_one_go(enum leaving_set set)
{
	struct conn *c = leaving_take(set);

	if (!c)
		return false;
	if (c->state_now == CONN_OPEN) {
		drains[set].owed -= 1;
		let_go(&drains[set], c);
	}
	return true;
}

static void end(enum leaving_set set)
{
	struct drain *d = &drains[set];
	session_drained_fn *told = d->plan.told;

	d->stage = NONE;
	d->plan.told = NULL;
	if (told)
		told(&d->gone);
}

static bool empty_some(enum leaving_set set)
{
	while (leaving_take(set))
		if (turn_is_over())
			return true;
	if (drains[set].plan.most == 0) {
		end(set);
		return false;
	}
	leaving_begin(set, drains[set].plan.order);
	drains[set].stage = COLLECTING;
	timer_walk(TIMER_WALK_DRAIN, collect, is_to_come);
	return true;
}

/* What stays of a share is let out of the set. */
static bool pass_on(enum leaving_set set)
{
	struct drain *d = &drains[set];

	while (left_of(set) > 0 && (d->owed >= 1 || is_over_time(d))) {
		let_one_go(set);
		if (turn_is_over())
			return true;
	}
	if (left_of(set) > 0 || d->stage != GOING)
		return false;
	while (leaving_take(set))
		if (turn_is_over())
			return true;
	end(set);
	return false;
}

static bool collect_on(void)
{
	if (timer_walk_on(TIMER_WALK_DRAIN))
		return true;
	for (enum leaving_set s = 0; s < LEAVING_SETS; s++)
		if (drains[s].stage == COLLECTING)
			drains[s].stage = GOING;
	return false;
}

bool drain_go_on(void)
{
	bool more = collect_on();

	for (enum leaving_set s = 0; s < LEAVING_SETS; s++) {
		if (drains[s].stage == EMPTYING)
			more |= empty_some(s);
		else if (drains[s].stage == GOING)
			more |= pass_on(s);
	}
	tell_left();
	return more;
}

static void owe(enum leaving_set set)
{
	struct drain *d = &drains[set];
	double left = (double)left_of(set);
	/* the tick that ends the span is not one to wait for */
	uint32_t ticks = is_over_time(d) ? 1 : d->until - session.now;

	if (d->owed > left)
		d->owed = left;
	d->owed = ticks <= 1 ? left : d->owed + (left - d->owed) / ticks;
}

void drain_tick(void)
{
	for (enum leaving_set s = 0; s < LEAVING_SETS; s++)
		if (drains[s].stage == GOING)
			owe(s);
}
