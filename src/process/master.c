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
#include <string.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/metrics.h"
#include "config/config.h"
#include "net/tls.h"
#include "process/adopt.h"
#include "process/configure.h"
#include "process/fdstore.h"
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

/* One that came during the start does not end that, unless fewer workers are enough now. */
static void end_reloads(void)
{
	while (reload_finish()) {
		check_ready();
		if (running.phase == PHASE_READY)
			service_ready(status_line());
		reload_resume();
	}
}

static void note_ready(void)
{
	adopt_look();
	check_ready();
	end_reloads();
}

static void note_reloaded(unsigned moved, unsigned closed)
{
	reload_note(moved, closed);
	end_reloads();
}

static const struct slot_events events = { .ready = note_ready, .reloaded = note_reloaded };

static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		give_up(replace_ended(pid, status));
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
}

static void tick(void)
{
	ticks_advance();
	running_tick();
	shared_tick();
	supervise_tick();
	slots_flush();
	reload_tick();
	adopt_look();
	if (running.phase != PHASE_STOPPING)
		give_up(replace_tick());
	else if (ticks_now() >= master.stop_at)
		slots_kill();
	if (running.phase == PHASE_READY && !reload_is_active())
		status_tell();
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
	char error[512];

	if (sockets_open(&running.sockets, running.config, NULL, error, sizeof(error)) < 0) {
		log_err(LOG_OF(BIND_FAILED), "%s", error);
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
	reload_init(options->file, running.config);
	log_always(LOG_INFO, LOG_OF(STARTED), "ignyxd " IGNYX_VERSION " starting with %s",
		   options->file);
	if (runtime_open(running.config->runtime_dir) < 0)
		return MASTER_FAILED;
	fdstore_receive();
	if (shared_make(running.config) < 0 || open_sockets() < 0)
		return MASTER_FAILED;
	if (add_events() < 0) {
		log_err(NULL, "cannot set up the event loop: %s", strerror(errno));
		return MASTER_FAILED;
	}
	for (int i = 0; i < running.config->workers; i++)
		slot_start(&slots[i]);
	return MASTER_OK;
}

static void release(void)
{
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
	tls_init();
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
