/*
 * master.c - the process that owns everything that must outlive a worker: start, events, end.
 *
 * It reads the configuration, opens the sockets and keeps the workers going. It
 * never touches a client's bytes, and never takes the bus lock.
 *
 * What the other files find out comes back here, and here is decided what it means for the daemon
 * as a whole: that it is ready, that it gives up, that it has ended. None of them calls this one.
 */
#include "process/master.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/metrics.h"
#include "config/config.h"
#include "process/admin_child.h"
#include "process/adopt.h"
#include "process/answer.h"
#include "process/asked.h"
#include "process/configure.h"
#include "process/control.h"
#include "process/draining.h"
#include "process/fdstore.h"
#include "process/posted.h"
#include "process/reload.h"
#include "process/replace.h"
#include "process/running.h"
#include "process/runtime.h"
#include "process/service.h"
#include "process/shared.h"
#include "process/signals.h"
#include "process/slot.h"
#include "process/status.h"
#include "process/supervise.h"
#include "process/ticks.h"
#include "process/title.h"

static struct {
	struct event_base *base;
	struct event *tick;
	uint64_t stop_at; /* tick at which workers that are left while it stops are killed */
	int exit_status;
} master;

/* Workers cut what is left at shutdown_grace themselves; this is for one that does not. */
enum { STOP_MARGIN = 2000 };

/* A configuration without listeners is valid: a reload with it lets the connections end. */
static void log_not_started(const char *file, const struct config_errors *e, bool is_valid)
{
	if (!is_valid)
		log_err(LOG_OF(CONFIG_ERROR), "not started: %s has errors (%zu)", file,
			config_errors_count(e));
	else
		log_err(LOG_OF(CONFIG_ERROR),
			"not started: \"listen\" is empty in %s; a daemon that runs may be told "
			"so, to let its connections end",
			file);
}

/* Returns an exit status, as start does. */
static int load_config(const char *file)
{
	struct config_source *source;
	struct config_errors *e;
	struct config *c;
	int status = MASTER_OK;

	if (configure_become_user(file) < 0)
		return MASTER_FAILED;
	e = config_errors_new();
	c = configure_load(file, 1, &source, e);
	if (configure_stays_root(c))
		log_warning(LOG_OF(CONFIG_WARNING),
			    "running as root: set \"user\" to an unprivileged user");
	config_errors_each(e, configure_log_error, NULL);
	if (c && c->listener_count > 0) {
		running_take(c);
	} else {
		log_not_started(file, e, c != NULL);
		config_unref(c);
		status = MASTER_CONFIG;
	}
	config_errors_free(e);
	config_source_free(source);
	return status;
}

static void check_ready(void)
{
	const struct config *c = running.config;

	if (running.phase != PHASE_STARTING)
		return;
	for (int i = 0; i < c->workers; i++)
		if (slots[i].state != SLOT_RUNNING)
			return;
	running_enter(PHASE_READY);
	/* First the entry: who waits for READY=1 finds it, and nothing of the start behind it. */
	log_always(LOG_INFO, LOG_OF(READY), "ready: %lld workers, %zu endpoints",
		   (long long)c->workers, c->endpoint_count);
	service_ready(status_line());
}

static void check_stopped(void)
{
	if (running.phase == PHASE_STOPPING && slots_alive() == 0)
		event_base_loopbreak(master.base);
}

static void stop(void)
{
	int64_t grace = running.config->shutdown_grace;

	running_enter(PHASE_STOPPING);
	master.stop_at = ticks_now() + ticks_of(grace + STOP_MARGIN);
	service_stopping("closing connections", (uint64_t)(grace + 2 * STOP_MARGIN) * 1000);
	log_always(LOG_INFO, LOG_OF(STOPPING), "stopping");
	slots_stop(grace);
	/* Who comes now is to be refused, not to wait for the end in a queue. */
	sockets_close(&running.sockets);
	check_stopped();
}

/* why NULL: there is no need to. */
static void give_up(const char *why)
{
	if (!why)
		return;
	log_err(LOG_OF(STOPPING), "giving up: %s", why);
	master.exit_status = MASTER_GAVE_UP;
	if (running.phase != PHASE_STOPPING)
		stop();
}

/* At once the second time. */
static void stop_asked(void)
{
	if (running.phase != PHASE_STOPPING) {
		stop();
		return;
	}
	log_always(LOG_NOTICE, LOG_OF(STOPPING),
		   "stopping at once, for that was asked twice: %llu connections are cut",
		   (unsigned long long)metrics_open(shared.metrics));
	slots_kill();
}

static void answer_reload(uint32_t id)
{
	bool applied;
	const char *text = reload_answer(&applied);

	admin_child_answer(id, applied, text);
}

/* One that came during the start does not end that, unless fewer workers are enough now. */
static void end_reloads(void)
{
	while (reload_finish()) {
		asked_answer(reload_number(), answer_reload);
		check_ready();
		if (running.phase == PHASE_READY)
			service_ready(status_line());
		reload_resume();
	}
}

static void refuse(uint32_t id, const char *word, const char *why)
{
	char *text = answer_refused(&(struct answer){ 0 }, word, why);

	admin_child_answer(id, false, text);
	free(text);
}

static void plan_reload(uint32_t id)
{
	bool valid;
	char *text = reload_try(&valid);

	admin_child_answer(id, valid, text);
	free(text);
}

