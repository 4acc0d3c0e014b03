/*
 * session.c - what one worker's connections share, see session.h.
 */
#include "session/session.h"

#include "base/block.h"
#include "base/log.h"
#include "base/tally.h"
#include "behaviour.h"
#include "bus/bus.h"
#include "config/config.h"
#include "session/compress.h"
#include "session/conn_internal.h"
#include "session/crowd.h"
#include "session/opening.h"
#include "session/per_address.h"
#include "session/registry.h"
#include "session/turn.h"

static struct {
	session_reloaded_fn *told; /* NULL: none is under way */
	unsigned moved, closed;
} reload;

static struct {
	bool waits; /* what was published before is being delivered, */
	uint32_t until; /* up to this tick at the latest */
} stop;

/* Ids stay unique over workers and their restarts: slot, then time, then a count. */
static uint64_t first_conn_id(int slot)
{
	return (uint64_t)slot << 56 | ((uint64_t)session_clock() << 20 & 0x00fffffffff00000) | 1;
}

int session_init(struct event_base *base, struct bus *bus, struct metrics *metrics,
		 struct tally *tally, int slot, struct config *config, size_t max_rooms)
{
	session = (struct session){
		.base = base,
		.bus = bus,
		.metrics = metrics,
		.tally = tally,
		.row = metrics_use(metrics, slot),
		.config = config_ref(config),
		.next_conn = first_conn_id(slot),
	};
	stop.waits = false;
	reload.told = NULL;
	tally_use(tally, slot);
	timer_init();
	return registry_init(max_rooms);
}

void session_fini(void)
{
	session_abort();
	turn_counters_tell();
	entry_fini();
	registry_fini();
	delivery_fini();
	output_fini();
	opening_fini();
	crowd_fini();
	compress_fini();
	config_unref(session.config);
	session.config = NULL;
}

static void note(enum activity activity)
{
	atomic_store_explicit(&session.row->activity, activity, memory_order_relaxed);
	metrics_beat();
}

/* --- reload --- */

static struct config_route route_again(const struct conn *c)
{
	const char *room = c->admission ? c->admission->room : NULL;

	return config_route(session.config, room ? room : c->endpoint->path);
}

/* An open one keeps its endpoint's snapshot until it is moved, and so does a request's. */
static bool is_to_be_moved(const struct conn *c)
{
	return (c->state_now == CONN_OPEN || c->state_now == CONN_UPGRADE) && c->endpoint &&
	       c->endpoint->config != session.config;
}

static void move_open(struct conn *c)
{
	const struct config_endpoint *e = route_again(c).endpoint;

	if (!e || e->behaviour != c->endpoint->behaviour) {
		reload.closed++;
		turn_spend(TURN_CALL);
		conn_close_word(c, WS_CLOSE_SERVICE_RESTART, REASON_ENDPOINT_CHANGED);
		return;
	}
	reload.moved++;
	conn_set_endpoint(c, e);
	c->decoder.max_message = (uint32_t)e->limits.max_message;
}

static void reload_conn(struct conn *c)
{
	turn_spend(TURN_LOOK);
	if (!is_to_be_moved(c))
		; /* it is of the new configuration, or on its way out */
	else if (c->state_now == CONN_OPEN)
		move_open(c);
	else
		conn_set_endpoint(c, route_again(c).endpoint);
	if (!c->opening && c->state_now != CONN_DEAD)
		per_address_recount(c);
	timer_update(c);
}

/* Says what became of it, if that is not told yet. */
static void end_reload(void)
{
	session_reloaded_fn *told = reload.told;

	reload.told = NULL;
	if (told)
		told(reload.moved, reload.closed);
}

void session_reload(struct config *config, session_reloaded_fn *told)
{
	struct config *old = session.config;

	note(ACTIVITY_RELOADING);
	end_reload();
	session.config = config_ref(config);
	config_unref(old);
	reload.told = told;
	reload.moved = reload.closed = 0;
	/* Who is closed is not moved any more. */
	if (!session.stopping)
		timer_walk(reload_conn, is_to_be_moved);
	session.chores = true;
}

/* --- stop --- */

static bool is_to_stop(const struct conn *c)
{
	return c->state_now <= CONN_OPEN;
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

void session_stop(int64_t patience)
{
	end_reload();
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
	timer_walk(stop_conn, is_to_stop);
}

/* --- turns --- */

/* A reload's, or a stop's. */
static bool walk_on(void)
{
	if (timer_walk_on())
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
	static bool (*const chores[])(void) = { look_at_timers, walk_on, conn_reap,
						conn_shake_hands, give_back };
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

bool session_turn_end(void)
{
	bool more, waiting;

	turn_go_on(TURN_INPUT);
	while (frames_go_on() && !turn_is_over())
		;
	note(ACTIVITY_DELIVERING);
	more = delivery_turn();
	more |= conn_compress_some();
	waiting = park_retry();
	turn_go_on(TURN_CHORES);
	more |= conn_relieve();
	if (session.chores && do_chores(more))
		more = true;
	bus_wake_readers(session.bus);
	more |= park_is_ready();
	if (has_space_again(waiting))
		more = true;
	turn_begin();
	return more;
}

void session_tick(void)
{
	session.now++;
	turn_counters_tick();
	block_tick();
	session.chores = true;
	entry_tick();
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
