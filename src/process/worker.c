/*
 * worker.c - one process that serves connections.
 *
 * A loop turn: libevent runs what is ready, then session_turn_end delivers
 * what the turn and other workers put in the bus. Before it sleeps the worker
 * says so to the others, and looks once more.
 */
#include "process/worker.h"

#include <errno.h>
#include <event2/event.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/block.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/vitals.h"
#include "bus/bus.h"
#include "process/acceptors.h"
#include "process/inquired.h"
#include "process/configure.h"
#include "process/control.h"
#include "process/handed.h"
#include "process/signals.h"
#include "process/user.h"
#include "session/leaving.h"
#include "session/session.h"

/* Free bytes at the end of the heap that a worker keeps. */
enum { HEAP_KEPT = 8 * 1024 * 1024 };

static struct {
	struct worker_start *start;
	struct event_base *base;
	struct control control;
	struct event *wakeup, *tick;
	uint32_t drain; /* the id of the last drain */
	uint32_t asked; /* the id of the last reload, */
	uint64_t generation; /* and what it brought */
	struct {
		struct config *config; /* NULL: nothing is prepared */
		bool retire;
	} prepared; /* for a decision that is awaited */
	uint32_t stop_at; /* session tick at which what is left is cut */
	bool retiring;
	bool done;
	int status;
} worker;

static void finish(int status)
{
	worker.done = true;
	worker.status = status;
}

static void tell(enum control_type type, uint32_t id, const void *body)
{
	if (control_send(&worker.control, type, id, body, NULL, 0) < 0) {
		log_err(NULL, "cannot answer the master: %s", strerror(errno));
		finish(EXIT_FAILURE);
	}
}

static void forget_prepared(void)
{
	acceptors_unprepare();
	config_unref(worker.prepared.config);
	worker.prepared.config = NULL;
}

/* All that can fail, so that a commit cannot. */
static void prepare_reload(struct control_frame *f)
{
	const struct control_prepare *p = f->body;
	struct control_prepared answer = { .generation = p->generation };
	const char *why = "there is no memory for it";

	forget_prepared();
	worker.prepared.retire = p->retire;
	worker.prepared.config = handed_config(f->fds[0], p->generation);
	if (worker.prepared.config && !p->retire &&
	    acceptors_prepare(worker.prepared.config, &why) < 0)
		forget_prepared();
	answer.able = worker.prepared.config != NULL;
	if (!answer.able)
		snprintf(answer.why, sizeof(answer.why), "%s", why);
	tell(CONTROL_PREPARED, f->id, &answer);
}

static void abort_reload(struct control_frame *f)
{
	(void)f;
	forget_prepared();
}

static void reloaded(unsigned moved, unsigned closed)
{
	tell(CONTROL_RELOADED, worker.asked,
	     &(struct control_reloaded){ worker.generation, moved, closed });
}

static bool is_prepared(const struct control_frame *f)
{
	const struct control_decision *d = f->body;
	const struct config *c = worker.prepared.config;

	return c && c->generation == d->generation &&
	       (worker.prepared.retire || f->fd_count == c->listener_count);
}

static void reload(struct control_frame *f)
{
	struct config *c = worker.prepared.config;

	if (!is_prepared(f)) {
		log_err(NULL, "cannot apply the configuration that the master sent; starting anew");
		finish(EXIT_FAILURE);
		return;
	}
	worker.retiring = worker.prepared.retire;
	/* what is adopted has the old settings, and listeners that may be gone */
	acceptors_end_adopted();
	if (worker.retiring)
		acceptors_retire(c);
	else if (acceptors_own(c, f->fds) < 0)
		finish(EXIT_FAILURE);
	/* which answers for one that is under way */
	session_reload(c, reloaded);
	if (worker.retiring)
		session_retire();
	else
		session_stay();
	worker.asked = f->id;
	worker.generation = c->generation;
	forget_prepared();
	configure_log(session.config, worker.start->verbose);
}

static void adopt(struct control_frame *f)
{
	const struct control_adopt *a = f->body;

	if (acceptors_for(session.config, (int)a->slot, a->listeners, f->fds, f->fd_count) < 0)
		log_err(NULL, "cannot accept for worker %d", (int)a->slot);
}

