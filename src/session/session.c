/*
 * session.c - what one worker's connections share, see session.h.
 */
#include "session/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/block.h"
#include "base/log.h"
#include "base/orders.h"
#include "base/tally.h"
#include "behaviour.h"
#include "bus/bus.h"
#include "config/config.h"
#include "net/transport.h"
#include "session/access.h"
#include "session/announcing.h"
#include "session/compress.h"
#include "session/conn_internal.h"
#include "session/counting.h"
#include "session/crowd.h"
#include "session/drain.h"
#include "session/late.h"
#include "session/opening.h"
#include "session/passwords.h"
#include "session/quota.h"
#include "session/registry.h"
#include "session/replay.h"
#include "session/survey.h"
#include "session/texts.h"
#include "session/turn.h"
#include "session/unsent.h"

static struct {
	session_reloaded_fn *told; /* NULL: none is under way */
	unsigned moved, closed;
} reload;

static struct {
	bool waits; /* what was published before is being delivered, */
	uint32_t until; /* up to this tick at the latest */
	uint32_t over; /* connections may go at a pace up to this tick */
	bool paced; /* and do: those that are open are a drain's */
} stop;

/* Connections that came while it retires are still to be looked for. */
static bool retires_again;

/* What happens up to the next tick is told of with this time. */
static void note_time(void)
{
	session.ticked = session_time();
	session.ticked_at = (uint32_t)session_clock();
}

int session_init(struct event_base *base, const struct session_shared *shared, int slot,
		 struct config *config, size_t max_rooms)
{
	session = (struct session){
		.base = base,
		.bus = shared->bus,
		.metrics = shared->metrics,
		.tally = shared->tally,
		.meters = shared->meters,
		.orders = shared->orders,
		.slot = slot,
		.chronicle = shared->chronicle,
		.row = metrics_use(shared->metrics, slot),
		.config = config_ref(config),
		.next_conn = session_first_conn(slot),
	};
	note_time();
	counting_begin(session.config);
	stop.waits = stop.paced = false;
	reload.told = NULL;
	retires_again = false;
	drain_init();
	tally_use(session.tally, slot);
	orders_use(session.orders, slot);
	timer_init();
	return registry_init(max_rooms);
}

void session_fini(void)
{
	session_abort();
	turn_counters_tell();
	entry_fini();
	registry_fini();
	announcing_fini();
	delivery_fini();
	replay_fini();
	output_fini();
	passwords_fini();
	opening_fini();
	crowd_fini();
	compress_fini();
	session_undrain();
	config_unref(session.config);
	session.config = NULL;
}

static void note(enum activity activity)
{
	atomic_store_explicit(&session.row->activity, activity, memory_order_relaxed);
	metrics_beat();
}

/* --- reload --- */

/*
 * An open one keeps its endpoint's snapshot until it is moved, and so does a request's. One whose
 * endpoint is gone keeps it up to its end, and is noted among those that leave.
 */
static bool is_to_be_moved(struct conn *c)
{
	return c->state_now >= CONN_UPGRADE && c->state_now <= CONN_OPEN && c->endpoint &&
	       c->endpoint->config != session.config &&
	       leaving_mark(LEAVING_REMOVED, c) != session.config->generation;
}

static void close_removed(struct conn *c)
{
	if (session.config->drain_time > 0) {
		drain_offer(LEAVING_REMOVED, c, session.config->generation);
		return;
	}
	turn_spend(TURN_CALL);
	conn_close_word(c, WS_CLOSE_SERVICE_RESTART, REASON_ENDPOINT_CHANGED);
}

/* At once: who may not be there is not to hear what is said until there is time for him to go. */
static void close_barred(struct conn *c)
{
	turn_spend(TURN_CALL);
	leaving_remove(LEAVING_REMOVED, c);
	conn_close_word(c, WS_CLOSE_POLICY, REASON_ACCESS_CHANGED);
}

/* Without memory for its name it would not be found again, nor would it say what it is to. */
static bool is_ready_for(struct conn *c, const struct config_endpoint *e)
{
	return conn_admit(c, e, conn_name(c), NULL) && texts_keep(c, e, conn_name(c));
}

