/*
 * reload.c - a new configuration in a running daemon.
 *
 * Everything that can fail is done first, and by all: the master reads, parses and opens sockets,
 * then each worker that serves is asked whether it can have what came of that. Only when all of them
 * can is the new snapshot in force, and they are told; if one cannot, all keep what they have, and
 * what was opened is closed again. One that dies meanwhile, or gives no answer, is asked no more:
 * who takes its place begins with what is decided. The reload is complete when every worker has it
 * in force, or has been replaced by one that began with it.
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
#include "base/metrics.h"
#include "config/config.h"
#include "config/plan.h"
#include "process/admin_child.h"
#include "process/adopt.h"
#include "process/answer.h"
#include "process/changes.h"
#include "process/configure.h"
#include "process/noting.h"
#include "process/posted.h"
#include "process/running.h"
#include "process/runtime.h"
#include "process/service.h"
#include "process/shared.h"
#include "process/slot.h"
#include "process/ticks.h"

/*
 * Milliseconds that a worker has, whatever worker_timeout: to say whether it can, and to have gone
 * over all of its connections then. Who waits for the outcome, `ignyxd -r` or the service manager,
 * does so for 90 s.
 */
enum { PREPARE_MAX = 2000, ANSWER_MAX = 30000 };

enum { WHY_MAX = 64 };

/*
 * PREPARING: workers are asked. ACTIVE: it is in force, and workers are told. OVER: refused or
 * applied, and who is to be told of that is not yet.
 */
enum stage { IDLE, PREPARING, ACTIVE, OVER };

static struct {
	const char *file; /* to be read */
	enum stage stage;
	uint64_t number; /* of the last one that has begun, from 1 */
	bool applied; /* it, if it is over */
	bool again; /* one was asked for meanwhile */
	uint64_t begun; /* tick at which the workers were asked, or told */
	struct config *next; /* that they are asked about, */
	int source; /* and its packed text; NULL, -1: there is none */
	char unable[CONTROL_WHY_MAX + 64]; /* who cannot have it, and why; empty: nobody said so */
	struct plan *plan; /* of the one that is active */
	struct answer noted; /* what is wrong with it */
	char first_error[256]; /* why it was refused, */
	size_t errors; /* and how many reasons there were */
	unsigned moved, closed;
	char outcome[384]; /* of the last one, for the status; empty: there was none */
	char *answer; /* and for who asked for it */
} state = { .source = -1 };

void reload_init(const char *file)
{
	state.file = file;
}

static void forget_next(void)
{
	config_unref(state.next);
	state.next = NULL;
	if (state.source >= 0)
		close(state.source);
	state.source = -1;
}

static void forget(void)
{
	forget_next();
	plan_free(state.plan);
	state.plan = NULL;
	free(state.answer);
	state.answer = NULL;
}

void reload_fini(void)
{
	forget();
}

bool reload_is_active(void)
{
	return state.stage != IDLE;
}

uint64_t reload_number(void)
{
	return state.number;
}

const char *reload_answer(bool *is_applied)
{
	*is_applied = state.applied;
	return state.answer;
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
	state.applied = applied;
	note_outcome(applied);
	runtime_reload_end(applied, summary);
	posted_reload(applied, summary);
	noting_reload(applied, summary);
	metrics_add(&shared.metrics->reloads[applied ? METRICS_APPLIED : METRICS_REFUSED], 1);
}

/* word: for who asked. */
static void refuse(const char *word, const char *why)
{
	char summary[512];

	snprintf(summary, sizeof(summary),
		 "reload refused: %s; the running configuration stays in force", why);
	log_err(LOG_OF(RELOAD_REFUSED), "%s", summary);
	state.answer = answer_refused(&state.noted, word, why);
	end(false, summary);
}