static void note_asked(uint32_t id, bool dry_run)
{
	if (running.phase == PHASE_STOPPING) {
		refuse(id, "shutdown", "the daemon is stopping");
	} else if (dry_run) {
		plan_reload(id);
	} else if (!asked_note(id, reload_number() + 1)) {
		refuse(id, "busy", "too many wait for a reload already");
	} else {
		reload_start();
		end_reloads();
	}
}

static void note_asked_drain(uint32_t id, const struct control_ask_drain *d)
{
	bool well;
	char *text;

	if (running.phase == PHASE_STOPPING) {
		refuse(id, "shutdown", "the daemon is stopping");
		return;
	}
	text = drain_ask(d, &well);
	admin_child_answer(id, well, text);
	free(text);
}

static const struct admin_questions questions = { .reload = note_asked, .drain = note_asked_drain };

static void note_ready(void)
{
	adopt_look();
	check_ready();
	end_reloads();
	posted_renew();
}

static void note_prepared(const struct slot *s, const char *why)
{
	reload_note_prepared(s, why);
	end_reloads();
}

static void note_reloaded(unsigned moved, unsigned closed)
{
	reload_note(moved, closed);
	end_reloads();
	posted_renew();
}

static const struct slot_events events = { .ready = note_ready,
					   .prepared = note_prepared,
					   .reloaded = note_reloaded,
					   .drained = drain_note };

static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (admin_child_ended(pid, status))
			continue;
		give_up(replace_ended(pid, status));
		if (shared.bus_condemned)
			admin_child_kill();
		drain_look();
		end_reloads();
		check_stopped();
	}
}

static void handle_signal(int sig)
{
	switch (sig) {
	case SIGCHLD:
		reap();
		break;
	case SIGHUP:
		if (running.phase == PHASE_STOPPING)
			break;
		reload_start();
		end_reloads();
		break;
	case SIGTERM:
	case SIGINT:
		stop_asked();
		break;
	case SIGUSR1:
		status_log();
		break;
	}
	posted_renew();
}

static void tick(void)
{
	ticks_advance();
	running_tick();
	shared_tick();
	supervise_tick();
	slots_flush();
	admin_child_tick();
	reload_tick();
	/* ahead of what follows on the end of who was silent: that begins with what is decided */
	end_reloads();
	adopt_look();
	if (running.phase != PHASE_STOPPING)
		give_up(replace_tick());
	else if (ticks_now() >= master.stop_at)
		slots_kill();
	if (running.phase == PHASE_READY && !reload_is_active())
		status_tell();
	posted_renew();
}

static void tick_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	tick();
}

static int add_events(void)
{
	static const struct timeval every = { .tv_usec = MASTER_TICK * 1000 };

	master.base = event_base_new();
	if (!master.base || signals_add(master.base, handle_signal) < 0)
		return -1;
	master.tick = event_new(master.base, -1, EV_PERSIST, tick_cb, NULL);
	if (!master.tick || event_add(master.tick, &every) < 0)
		return -1;
	if (admin_child_init(master.base, &questions) < 0)
		return -1;
	return slots_init(master.base, &events);
}

static bool is_listener_of_unit(const char *name, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < running.config->listener_count; i++) {
		const char *wanted = running.config->listeners[i].systemd;

		if (wanted && strcmp(wanted, name) == 0)
			return true;
	}
	return false;
}

static int open_sockets(void)
{
	struct sockets_fault fault = { 0 };

	if (sockets_open(&running.sockets, running.config, NULL, &fault) < 0 ||
	    admin_child_open(running.config, &fault) < 0) {
		if (fault.file)
			log_err(LOG_OF(BIND_FAILED), "%s:%d: %s", fault.file, fault.line,
				fault.text);
		else
			log_err(LOG_OF(BIND_FAILED), "%s", fault.text);
		return -1;
	}
	running_listen();
	fdstore_close_rest(is_listener_of_unit, NULL);
	return 0;
}

static int start(const struct master_options *options)
{
	int status;

	signals_prepare();
	configure_raise_limits();
	/* ahead of it: a day that ends meanwhile is rather told twice than not at all */
	running_begin(options->verbose);
	status = load_config(options->file);
	if (status != MASTER_OK)
		return status;
	reload_init(options->file);
	log_always(LOG_INFO, LOG_OF(STARTED), "ignyxd " IGNYX_VERSION " starting with %s",
		   options->file);
	if (runtime_open(running.config->runtime_dir) < 0)
		return MASTER_FAILED;
	fdstore_receive();
	if (shared_make(running.config) < 0 || open_sockets() < 0)
		return MASTER_FAILED;
	posted_begin();
	if (add_events() < 0) {
		log_err(NULL, "cannot set up the event loop: %s", strerror(errno));
		return MASTER_FAILED;
	}
	for (int i = 0; i < running.config->workers; i++)
		slot_start(&slots[i]);
	admin_child_commit(-1);
	posted_renew();
	return MASTER_OK;
}

static void release(void)
{
	admin_child_fini();
	running_end();
	runtime_close();
	if (!master.base)
		goto out;
	slots_fini();
	signals_remove();
	if (master.tick)
		event_free(master.tick);
	event_base_free(master.base);
out:
	shared_free();
	reload_fini();
}

int master_run(const struct master_options *options)
{
	int status;

	title_set("master");
	status = start(options);
	if (status != MASTER_OK) {
		release();
		return status;
	}
	event_base_dispatch(master.base);
	log_always(LOG_INFO, LOG_OF(STOPPED), "stopped");
	release();
	return master.exit_status;
}
