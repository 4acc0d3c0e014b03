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
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/block.h"
#include "base/log.h"
#include "base/metrics.h"
#include "behaviour.h"
#include "bus/bus.h"
#include "process/acceptors.h"
#include "process/configure.h"
#include "process/control.h"
#include "process/signals.h"
#include "process/user.h"
#include "session/session.h"

/* Free bytes at the end of the heap that a worker keeps. */
enum { HEAP_KEPT = 8 * 1024 * 1024 };

static struct {
	struct worker_start *start;
	struct event_base *base;
	struct control control;
	struct event *wakeup, *tick;
	uint32_t asked; /* the id of the last reload, */
	uint64_t generation; /* and what it brought */
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

static struct config_source *receive_source(int fd)
{
	struct config_source *s = NULL;
	struct stat st;
	void *p;

	if (fstat(fd, &st) < 0 || st.st_size <= 0)
		return NULL;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return NULL;
	s = config_source_unpack(p, (size_t)st.st_size);
	munmap(p, (size_t)st.st_size);
	return s;
}

/* The master has parsed the same text without an error. */
static struct config *receive_config(int fd, uint64_t generation)
{
	struct config_source *s = receive_source(fd);
	struct config_errors *e = config_errors_new();
	struct config *c = s && e ? config_parse(s, behaviours, generation, e) : NULL;

	config_source_free(s);
	config_errors_free(e);
	return c;
}

static void reloaded(unsigned moved, unsigned closed)
{
	tell(CONTROL_RELOADED, worker.asked,
	     &(struct control_reloaded){ worker.generation, moved, closed });
}

static void reload(struct control_frame *f)
{
	const struct control_reload *r = f->body;
	struct config *c = receive_config(f->fds[0], r->generation);

	if (!c || (!r->retire && f->fd_count != 1 + c->listener_count)) {
		log_err(NULL, "cannot apply the configuration that the master sent; starting anew");
		finish(EXIT_FAILURE);
		return;
	}
	worker.retiring = r->retire;
	/* what is adopted has the old settings, and listeners that may be gone */
	acceptors_end_adopted();
	if (worker.retiring)
		acceptors_end(worker.start->slot, true);
	else if (acceptors_own(c, f->fds + 1) < 0)
		finish(EXIT_FAILURE);
	/* which answers for one that is under way */
	session_reload(c, reloaded);
	worker.asked = f->id;
	worker.generation = r->generation;
	config_unref(c);
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

static void stop(struct control_frame *f)
{
	const struct control_stop *s = f->body;

	/* who waits in a queue gets an answer, unless the next run is to give it */
	acceptors_end_all(!s->keep_waiting);
	worker.stop_at = session.now + (uint32_t)(s->grace / SESSION_TICK) + 1;
	/* the other half is for their answers */
	session_stop(s->grace / 2);
}

static void (*const handlers[CONTROL_TYPES])(struct control_frame *f) = {
	[CONTROL_RELOAD] = reload,
	[CONTROL_ADOPT] = adopt,
	[CONTROL_RELEASE] = release_slot,
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
	size_t left = session_abort();

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
	return 0;
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
	if (session_init(worker.base, s->bus, s->metrics, s->tally, s->slot, s->config,
			 s->max_rooms) < 0)
		return -1;
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
		if ((session.stopping || worker.retiring) && session.conns == 0 && !more)
			finish(EXIT_SUCCESS);
	}
}

static void release(void)
{
	acceptors_end_all(false);
	session_fini();
	control_fini(&worker.control);
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
