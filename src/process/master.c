/*
 * master.c - start, signals, end.
 *
 * The master reads the configuration, opens the sockets and keeps the workers
 * going. It never touches a client's bytes, and never takes the bus lock.
 */
#include "process/master.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "net/tls.h"
#include "process/configure.h"
#include "process/fdstore.h"
#include "process/master_internal.h"
#include "process/service.h"
#include "process/runtime.h"
#include "process/signals.h"
#include "process/title.h"

struct master master;

/* While it stops: the tick at which workers that are left are killed. */
static uint64_t stop_at;

/* Workers cut what is left at shutdown_grace themselves; this is for one that does not. */
enum { STOP_MARGIN = 2000 };

/* A configuration without listeners is valid: a reload with it lets the connections end. */
static int not_started(const struct config_errors *e)
{
	const char *file = master.options->file;

	if (!master.config)
		log_err(LOG_OF(CONFIG_ERROR), "not started: %s has errors (%zu)", file,
			config_errors_count(e));
	else
		log_err(LOG_OF(CONFIG_ERROR),
			"not started: \"listen\" is empty in %s; a daemon that runs may be told "
			"so, to let its connections end",
			file);
	return MASTER_CONFIG;
}

/* Returns an exit status, as start does. */
static int load_config(void)
{
	struct config_source *source;
	struct config_errors *e;
	int status = MASTER_OK;

	if (configure_become_user(master.options->file) < 0)
		return MASTER_FAILED;
	e = config_errors_new();
	/* ahead of it: a day that ends meanwhile is rather told twice than not at all */
	supervise_begin();
	master.config = configure_load(master.options->file, 1, &source, e);
	if (configure_stays_root(master.config))
		log_warning(LOG_OF(CONFIG_WARNING),
			    "running as root: set \"user\" to an unprivileged user");
	reload_log_errors(e, false);
	if (!master.config || master.config->listener_count == 0)
		status = not_started(e);
	config_errors_free(e);
	config_source_free(source);
	return status;
}

int master_new_bus(void)
{
	bus_free(master.bus);
	master.bus = bus_new(&master.bus_limits, master.wakeups);
	if (!master.bus)
		return -1;
	return config_uses_bus(master.config) ? bus_populate(master.bus) : 0;
}

static int make_shared(void)
{
	const struct config *c = master.config;

	for (int i = 0; i < BUS_SLOTS; i++) {
		master.wakeups[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (master.wakeups[i] < 0)
			return -1;
	}
	master.bus_limits = (struct bus_limits){ .size = (size_t)c->bus_size,
						 .lag = (size_t)c->bus_lag,
						 .max_rooms = (uint32_t)c->max_rooms };
	master.metrics = metrics_new();
	master.tickets = tickets_new();
	if (!master.metrics || !master.tickets)
		return -1;
	if (master_new_bus() < 0) {
		log_err(NULL, "there is no memory for the bus of %lld bytes: %s; lower bus_size%s",
			(long long)c->bus_size, strerror(errno),
			errno == EFBIG ? " or raise the limit of file sizes (ulimit -f)" : "");
		return -1;
	}
	return 0;
}

void master_check_ready(void)
{
	if (master.ready)
		return;
	for (int i = 0; i < master.config->workers; i++)
		if (master.slots[i].state != SLOT_RUNNING)
			return;
	master.ready = true;
	/* First the entry: who waits for READY=1 finds it, and nothing of the start behind it. */
	log_always(LOG_INFO, LOG_OF(READY), "ready: %lld workers, %zu endpoints",
		   (long long)master.config->workers, master.config->endpoint_count);
	service_ready(supervise_status());
}

static void leave(int status)
{
	master.exit_status = status;
	event_base_loopbreak(master.base);
}

void master_check_stopped(void)
{
	if (master.stopping && slots_alive() == 0)
		leave(master.exit_status);
}

static void stop(void)
{
	int64_t grace = master.config->shutdown_grace;

	master.stopping = true;
	stop_at = ticks_now() + ticks_of(grace + STOP_MARGIN);
	service_stopping("closing connections", (uint64_t)(grace + 2 * STOP_MARGIN) * 1000);
	log_always(LOG_INFO, LOG_OF(STOPPING), "stopping");
	slots_stop(grace);
	/* Who comes now is to be refused, not to wait for the end in a queue. */
	sockets_close(&master.sockets);
	master_check_stopped();
}

void master_give_up(const char *why)
{
	log_err(LOG_OF(STOPPING), "giving up: %s", why);
	master.exit_status = MASTER_GAVE_UP;
	if (!master.stopping)
		stop();
}

/* At once the second time. */
static void stop_asked(void)
{
	if (!master.stopping) {
		stop();
		return;
	}
	log_always(LOG_NOTICE, LOG_OF(STOPPING),
		   "stopping at once, for that was asked twice: %llu connections are cut",
		   (unsigned long long)metrics_open(master.metrics));
	slots_kill();
}

void master_end_grace(void)
{
	if (ticks_now() >= stop_at)
		slots_kill();
}

static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		slot_died(pid, status);
}