/* Who is still to say who it is may go on to do so, where that may be done. */
static void move_late(struct conn *c)
{
	const struct config_endpoint *e = config_route_name(session.config, c->extra->late->name);
	struct metrics_cell *cell = c->endpoint->cell;

	if (!e || e->behaviour != c->endpoint->behaviour || !late_holds(c, e)) {
		reload.closed++;
		close_barred(c);
		return;
	}
	leaving_remove(LEAVING_REMOVED, c);
	reload.moved++;
	conn_set_endpoint(c, e);
	counting_moved(c, cell);
}

static void move_open(struct conn *c)
{
	const struct config_endpoint *e = config_route_name(session.config, conn_name(c));
	struct metrics_cell *cell = c->endpoint->cell;

	if (e && !access_holds(e, c)) {
		reload.closed++;
		close_barred(c);
		return;
	}
	if (!e || e->behaviour != c->endpoint->behaviour || !is_ready_for(c, e)) {
		reload.closed++;
		close_removed(c);
		return;
	}
	leaving_remove(LEAVING_REMOVED, c);
	reload.moved++;
	if (c->admission && c->admission->member.room) {
		registry_move(c->admission->member.room, e);
		registry_move_member(c, e);
	}
	conn_set_endpoint(c, e);
	counting_moved(c, cell);
	c->decoder.max_message = (uint32_t)e->limits.max_message;
}

/* What has come of its request leads to an endpoint; that may be another one now. */
static void move_opening(struct conn *c)
{
	struct upgrade up;

	opening_peek(c, &up);
	opening_route(c, &up);
}

static void reload_conn(struct conn *c)
{
	turn_spend(TURN_LOOK);
	if (!is_to_be_moved(c))
		; /* it is of the new configuration, or on its way out */
	else if (conn_is_late(c) && c->state_now == CONN_OPEN)
		move_late(c);
	else if (c->state_now == CONN_OPEN)
		move_open(c);
	else
		move_opening(c);
	if (!c->opening && c->state_now != CONN_DEAD)
		quota_recount(c);
	timer_update(c);
}

/* Says what became of it, if that is not told yet. */
static void end_reload(void)
{
	session_reloaded_fn *told = reload.told;

	reload.told = NULL;
	drain_offered(LEAVING_REMOVED);
	if (told)
		told(reload.moved, reload.closed);
}

void session_reload(struct config *config, session_reloaded_fn *told)
{
	struct config *old = session.config;

	note(ACTIVITY_RELOADING);
	end_reload();
	session.config = config_ref(config);
	counting_begin(config);
	config_unref(old);
	reload.told = told;
	reload.moved = reload.closed = 0;
	session.chores = true;
	/* Who is closed is not moved any more. */
	if (session.stopping)
		return;
	drain_open(LEAVING_REMOVED, &(struct drain_plan){ .over = config->drain_time,
							  .most = DRAIN_ALL_OF_THEM,
							  .code = WS_CLOSE_SERVICE_RESTART,
							  .reason = REASON_ENDPOINT_CHANGED });
	timer_walk(TIMER_WALK_CHANGE, reload_conn, is_to_be_moved);
}

/* --- drains --- */

static void retired(const struct session_drained *d)
{
	(void)d;
	retires_again = true;
}

void session_retire(void)
{
	retires_again = false;
	drain_begin(LEAVING_ALL, &(struct drain_plan){ .over = session.config->drain_time,
						       .most = DRAIN_ALL_OF_THEM,
						       .code = WS_CLOSE_SERVICE_RESTART,
						       .reason = REASON_DRAINED,
						       .told = retired });
}

void session_stay(void)
{
	retires_again = false;
	drain_cancel(LEAVING_ALL);
}

/* Space is there beforehand: else a worker without memory would take all whom the others refuse. */
void session_refuse(const char *endpoint)
{
	static char path[UPGRADE_PATH_MAX + 1];

	snprintf(path, sizeof(path), "%s", endpoint ? endpoint : "");
	session.drained = path;
}

