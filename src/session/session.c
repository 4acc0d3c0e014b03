/*
 * session.c - what one worker's connections share, see session.h.
 */
#include "session/session.h"

#include "base/log.h"
#include "behaviour.h"
#include "bus/bus.h"
#include "config/config.h"
#include "session/compress.h"
#include "session/conn_internal.h"
#include "session/opening.h"
#include "session/registry.h"
#include "session/turn.h"

/* More than what the log can hold, and an end in any case. */
enum { BATCHES_AT_STOP = 4096 };

/* Ids stay unique over workers and their restarts: slot, then time, then a count. */
static uint64_t first_conn_id(int slot)
{
	return (uint64_t)slot << 56 | ((uint64_t)session_clock() << 20 & 0x00fffffffff00000) | 1;
}

int session_init(struct event_base *base, struct bus *bus, struct metrics *metrics, int slot,
		 struct config *config, size_t max_rooms)
{
	session = (struct session){
		.base = base,
		.bus = bus,
		.metrics = metrics,
		.row = metrics_use(metrics, slot),
		.config = config_ref(config),
		.next_conn = first_conn_id(slot),
	};
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
	compress_fini();
	config_unref(session.config);
	session.config = NULL;
}

static void note(enum activity activity)
{
	atomic_store_explicit(&session.row->activity, activity, memory_order_relaxed);
	metrics_beat();
}

/* What is done for connections beside their bytes; most turns have none of it. */
static bool chores_wait;

static bool do_chores(void)
{
	chores_wait = timer_go_on(conn_timer);
	return chores_wait;
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
	waiting = park_retry();
	turn_go_on(TURN_CHORES);
	if (chores_wait && do_chores())
		more = true;
	conn_reap();
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
	chores_wait = true;
	entry_tick();
}

struct reload {
	unsigned moved, closed;
};

static struct config_route route_again(const struct conn *c)
{
	const char *room = c->admission ? c->admission->room : NULL;

	return config_route(session.config, room ? room : c->endpoint->path);
}

static void reload_conn(struct conn *c, void *arg)
{
	struct reload *counts = arg;
	const struct config_endpoint *e;

	if (c->state_now == CONN_UPGRADE && c->endpoint)
		conn_set_endpoint(c, route_again(c).endpoint);
	if (c->state_now != CONN_OPEN)
		return;
	e = route_again(c).endpoint;
	if (!e || e->behaviour != c->endpoint->behaviour) {
		counts->closed++;
		conn_close_word(c, WS_CLOSE_SERVICE_RESTART, REASON_ENDPOINT_CHANGED);
		return;
	}
	counts->moved++;
	conn_set_endpoint(c, e);
	c->decoder.max_message = (uint32_t)e->limits.max_message;
}

/* Apart from the above, for who is given another tick may come by once more. */
static void update_timer(struct conn *c, void *arg)
{
	(void)arg;
	timer_update(c);
}

void session_reload(struct config *config, unsigned *moved, unsigned *closed)
{
	struct config *old = session.config;
	struct reload counts = { 0 };

	note(ACTIVITY_RELOADING);
	session.config = config_ref(config);
	timer_each(reload_conn, &counts);
	timer_each(update_timer, NULL);
	config_unref(old);
	*moved = counts.moved;
	*closed = counts.closed;
}

static void stop_conn(struct conn *c, void *arg)
{
	(void)arg;
	if (c->state_now == CONN_OPEN)
		conn_close_word(c, WS_CLOSE_GOING_AWAY, REASON_SHUTDOWN);
	else if (c->state_now < CONN_OPEN)
		handshake_refuse(c, REASON_SHUTDOWN);
}

/* What was published before the end reaches the members before the close. */
void session_stop(void)
{
	for (int i = 0; i < BATCHES_AT_STOP && delivery_turn(); i++) {
		note(ACTIVITY_DELIVERING);
		turn_begin();
	}
	session.stopping = true;
	timer_each(stop_conn, NULL);
}

static void abort_conn(struct conn *c, void *arg)
{
	(void)arg;
	conn_kill(c, REASON_SHUTDOWN);
}

size_t session_abort(void)
{
	size_t left;

	/* These have ended already. */
	conn_reap();
	left = session.conns;
	session.cutting = true;
	timer_each(abort_conn, NULL);
	conn_reap();
	return left;
}
