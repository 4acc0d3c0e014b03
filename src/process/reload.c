/*
 * reload.c - a new configuration in a running daemon.
 *
 * Everything that can fail is done first: reading, parsing, new sockets,
 * memory. Then the new snapshot is in force, workers get the same text and new
 * sockets, and the reload is complete when every worker has answered, or has
 * been replaced by one that began with the new snapshot.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "process/changes.h"
#include "process/configure.h"
#include "process/master_internal.h"
#include "process/service.h"
#include "process/runtime.h"

/*
 * Milliseconds that a worker has for its answer, whatever worker_timeout. Who waits for the
 * outcome, `ignyxd -r` or the service manager, does so for 90 s.
 */
enum { ANSWER_MAX = 30000 };

static struct {
	bool active;
	bool again; /* one was asked for meanwhile */
	uint64_t begun; /* tick at which the workers were told */
	char changes[CHANGES_MAX]; /* of the one that is active */
	char first_error[256]; /* why it was refused, */
	size_t errors; /* and how many reasons there were */
	unsigned moved, closed;
	char outcome[384]; /* of the last one, for the status; empty: there was none */
} state;

bool reload_is_active(void)
{
	return state.active;
}

const char *reload_outcome(void)
{
	return state.outcome;
}

static void note_error(const char *line)
{
	if (state.errors++ == 0)
		snprintf(state.first_error, sizeof(state.first_error), "%.*s",
			 (int)sizeof(state.first_error) - 1, line);
	runtime_reload_line(line);
}

static void log_error(bool warning, const char *line, void *arg)
{
	bool refused = *(bool *)arg;

	if (warning) {
		log_warning(LOG_OF(CONFIG_WARNING), "%s", line);
		return;
	}
	log_err(LOG_OF(CONFIG_ERROR), "%s", line);
	if (refused)
		note_error(line);
}

void reload_log_errors(const struct config_errors *e, bool refused)
{
	config_errors_each(e, log_error, &refused);
}

/* What the status says of it until the next one. */
static void note_outcome(bool applied)
{
	time_t now = time(NULL);
	struct tm tm;
	char when[32] = "", more[48] = "";

	if (localtime_r(&now, &tm))
		strftime(when, sizeof(when), " %F %T", &tm);
	if (state.errors > 1)
		snprintf(more, sizeof(more), " (and %zu more)", state.errors - 1);
	if (applied)
		snprintf(state.outcome, sizeof(state.outcome), "reloaded%s", when);
	else
		snprintf(state.outcome, sizeof(state.outcome), "reload refused%s: %s%s", when,
			 state.first_error, more);
}

static void end(bool applied, const char *summary)
{
	state.active = false;
	note_outcome(applied);
	runtime_reload_end(applied, summary);
	/* one that came during the start does not end that, unless fewer workers are enough now */
	master_check_ready();
	if (master.ready)
		service_ready(supervise_status());
	if (state.again && !master.stopping) {
		state.again = false;
		reload_start();
	}
}

static void refuse(const char *why)
{
	char summary[512];

	snprintf(summary, sizeof(summary),
		 "reload refused: %s; the running configuration stays in force", why);
	log_err(LOG_OF(RELOAD_REFUSED), "%s", summary);
	end(false, summary);
}

static void warn_restart(const char *key, void *arg)
{
	(void)arg;
	log_warning(LOG_OF(CONFIG_WARNING),
		    "a change of \"%s\" needs a restart; the rest of the configuration applies",
		    key);
}

static int source_fd(const struct config_source *source)
{
	size_t len;
	void *bytes = config_source_pack(source, &len);
	int fd = bytes ? memfd_create("ignyxd.conf", MFD_CLOEXEC | MFD_ALLOW_SEALING) : -1;

	if (fd >= 0 && write(fd, bytes, len) != (ssize_t)len) {
		close(fd);
		fd = -1;
	}
	if (bytes)
		explicit_bzero(bytes, len);
	free(bytes);
	if (fd >= 0)
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
	return fd;
}

/* Tells the workers there are, starts those there are not yet. */
static void tell_workers(int fd)
{
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++) {
		struct slot *s = &master.slots[i];
		bool wanted = i < master.config->workers;

		if (slot_alive(s))
			slot_retire_or_reload(s, !wanted, fd);
		else if (!wanted)
			s->state = SLOT_UNUSED;
		else if (s->state == SLOT_UNUSED)
			slot_start(s);
	}
	close(fd);
	/* what somebody accepts on for another is of the old configuration */
	slots_adopt_anew();
	slots_give_up();
}

static void commit(struct config *new, int fd)
{
	struct config *old = master.config;

	config_changed_keys(master.started, new, true, warn_restart, NULL);
	changes_describe(old, new, state.changes);
	state.moved = state.closed = 0;
	master.config = new;
	configure_log(new, master.options->verbose);
	sockets_commit(&master.sockets, new);
	master_note_expiry();
	state.begun = ticks_now();
	tell_workers(fd);
	config_unref(old);
	reload_check();
}

/* What may fail for want of something outside of the file. */
static int prepare(const struct config *new, char *error, size_t size)
{
	if (config_uses_bus(new) && bus_populate(master.bus) < 0) {
		snprintf(error, size, "there is no memory for the bus (bus_size): %s",
			 strerror(errno));
		return -1;
	}
	return sockets_open(&master.sockets, new, master.config, error, size);
}

/* Takes new over; source is what it was made of. */
static void apply(struct config *new, const struct config_source *source)
{
	char error[400];
	int fd = source_fd(source);

	if (fd < 0)
		snprintf(error, sizeof(error), "there is no memory to hand it to the workers: %s",
			 strerror(errno));
	if (fd >= 0 && prepare(new, error, sizeof(error)) == 0) {
		commit(new, fd);
		return;
	}
	if (fd >= 0)
		close(fd);
	log_err(LOG_OF(BIND_FAILED), "%s", error);
	note_error(error);
	config_unref(new);
	refuse("it cannot be put in force");
}

void reload_start(void)
{
	struct config_errors *e;
	struct config_source *source;
	struct config *new;
	char why[64];

	if (state.active) {
		state.again = true;
		return;
	}
	state.active = true;
	state.errors = 0;
	service_reloading();
	runtime_reload_begin();
	e = config_errors_new();
	new = configure_load(master.options->file, master.config->generation + 1, &source, e);
	reload_log_errors(e, true);
	if (new) {
		apply(new, source);
	} else {
		size_t n = config_errors_count(e);

		snprintf(why, sizeof(why), "%zu error%s in the configuration", n,
			 n == 1 ? "" : "s");
		refuse(why);
	}
	config_source_free(source);
	config_errors_free(e);
}

static bool all_answered(void)
{
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		if (master.slots[i].state == SLOT_STARTING || master.slots[i].asked)
			return false;
	return true;
}

void reload_note(unsigned moved, unsigned closed)
{
	state.moved += moved;
	state.closed += closed;
}

void reload_tick(void)
{
	if (!state.active || master.stopping || ticks_now() - state.begun < ticks_of(ANSWER_MAX))
		return;
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		if (master.slots[i].asked)
			supervise_end_stuck(&master.slots[i], "has not answered a reload for 30 s");
}

void reload_check(void)
{
	char summary[CHANGES_MAX + 128];

	if (!state.active || master.stopping || !all_answered())
		return;
	snprintf(summary, sizeof(summary),
		 "configuration reloaded: %s; %u connections kept, %u closed", state.changes,
		 state.moved, state.closed);
	log_always(LOG_INFO, LOG_OF(RELOADED), "%s", summary);
	end(true, summary);
}
