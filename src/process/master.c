/*
 * master.c - start, signals, end.
 *
 * The master reads the configuration, opens the sockets and keeps the workers
 * going. It never touches a client's bytes, and never takes the bus lock.
 */
#include "process/master.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "behaviour.h"
#include "config/errors.h"
#include "net/tls.h"
#include "process/fdstore.h"
#include "process/master_internal.h"
#include "process/notify.h"
#include "process/reload_client.h"
#include "process/runtime.h"
#include "process/signals.h"
#include "process/title.h"
#include "process/user.h"
#include "process/worker.h"
#include "session/listener.h"

struct master master;

/* Workers cut what is left at shutdown_grace themselves; this is for one that does not. */
enum { STOP_MARGIN = 2000 };

/* What only making it shows, such as a key that is too short for OpenSSL's taste. */
static bool check_listeners(const struct config *c, struct config_errors *e)
{
	bool ok = true;

	for (size_t i = 0; i < c->listener_count; i++) {
		const struct config_listener *l = &c->listeners[i];
		const char *why;
		struct listener *made = listener_new(l, NULL, &why);

		listener_unref(made);
		if (made)
			continue;
		errors_add(e, false, (struct config_place){ l->file, (unsigned)l->line, 0 },
			   "listen %zu: tls: OpenSSL cannot use this: %s", i + 1, why);
		ok = false;
	}
	return ok;
}

struct config *master_load(const char *file, uint64_t generation, struct config_source **source,
			   struct config_errors *e)
{
	struct config *c = NULL;

	*source = config_load(file, e);
	if (*source)
		c = config_parse(*source, behaviours, generation, e);
	if (c && !check_listeners(c, e)) {
		config_unref(c);
		c = NULL;
	}
	if (!c) {
		config_source_free(*source);
		*source = NULL;
	}
	return c;
}

/*
 * The configuration says who to be, and is then read as that user, so that
 * what works at start works at a reload.
 */
static int become_user(const char *file)
{
	struct config_errors *e;
	struct config_source *source;
	struct config *c;
	int r = 0;

	if (geteuid() != 0)
		return 0;
	e = config_errors_new();
	c = master_load(file, 1, &source, e);
	if (c && c->user)
		r = user_become(c->user);
	config_unref(c);
	config_source_free(source);
	config_errors_free(e);
	return r;
}

/* It says nobody. */
static bool stays_root(const struct config *c)
{
	return c && !c->user && geteuid() == 0;
}

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

	if (become_user(master.options->file) < 0)
		return MASTER_FAILED;
	e = config_errors_new();
	/* ahead of it: a day that ends meanwhile is rather told twice than not at all */
	master.expiry_looked = (int64_t)time(NULL);
	master.config = master_load(master.options->file, 1, &source, e);
	if (stays_root(master.config))
		log_warning(LOG_OF(CONFIG_WARNING),
			    "running as root: set \"user\" to an unprivileged user");
	reload_log_errors(e, false);
	if (!master.config || master.config->listener_count == 0)
		status = not_started(e);
	config_errors_free(e);
	config_source_free(source);
	return status;
}

static void raise_file_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
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
	notify_ready(supervise_status());
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
	master.stop_at = master.ticks + supervise_ticks(grace + STOP_MARGIN);
	notify_stopping("closing connections", (uint64_t)(grace + 2 * STOP_MARGIN) * 1000);
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

void master_stop(void)
{
	if (!master.stopping) {
		stop();
		return;
	}
	log_always(LOG_NOTICE, LOG_OF(STOPPING),
		   "stopping at once, for that was asked twice: %llu connections are cut",
		   (unsigned long long)metrics_open(master.metrics));
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		slot_kill(&master.slots[i], SIGKILL);
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
	if (!master.base || signals_add(master.base) < 0)
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
	raise_file_limit();
	status = load_config();
	if (status != MASTER_OK)
		return status;
	worker_set_log(master.config, master.options->verbose);
	master.started = config_ref(master.config);
	log_set_generation(master.config->generation);
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

static void print_error(bool warning, const char *line, void *arg)
{
	(void)arg;
	fprintf(stderr, "%s%s\n", warning ? "warning: " : "", line);
}

int master_check_config(const struct master_options *options)
{
	struct config_errors *e;
	struct config_source *source;
	struct config *c;
	size_t n;

	raise_file_limit();
	if (become_user(options->file) < 0)
		return MASTER_FAILED;
	e = config_errors_new();
	c = master_load(options->file, 1, &source, e);
	if (stays_root(c))
		print_error(true,
			    "checked as root, who may read all files: check as the user that "
			    "the daemon runs as",
			    NULL);
	config_errors_each(e, print_error, NULL);
	n = config_errors_count(e);
	if (c)
		printf("%s: configuration is valid\n", options->file);
	else
		fprintf(stderr, "%s: %zu error%s\n", options->file, n, n == 1 ? "" : "s");
	config_unref(c);
	config_source_free(source);
	config_errors_free(e);
	return c ? MASTER_OK : MASTER_FAILED;
}

/* That of the unit that comes with the program. */
#define UNIT_RUNTIME_DIR "/run/ignyxd"

static bool is_in_use(const char *dir)
{
	char file[PATH_MAX];

	snprintf(file, sizeof(file), "%s/" RUNTIME_PID_FILE, dir);
	return access(file, F_OK) == 0;
}

/* Of the service, if that runs. With -c the file that is meant may be of another daemon. */
static char *unit_runtime_dir(bool file_given)
{
	if (!is_in_use(UNIT_RUNTIME_DIR))
		return NULL;
	fprintf(stderr, file_given ? "ignyxd: a daemon runs with " UNIT_RUNTIME_DIR
				     "; to reload that one, leave -c out\n"
				   : "ignyxd: reloading the daemon of " UNIT_RUNTIME_DIR "\n");
	return file_given ? NULL : strdup(UNIT_RUNTIME_DIR);
}

/*
 * Where the daemon keeps its pid file: the configuration says, or the service manager,
 * also when the file was edited to say something else, which needs a restart. Who asks by
 * hand has nothing from the service manager, but its daemon is where the unit has it. A file
 * with errors is then the daemon's to refuse; else they are told here.
 */
static char *runtime_dir(const struct config *c, bool file_given)
{
	const char *env = getenv("RUNTIME_DIRECTORY");
	char *dir = env ? strndup(env, strcspn(env, ":")) : NULL;

	if (!c || !c->runtime_dir || (dir && is_in_use(dir) && !is_in_use(c->runtime_dir)))
		return dir ? dir : unit_runtime_dir(file_given);
	free(dir);
	return strdup(c->runtime_dir);
}

int master_request_reload(const struct master_options *options)
{
	const char *pid = getenv("MAINPID");
	struct config_errors *e = config_errors_new();
	struct config_source *source;
	struct config *c = master_load(options->file, 1, &source, e);
	char *dir = runtime_dir(c, options->file_given);
	int r = MASTER_FAILED;

	if (c || dir) {
		r = reload_client(dir, pid ? strtol(pid, NULL, 10) : 0);
	} else {
		config_errors_each(e, print_error, NULL);
		fprintf(stderr, "%s has errors (%zu): the daemon was not asked to reload\n",
			options->file, config_errors_count(e));
	}
	free(dir);
	config_unref(c);
	config_source_free(source);
	config_errors_free(e);
	return r;
}