static void handle_signal(int sig)
{
	switch (sig) {
	case SIGCHLD:
		reap();
		break;
	case SIGHUP:
		if (!master.stopping)
			reload_start();
		break;
	case SIGTERM:
	case SIGINT:
		stop_asked();
		break;
	case SIGUSR1:
		supervise_log_state();
		break;
	}
}

static void tick_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	supervise_tick();
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
	return slots_init();
}

static bool is_listener_of_unit(const char *name, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < master.config->listener_count; i++) {
		const char *wanted = master.config->listeners[i].systemd;

		if (wanted && strcmp(wanted, name) == 0)
			return true;
	}
	return false;
}

void master_note_expiry(void)
{
	atomic_store(&master.metrics->certificate_expires, config_first_expiry(master.config));
}

static int open_sockets(void)
{
	char error[512];

	if (sockets_open(&master.sockets, master.config, NULL, error, sizeof(error)) < 0) {
		log_err(LOG_OF(BIND_FAILED), "%s", error);
		return -1;
	}
	sockets_commit(&master.sockets, master.config);
	fdstore_close_rest(is_listener_of_unit, NULL);
	master_note_expiry();
	return 0;
}

static int start(void)
{
	int status;

	signals_prepare();
	configure_raise_limits();
	status = load_config();
	if (status != MASTER_OK)
		return status;
	configure_log(master.config, master.options->verbose);
	master.started = config_ref(master.config);
	log_always(LOG_INFO, LOG_OF(STARTED), "ignyxd " IGNYX_VERSION " starting with %s",
		   master.options->file);
	if (runtime_open(master.config->runtime_dir) < 0)
		return MASTER_FAILED;
	fdstore_receive();
	if (make_shared() < 0 || open_sockets() < 0)
		return MASTER_FAILED;
	if (add_events() < 0) {
		log_err(NULL, "cannot set up the event loop: %s", strerror(errno));
		return MASTER_FAILED;
	}
	for (int i = 0; i < master.config->workers; i++)
		slot_start(&master.slots[i]);
	return MASTER_OK;
}

static void release(void)
{
	sockets_close(&master.sockets);
	runtime_close();
	if (!master.base)
		goto out;
	slots_fini();
	signals_remove();
	if (master.tick)
		event_free(master.tick);
	event_base_free(master.base);
out:
	bus_free(master.bus);
	tickets_free(master.tickets);
	config_unref(master.started);
	config_unref(master.config);
}

int master_run(const struct master_options *options)
{
	int status;

	title_set("master");
	tls_init();
	master.options = options;
	status = start();
	if (status != MASTER_OK) {
		release();
		return status;
	}
	event_base_dispatch(master.base);
	log_always(LOG_INFO, LOG_OF(STOPPED), "stopped");
	release();
	return master.exit_status;
}