static void release_slot(struct control_frame *f)
{
	const struct control_release *r = f->body;

	acceptors_end((int)r->slot, r->give_up);
}

static void set_log_level(struct control_frame *f)
{
	const struct control_log_level *l = f->body;

	log_set_level((int)l->level);
}

static void drained(const struct session_drained *d)
{
	tell(CONTROL_DRAINED, worker.drain, &(struct control_drained){ d->let_go, d->late });
}

/* NULL: all of them. */
static const char *endpoint_of(const struct control_which *w)
{
	return w->endpoint ? session.config->endpoints[w->endpoint - 1].path : NULL;
}

static bool is_sound(const struct control_which *w)
{
	return w->endpoint == 0 || (w->generation == session.config->generation &&
				    w->endpoint <= session.config->endpoint_count);
}

static void drain(struct control_frame *f)
{
	const struct control_drain *d = f->body;

	if (!d->on) {
		session_undrain();
	} else if (!is_sound(&d->which) || d->order >= LEAVING_ORDERS) {
		log_err(NULL, "cannot drain as the master has asked; starting anew");
		finish(EXIT_FAILURE);
	} else {
		worker.drain = f->id;
		session_drain(&(struct session_drain){ d->refuse, (int)d->order, d->most, d->over,
						       endpoint_of(&d->which) },
			      drained);
	}
}

/* What is left of the grace behind it is for the clients' answers. */
static int64_t drain_time(int64_t grace)
{
	int64_t most = grace - grace / 10;

	if (!session.config->drain_set)
		return 0;
	return session.config->drain_time < most ? session.config->drain_time : most;
}

static void stop(struct control_frame *f)
{
	const struct control_stop *s = f->body;

	/* who waits in a queue gets an answer, unless the next run is to give it */
	if (s->keep_waiting)
		acceptors_end_all();
	else
		acceptors_shut_all();
	worker.stop_at = session.now + (uint32_t)(s->grace / SESSION_TICK) + 1;
	/* the other half is for their answers */
	session_stop(s->grace / 2, drain_time(s->grace));
}

static void (*const handlers[CONTROL_TYPES])(struct control_frame *f) = {
	[CONTROL_PREPARE] = prepare_reload,
	[CONTROL_COMMIT] = reload,
	[CONTROL_ABORT] = abort_reload,
	[CONTROL_ADOPT] = adopt,
	[CONTROL_RELEASE] = release_slot,
	[CONTROL_LOG_LEVEL] = set_log_level,
	[CONTROL_DRAIN] = drain,
	[CONTROL_STOP] = stop,
};

static void read_control(void *arg)
{
	struct control_frame f;
	enum control_verdict v;

	(void)arg;
	while ((v = control_read(&worker.control, &f)) == CONTROL_FRAME)
		handlers[f.type](&f);
	if (v == CONTROL_MORE)
		return;
	log_err(NULL, v == CONTROL_ENDED ? "the master is gone" : "the master sent what cannot be");
	finish(EXIT_FAILURE);
}

/* The bus is looked at after every turn anyway; this only ends the sleep. */
static void wakeup_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

static void cut(void)
{
	size_t left;

	acceptors_end_all();
	left = session_abort();
	if (left > 0)
		log_always(LOG_NOTICE, LOG_OF(STOPPING),
			   "shutdown_grace has passed: %zu connections are cut", left);
}

/*
 * Ticks that were missed count as one: who was silent meanwhile was so because this worker did not
 * read, and is not to be timed out for that.
 */
static void tick(int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0)
		return;
	session_tick();
	if (session.now % (1000 / SESSION_TICK) == 1)
		vitals_note(session.row);
	if (session.stopping && (int32_t)(session.now - worker.stop_at) >= 0)
		cut();
}

static void tick_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	(void)arg;
	tick(fd);
}

/* With a timer of libevent's own, the loop would ask for the time in every turn. */
static int open_tick(void)
{
	static const struct timespec every = { .tv_nsec = SESSION_TICK * 1000000 };
	const struct itimerspec times = { every, every };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	if (fd < 0 || timerfd_settime(fd, 0, &times, NULL) < 0)
		return -1;
	return fd;
}