static void warn_of_restarts(void)
{
	for (size_t i = 0; i < state.plan->count; i++)
		if (state.plan->items[i].restart)
			log_warning(LOG_OF(CONFIG_WARNING),
				    "a change of \"%s\" needs a restart; the rest of the "
				    "configuration applies",
				    state.plan->items[i].values[0].key);
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

/* Those who have come up, and are not being ended. */
static bool is_asked(const struct slot *s)
{
	return slot_alive(s) && s->state != SLOT_STARTING && !s->ending;
}

static void ask_workers(void)
{
	state.stage = PREPARING;
	state.begun = ticks_now();
	state.unable[0] = '\0';
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		if (is_asked(&slots[i]))
			slot_prepare(&slots[i], state.next->generation, i >= state.next->workers,
				     state.source);
}

/* Tells the workers there are, starts those there are not yet. */
static void tell_workers(void)
{
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++) {
		struct slot *s = &slots[i];
		bool wanted = i < running.config->workers;

		if (s->ending)
			s->asked = 0;
		else if (slot_alive(s))
			slot_commit(s, !wanted, state.source);
		else if (!wanted)
			slot_unwant(s);
		else if (s->state == SLOT_UNUSED)
			slot_start(s);
	}
	/* what somebody accepts on for another is of the old configuration */
	adopt_anew();
	adopt_last();
}

static struct plan *plan_of(struct config *new)
{
	struct plan *plan = plan_new(running.config, running.started, new);

	changes_count(plan);
	return plan;
}

static void commit(void)
{
	struct config *new = config_ref(state.next);

	state.plan = plan_of(new);
	warn_of_restarts();
	state.moved = state.closed = 0;
	running_take(new);
	running_listen();
	state.stage = ACTIVE;
	state.begun = ticks_now();
	admin_child_commit(state.source);
	tell_workers();
	forget_next();
}

/* What may fail for want of something outside of the file. */
static int prepare(const struct config *new, struct sockets_fault *fault)
{
	if (config_uses_bus(new) && bus_populate(shared.bus) < 0) {
		snprintf(fault->text, sizeof(fault->text),
			 "there is no memory for the bus (bus_size): %s", strerror(errno));
		return -1;
	}
	if (admin_child_open(new, fault) < 0)
		return -1;
	if (sockets_open(&running.sockets, new, running.config, fault) == 0)
		return 0;
	admin_child_undo();
	return -1;
}

static void note_fault(const struct sockets_fault *fault, enum log_event event)
{
	char line[sizeof(fault->text) + 128];

	answer_note(&state.noted, &(struct config_error){ .file = fault->file,
							  .line = (unsigned)fault->line,
							  .text = fault->text });
	if (fault->file)
		snprintf(line, sizeof(line), "%s:%d: %s", fault->file, fault->line, fault->text);
	else
		snprintf(line, sizeof(line), "%s", fault->text);
	log_err(&(struct log_fields){ .event = event }, "%s", line);
	note_error(line);
}

/* Takes new over; source is what it was made of. */
static void apply(struct config *new, const struct config_source *source)
{
	struct sockets_fault fault = { 0 };

	state.next = new;
	state.source = source_fd(source);
	if (state.source < 0)
		snprintf(fault.text, sizeof(fault.text),
			 "there is no memory to hand it to the workers: %s", strerror(errno));
	if (state.source >= 0 && prepare(new, &fault) == 0) {
		ask_workers();
		return;
	}
	note_fault(&fault, LOG_EVENT_BIND_FAILED);
	forget_next();
	refuse("reload-refused", "it cannot be put in force");
}

/* All keep what they have. */
static void give_up(void)
{
	struct sockets_fault fault = { 0 };

	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		if (is_asked(&slots[i]))
			slot_abort(&slots[i], state.next->generation);
	sockets_undo(&running.sockets, running.config);
	admin_child_undo();
	snprintf(fault.text, sizeof(fault.text), "%s", state.unable);
	note_fault(&fault, LOG_EVENT_RELOAD_REFUSED);
	forget_next();
	refuse("reload-refused", "it cannot be put in force");
}

