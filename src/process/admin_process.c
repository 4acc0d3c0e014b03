/*
 * admin_process.c - see admin_process.h.
 *
 * It has what a worker has that has no clients: the bus, in a slot of its own; the counters, of
 * which it moves its heartbeat; and a control pair. Nothing that matters is in its memory, so it
 * may be ended at any moment.
 */
#include "process/admin_process.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/vitals.h"
#include "bus/bus.h"
#include "config/config.h"
#include "process/configure.h"
#include "process/control.h"
#include "process/handed.h"
#include "process/signals.h"
#include "process/user.h"

/*
 * FILES: open at the same time, most of them by clients; FILES_TCP: those that clients over TCP may
 * have, and all else that is open ahead of them. TICK: milliseconds between two beats. Once in a SECOND
 * of ticks it is asked how this process is.
 */
enum { FILES = 384, FILES_TCP = 256, TICK = 250, SECOND = 1000 / TICK };

static struct {
	const struct admin_process_start *start;
	struct event_base *base;
	struct event *tick;
	unsigned ticks;
	struct control control;
	int status;
} process;

static void finish(int status)
{
	process.status = status;
	event_base_loopbreak(process.base);
}

static void reload(struct control_frame *f)
{
	const struct control_admin_reload *r = f->body;
	struct admin_groups groups = { r->all, r->read };
	struct config *c = handed_config(f->fds[0], r->generation);
	bool all = c && f->fd_count == 1 + config_admin_sockets(c);

	if (!all || admin_reload(c, groups, f->fds + 1) < 0) {
		log_err(NULL, "cannot apply the configuration that the master sent; starting anew");
		finish(EXIT_FAILURE);
	} else {
		configure_log(c, process.start->verbose);
	}
	config_unref(c);
}

static int ask_reload(uint32_t id, bool dry_run)
{
	return control_send(&process.control, CONTROL_ASK_RELOAD, id,
			    &(struct control_ask_reload){ dry_run }, NULL, 0);
}

static int ask_drain(uint32_t id, const struct admin_drain *d)
{
	const struct control_ask_drain a = {
		.which = { d->generation, d->endpoint },
		.on = d->on,
		.over = d->over,
		.order = d->order,
		.share = d->share,
	};

	return control_send(&process.control, CONTROL_ASK_DRAIN, id, &a, NULL, 0);
}

static int ask_log_level(int level)
{
	return control_send(&process.control, CONTROL_ASK_LOG_LEVEL, 0,
			    &(struct control_log_level){ (uint64_t)level }, NULL, 0);
}

static void take_answer(struct control_frame *f)
{
	const struct control_answer *a = f->body;

	admin_answer(f->id, a->well, f->fds[0]);
}

static void (*const handlers[CONTROL_TYPES])(struct control_frame *f) = {
	[CONTROL_ADMIN_RELOAD] = reload,
	[CONTROL_ANSWER] = take_answer,
};

static void read_control(void *arg)
{
	struct control_frame f;
	enum control_verdict v;

	(void)arg;
	while ((v = control_read(&process.control, &f)) == CONTROL_FRAME)
		if (handlers[f.type])
			handlers[f.type](&f);
	if (v == CONTROL_MORE)
		return;
	log_err(NULL, v == CONTROL_ENDED ? "the master is gone" : "the master sent what cannot be");
	finish(EXIT_FAILURE);
}

static void tick_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	metrics_beat();
	if (process.ticks++ % SECOND == 0)
		vitals_note(metrics_own);
}

static int add_events(void)
{
	static const struct timeval every = { .tv_usec = TICK * 1000 };

	process.tick = event_new(process.base, -1, EV_PERSIST, tick_cb, NULL);
	if (!process.tick || event_add(process.tick, &every) < 0)
		return -1;
	control_init(&process.control, process.start->control, CONTROL_TO_WORKER);
	return control_watch(&process.control, process.base, read_control, NULL);
}

/*
 * How many clients there may be at the same time, and with that how much memory they may take. What
 * is possible stays, for a configuration is judged by that.
 */
static int limit_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -1;
	if (limit.rlim_cur > FILES)
		limit.rlim_cur = FILES;
	return setrlimit(RLIMIT_NOFILE, &limit);
}

static int begin(void)
{
	const struct admin_process_start *s = process.start;
	const struct config_admin *c = &s->config->admin;
	const struct admin_start start = { .base = process.base,
					   .config = s->config,
					   .started = s->started,
					   .groups = { c->gid, c->read_gid },
					   .bus = s->bus,
					   .metrics = s->metrics,
					   .board = s->board,
					   .chronicle = s->chronicle,
					   .tickets = s->tickets,
					   .tcp_files = FILES_TCP,
					   .reload = ask_reload,
					   .drain = ask_drain,
					   .log_level = ask_log_level,
					   .workers = s->workers };

	return admin_begin(&start, s->sockets);
}

static int prepare(void)
{
	const struct admin_process_start *s = process.start;

	if (user_drop_capabilities() < 0 || user_die_with_parent(s->master) < 0 ||
	    limit_files() < 0)
		return -1;
	bus_set_slot(s->bus, SLOT_ADMIN);
	metrics_use(s->metrics, SLOT_ADMIN);
	process.base = event_base_new();
	return process.base ? begin() : -1;
}

int admin_process_run(const struct admin_process_start *start)
{
	process.start = start;
	process.status = EXIT_FAILURE;
	signals_ignore();
	if (prepare() < 0 || add_events() < 0) {
		log_err(NULL, "the admin process cannot start: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	event_base_dispatch(process.base);
	control_fini(&process.control);
	event_free(process.tick);
	admin_end();
	event_base_free(process.base);
	return process.status;
}