void session_drain(const struct session_drain *d, session_drained_fn *told)
{
	session_undrain();
	if (d->refuse)
		session_refuse(d->endpoint);
	drain_begin(LEAVING_ASKED,
		    &(struct drain_plan){ .over = d->over,
					  .order = (enum leaving_order)d->order,
					  .most = d->most,
					  .code = d->refuse ? WS_CLOSE_GOING_AWAY
							    : WS_CLOSE_SERVICE_RESTART,
					  .reason = REASON_DRAINED,
					  .endpoint = d->endpoint,
					  .told = told });
}

void session_undrain(void)
{
	session.drained = NULL;
	drain_cancel(LEAVING_ASKED);
}

/* --- stop --- */

static bool is_to_stop(struct conn *c)
{
	return c->state_now < CONN_OPEN || (c->state_now == CONN_OPEN && !stop.paced);
}

static void stop_conn(struct conn *c)
{
	if (!is_to_stop(c))
		return;
	turn_spend(TURN_CALL);
	if (c->state_now == CONN_OPEN)
		conn_close_word(c, WS_CLOSE_GOING_AWAY, REASON_SHUTDOWN);
	else
		handshake_refuse(c, REASON_SHUTDOWN);
}

void session_stop(int64_t patience, int64_t over)
{
	end_reload();
	session_stay();
	stop.over = session.now + (uint32_t)(over / SESSION_TICK);
	session.stopping = session.chores = true;
	stop.waits = true;
	stop.until = session.now + (uint32_t)(patience / SESSION_TICK);
}

/* What was published before the end reaches the members before the close. */
static void close_when_delivered(bool undelivered)
{
	if (!stop.waits || (undelivered && (int32_t)(session.now - stop.until) < 0))
		return;
	stop.waits = false;
	stop.paced = (int32_t)(stop.over - session.now) > 0;
	if (stop.paced)
		drain_begin(LEAVING_ALL,
			    &(struct drain_plan){ .over = (int64_t)(stop.over - session.now) *
							  SESSION_TICK,
						  .most = DRAIN_ALL_OF_THEM,
						  .code = WS_CLOSE_GOING_AWAY,
						  .reason = REASON_SHUTDOWN });
	timer_walk(TIMER_WALK_CHANGE, stop_conn, is_to_stop);
}

/* --- turns --- */

/* A reload's, or a stop's. */
static bool walk_on(void)
{
	if (timer_walk_on(TIMER_WALK_CHANGE))
		return true;
	end_reload();
	return false;
}

static bool look_at_timers(void)
{
	return timer_go_on(conn_timer);
}

/* Memory that long messages needed, and nobody does any more. */
static bool give_back(void)
{
	while (block_give_back()) {
		turn_spend_on(BLOCK_PORTION, TURN_UNMAP);
		if (turn_is_over())
			return true;
	}
	return false;
}

/*
 * What is done for connections beside their bytes. Each does one thing in any case, and who is first
 * has the time there is: that changes from turn to turn. Most turns have none of it.
 */
static bool do_chores(bool undelivered)
{
	static bool (*const chores[])(void) = { look_at_timers,   walk_on,         conn_reap,
						conn_shake_hands, give_back,       survey_go_on,
						drain_go_on,      announcing_go_on };
	enum { CHORES = sizeof(chores) / sizeof(*chores) };
	static unsigned first;
	bool left = false;

	session.chores = false;
	close_when_delivered(undelivered);
	first++;
	for (unsigned i = 0; i < CHORES; i++)
		left |= chores[(first + i) % CHORES]();
	/* Or one of them has made more of it. */
	session.chores |= left || stop.waits;
	return session.chores;
}

/*
 * waiting: for space in the bus. Returns whether there may be some now: having read to the end
 * itself, this worker may have made it. The bus is told when nobody waits any more, too.
 */
static bool has_space_again(bool waiting)
{
	static bool waited;
	bool ask = waiting || waited;

	waited = waiting;
	return ask && bus_want_space(session.bus);
}