static const char *count_errors(const struct config_errors *e, char out[WHY_MAX])
{
	size_t n = config_errors_count(e);

	snprintf(out, WHY_MAX, "%zu error%s in the configuration", n, n == 1 ? "" : "s");
	return out;
}

/* Reads the file. As configure_load, and what is wrong is noted in a, too. */
static struct config *read_file(struct config_source **source, struct config_errors *e,
				struct answer *a)
{
	struct config *new = configure_load(state.file, running.config->generation + 1, source, e);

	answer_note_all(a, e);
	return new;
}

char *reload_try(bool *valid)
{
	struct config_errors *e = config_errors_new();
	struct config_source *source;
	struct answer a = { 0 };
	struct config *new = read_file(&source, e, &a);
	char why[WHY_MAX], *text;

	*valid = new != NULL;
	if (new) {
		struct plan *plan = plan_of(new);

		text = answer_planned(&a, plan, false, 0, 0);
		plan_free(plan);
	} else {
		text = answer_refused(&a, "config-error", count_errors(e, why));
	}
	config_unref(new);
	config_source_free(source);
	config_errors_free(e);
	return text;
}

void reload_start(void)
{
	struct config_errors *e;
	struct config_source *source;
	struct config *new;
	char why[WHY_MAX];

	if (state.stage != IDLE) {
		state.again = true;
		return;
	}
	state.stage = PREPARING;
	state.number++;
	state.errors = 0;
	forget();
	service_reloading();
	runtime_reload_begin();
	e = config_errors_new();
	new = read_file(&source, e, &state.noted);
	config_errors_each(e, log_error, NULL);
	if (new)
		apply(new, source);
	else
		refuse("config-error", count_errors(e, why));
	config_source_free(source);
	config_errors_free(e);
}

/* Who is being ended has no say any more. */
static bool all_prepared(void)
{
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		if (slots[i].asked && !slots[i].ending)
			return false;
	return true;
}

static bool all_answered(void)
{
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		if (slots[i].state == SLOT_STARTING || slots[i].asked || slots[i].ending)
			return false;
	return true;
}

void reload_note_prepared(const struct slot *s, const char *why)
{
	if (state.stage == PREPARING && why && !*state.unable)
		snprintf(state.unable, sizeof(state.unable),
			 "worker %d cannot have the new configuration: %s", s->index, why);
}

void reload_note(unsigned moved, unsigned closed)
{
	state.moved += moved;
	state.closed += closed;
}

static void end_silent(const char *what)
{
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		if (slots[i].asked)
			slot_end_stuck(&slots[i], what);
}

void reload_tick(void)
{
	uint64_t ticks = ticks_now() - state.begun;

	if (running.phase == PHASE_STOPPING)
		return;
	if (state.stage == PREPARING && ticks >= ticks_of(PREPARE_MAX))
		end_silent("has not answered for 2 s whether it can reload");
	else if (state.stage == ACTIVE && ticks >= ticks_of(ANSWER_MAX))
		end_silent("has not answered a reload for 30 s");
}

static void applied(void)
{
	char changes[CHANGES_MAX], summary[CHANGES_MAX + 128];

	changes_summarize(state.plan, changes);
	snprintf(summary, sizeof(summary),
		 "configuration reloaded: %s; %u connections kept, %u closed", changes, state.moved,
		 state.closed);
	changes_log(state.plan);
	log_always(LOG_INFO, LOG_OF(RELOADED), "%s", summary);
	state.answer = answer_planned(&state.noted, state.plan, true, state.moved, state.closed);
	plan_free(state.plan);
	state.plan = NULL;
	end(true, summary);
}

static void decide(void)
{
	if (*state.unable)
		give_up();
	else if (all_prepared())
		commit();
}

bool reload_finish(void)
{
	if (state.stage == PREPARING && running.phase != PHASE_STOPPING)
		decide();
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