static int add_events(void)
{
	int ticks = open_tick();

	if (ticks < 0)
		return -1;
	control_init(&worker.control, worker.start->control, CONTROL_TO_WORKER);
	/* Each write to it is an edge, so it need not be read; what is in it from before is one, too. */
	worker.wakeup = event_new(worker.base, worker.start->wakeup, EV_READ | EV_ET | EV_PERSIST,
				  wakeup_cb, NULL);
	worker.tick = event_new(worker.base, ticks, EV_READ | EV_PERSIST, tick_cb, NULL);
	if (!worker.wakeup || !worker.tick || event_add(worker.wakeup, NULL) < 0 ||
	    event_add(worker.tick, NULL) < 0 ||
	    control_watch(&worker.control, worker.base, read_control, NULL) < 0)
		return -1;
	return inquired_begin(worker.base, worker.start->asked);
}

static struct event_base *make_base(void)
{
	struct event_config *cfg = event_config_new();
	struct event_base *base = NULL;

	if (cfg && event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK) == 0 &&
	    event_config_set_flag(cfg, EVENT_BASE_FLAG_NO_CACHE_TIME) == 0)
		base = event_base_new_with_config(cfg);
	if (cfg)
		event_config_free(cfg);
	return base;
}

/*
 * Pieces of BLOCK_MIN and more go back to the kernel when they are freed: base/block.h keeps those
 * of long messages, and others are rare. Of smaller ones HEAP_KEPT stays, so that the heap does not
 * shrink and grow with each burst.
 */
static void keep_heap(void)
{
	mallopt(M_MMAP_THRESHOLD, BLOCK_MIN);
	mallopt(M_TRIM_THRESHOLD, HEAP_KEPT);
}

static int prepare(void)
{
	struct worker_start *s = worker.start;

	keep_heap();
	if (user_drop_capabilities() < 0 || user_die_with_parent(s->master) < 0)
		return -1;
	worker.base = make_base();
	if (!worker.base)
		return -1;
	bus_set_slot(s->bus, s->slot);
	acceptors_begin(worker.base, s->slot, s->tickets);
	if (session_init(worker.base,
			 &(struct session_shared){ .bus = s->bus,
						   .metrics = s->metrics,
						   .tally = s->tally,
						   .meters = s->meters,
						   .orders = s->orders,
						   .chronicle = s->chronicle },
			 s->slot, s->config, s->max_rooms) < 0)
		return -1;
	session_turns_here(true);
	if (s->drained)
		session_refuse(s->drained);
	return add_events() < 0 ? -1 : acceptors_own(s->config, s->sockets);
}

static void set_activity(enum activity a)
{
	atomic_store_explicit(&session.row->activity, a, memory_order_relaxed);
}

static void loop(void)
{
	bool more = false;

	while (!worker.done) {
		bool busy = more || bus_sleep(session.bus);

		set_activity(ACTIVITY_WAITING);
		event_base_loop(worker.base, EVLOOP_ONCE | (busy ? EVLOOP_NONBLOCK : 0));
		bus_awake(session.bus);
		more = session_turn_end();
		if ((session.stopping || worker.retiring) && session.conns == 0 && !more &&
		    !acceptors_accept_rest())
			finish(EXIT_SUCCESS);
	}
}

static void release(void)
{
	forget_prepared();
	acceptors_end_all();
	session_fini();
	control_fini(&worker.control);
	inquired_end();
	event_free(worker.wakeup);
	close(event_get_fd(worker.tick));
	event_free(worker.tick);
	event_base_free(worker.base);
}

int worker_run(struct worker_start *start)
{
	worker.start = start;
	signals_ignore();
	log_set_worker(start->slot);
	if (prepare() < 0) {
		log_err(NULL, "cannot start: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	log_debug(LOG_OF(WORKER_STARTED), "worker %d runs with pid %ld", start->slot,
		  (long)getpid());
	tell(CONTROL_READY, 0, &(struct control_ready){ start->config->generation });
	loop();
	release();
	return worker.status;
}