/* Those whose users have come anew, one at least. Returns whether there are more. */
static bool replace_some(void)
{
	struct conn *c;

	while ((c = quota_next_to_go())) {
		turn_spend(TURN_CALL);
		conn_close_word(c, WS_CLOSE_POLICY, REASON_REPLACED);
		if (turn_is_over())
			return true;
	}
	return false;
}

bool session_turn_end(void)
{
	enum park_retried retried;
	bool more;

	if (park_in_line() > 0) {
		turn_go_on(TURN_INPUT);
		conn_hear_some();
	}
	note(ACTIVITY_DELIVERING);
	more = delivery_turn();
	more |= conn_compress_some();
	retried = park_retry();
	more |= retried == PARK_UNTRIED;
	turn_go_on(TURN_CHORES);
	more |= conn_relieve();
	if (orders_are_there(session.orders))
		more |= replace_some();
	if (session.chores && do_chores(more))
		more = true;
	bus_wake_readers(session.bus);
	more |= park_in_line() > 0;
	if (has_space_again(retried != PARK_NONE))
		more = true;
	turn_begin();
	return more;
}

/* Others may have taken this worker to be asleep, for it was when libevent looked. */
static void end_within_events(void)
{
	bus_awake(session.bus);
	session_turn_end();
}

void session_turns_here(bool here)
{
	turn_within_events(here ? end_within_events : NULL);
}

/* What waits for sockets, and for how many of them. */
static void note_unsent(void)
{
	atomic_store_explicit(&session.row->send_queue, unsent_bytes + transport_held,
			      memory_order_relaxed);
	atomic_store_explicit(&session.row->slow, transport_blocked, memory_order_relaxed);
}

/* Ahead of what would be overwritten. */
static void carry_what_is_kept(void)
{
	if (bus_carry(session.bus, session.ticked, session_clock()) == BUS_CORRUPT)
		session_bus_corrupt();
}

/* The endpoint whose rooms keep for a group: of two that share one, the first. NULL: it is gone. */
static const char *keeper(uint16_t group)
{
	const struct config *c = session.config;

	for (size_t i = 0; i < c->endpoint_count; i++)
		if (c->endpoints[i].room.history > 0 &&
		    config_keep(&c->endpoints[i]).group == group)
			return c->endpoints[i].path;
	return NULL;
}

/* What others publish decides how often that happens, so it is told once in a minute. */
static void tell_evicted(void)
{
	static const struct bucket_size size = { 1, 60000 };
	static struct bucket bucket;
	static uint64_t entries;
	struct bus_evicted e = bus_take_evicted(session.bus);
	struct log_fields f = { .event = LOG_EVENT_HISTORY_EVICTED };

	entries += e.entries;
	if (e.entries == 0 || !bucket_take(&bucket, &size, session.now * SESSION_TICK))
		return;
	f.endpoint = keeper(e.group);
	log_warning(&f,
		    "history goes early: %llu messages that rooms of %s and others would still "
		    "keep, as "
		    "all of them together keep too much for \"bus_size\"",
		    (unsigned long long)entries,
		    f.endpoint ? f.endpoint : "an endpoint that is gone");
	entries = 0;
}

void session_tick(void)
{
	session.now++;
	note_time();
	note_unsent();
	carry_what_is_kept();
	tell_evicted();
	turn_tick();
	turn_counters_tick();
	block_tick();
	session.chores = true;
	entry_tick();
	passwords_tick();
	drain_tick();
	announcing_tick();
	if (retires_again && atomic_load(&session.row->open) > 0)
		session_retire();
}

/* --- the end --- */

static void abort_conn(struct conn *c, void *arg)
{
	(void)arg;
	conn_kill(c, REASON_SHUTDOWN);
}

static void reap_all(void)
{
	while (conn_reap())
		;
}

/* In one piece: with them this worker ends, and nobody is left who could wait. */
size_t session_abort(void)
{
	size_t left;

	/* These have ended already. */
	reap_all();
	left = session.conns;
	session.cutting = true;
	timer_each(abort_conn, NULL);
	reap_all();
	return left;
}
