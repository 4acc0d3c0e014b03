/*
 * reload.c - a new configuration in a running daemon.
 *
 * Everything that can fail is done first: reading, parsing, new sockets,
 * memory. Then the new snapshot is in force, workers get the same text and new
 * sockets, and the reload is complete when every worker has answered, or has
 * been replaced by one that began with the new snapshot.
 */
#include "process/reload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "config/config.h"
#include "process/adopt.h"
#include "process/changes.h"
#include "process/configure.h"
#include "process/running.h"
#include "process/runtime.h"
#include "process/service.h"
#include "process/shared.h"
#include "process/slot.h"
#include "process/ticks.h"

/*
 * Milliseconds that a worker has for its answer, whatever worker_timeout. Who waits for the
 * outcome, `ignyxd -r` or the service manager, does so for 90 s.
 */
enum { ANSWER_MAX = 30000 };

/* OVER: refused or applied, and who is to be told of that is not yet. */
enum stage { IDLE, ACTIVE, OVER };

static struct {
	const char *file; /* to be read */
	struct config *started; /* what the keys that need a restart have */
	enum stage stage;
	bool again; /* one was asked for meanwhile */
	uint64_t begun; /* tick at which the workers were told */
	char changes[CHANGES_MAX]; /* of the one that is active */
	char first_error[256]; /* why it was refused, */
	size_t errors; /* and how many reasons there were */
	unsigned moved, closed;
	char outcome[384]; /* of the last one, for the status; empty: there was none */
} state;

void reload_init(const char *file, struct config *started)
{
	state.file = file;
	state.started = config_ref(started);
}

void reload_fini(void)
{
	config_unref(state.started);
	state.started = NULL;
}

bool reload_is_active(void)
{
	return state.stage != IDLE;
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
	configure_log_error(warning, line, arg);
	if (!warning)
		note_error(line);
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
	state.stage = OVER;
	note_outcome(applied);
	runtime_reload_end(applied, summary);
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
		struct slot *s = &slots[i];
		bool wanted = i < running.config->workers;

		if (slot_alive(s))
			slot_reload(s, !wanted, fd);
		else if (!wanted)
			slot_unwant(s);
		else if (s->state == SLOT_UNUSED)
			slot_start(s);
	}
	close(fd);
	/* what somebody accepts on for another is of the old configuration */
	adopt_anew();
	adopt_last();
}

static void commit(struct config *new, int fd)
{
	config_changed_keys(state.started, new, true, warn_restart, NULL);
	changes_describe(running.config, new, state.changes);
	state.moved = state.closed = 0;
	running_take(new);
	running_listen();
	state.begun = ticks_now();
	tell_workers(fd);
}

/* What may fail for want of something outside of the file. */
static int prepare(const struct config *new, char *error, size_t size)
{
	if (config_uses_bus(new) && bus_populate(shared.bus) < 0) {
		snprintf(error, size, "there is no memory for the bus (bus_size): %s",
			 strerror(errno));
		return -1;
	}
	return sockets_open(&running.sockets, new, running.config, error, size);
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

	if (state.stage != IDLE) {
		state.again = true;
		return;
	}
	state.stage = ACTIVE;
	state.errors = 0;
	service_reloading();
	runtime_reload_begin();
	e = config_errors_new();
	new = configure_load(state.file, running.config->generation + 1, &source, e);
	config_errors_each(e, log_error, NULL);
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
		if (slots[i].state == SLOT_STARTING || slots[i].asked)
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
	if (state.stage != ACTIVE || running.phase == PHASE_STOPPING ||
	    ticks_now() - state.begun < ticks_of(ANSWER_MAX))
		return;
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		if (slots[i].asked)
			slot_end_stuck(&slots[i], "has not answered a reload for 30 s");
}

static void applied(void)
{
	char summary[CHANGES_MAX + 128];

	snprintf(summary, sizeof(summary),
		 "configuration reloaded: %s; %u connections kept, %u closed", state.changes,
		 state.moved, state.closed);
	log_always(LOG_INFO, LOG_OF(RELOADED), "%s", summary);
	end(true, summary);
}

bool reload_finish(void)
{
	if (state.stage == ACTIVE && running.phase != PHASE_STOPPING && all_answered())
		applied();
	if (state.stage != OVER)
		return false;
	state.stage = IDLE;
	return true;
}

void reload_resume(void)
{
	if (!state.again || running.phase == PHASE_STOPPING)
		return;
	state.again = false;
	reload_start();
}
