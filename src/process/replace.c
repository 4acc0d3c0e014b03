/*
 * replace.c - see replace.h.
 *
 * A worker that dies is replaced at once, five times within a minute; after that its slot is left
 * alone for 1 s, doubling to 30 s. A worker that finds the bus damaged ends all others with it: none
 * may go on with a bus that the next one does not have.
 */
#include "process/replace.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/metrics.h"
#include "config/config.h"
#include "process/adopt.h"
#include "process/child.h"
#include "process/noting.h"
#include "process/running.h"
#include "process/shared.h"
#include "process/slot.h"
#include "process/ticks.h"
#include "session/session.h"

/* Start-up is given up after so many deaths of one. */
enum { START_DEATHS_MAX = 3 };

/* A worker's end as its slot remembers it, for the one entry on it. */
struct death {
	pid_t pid;
	int status;
	uint64_t conn; /* it was working for */
	const char *doing;
	unsigned lost; /* connections, */
	uint64_t next_conn; /* and the id that the next worker begins with at the lowest */
	bool stuck; /* it had to be ended */
};

bool replace_ended_well(int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

enum replace_verdict replace_judge(struct backoff *b, int status, bool ready, uint64_t now)
{
	bool often;

	if (replace_ended_well(status))
		return REPLACE_NOW;
	often = backoff_note(b, now);
	if (!ready && b->count >= START_DEATHS_MAX)
		return REPLACE_GIVE_UP;
	return often ? REPLACE_LATER : REPLACE_NOW;
}

static struct death note_death(const struct slot *s, int status)
{
	const struct metrics_row *row = &shared.metrics->rows[s->index];

	return (struct death){ .pid = s->pid,
			       .status = status,
			       .conn = atomic_load(&row->conn),
			       .doing = activity_name(atomic_load(&row->activity)),
			       .lost = atomic_load(&row->open),
			       .next_conn = session_first_conn(s->index),
			       .stuck = s->ending };
}

/* Who does its work from now on; nothing where nobody is to. */
static void describe_successor(const struct slot *s, char *out, size_t size)
{
	unsigned long long ms = (s->restart_at - ticks_now()) * MASTER_TICK;
	char accepts[48] = "";

	*out = '\0';
	if (s->state == SLOT_STARTING)
		snprintf(out, size, "; replaced by pid %ld", (long)s->pid);
	if (s->state != SLOT_BACKOFF || shared.bus_condemned)
		return;
	if (adopter_of(s) >= 0)
		snprintf(accepts, sizeof(accepts), "worker %d accepts for it, ", adopter_of(s));
	snprintf(out, size, "; %s%sstarting it again in %llu s",
		 s->backoff.pauses > 0 ? "it keeps dying: " : "", accepts, (ms + 999) / 1000);
}

static void log_death(const struct slot *s, const struct death *d)
{
	const struct log_fields f = { .event = LOG_EVENT_WORKER_DIED, .conn = d->conn };
	char end[80], successor[120];

	if (replace_ended_well(d->status)) {
		if (running.phase != PHASE_STOPPING)
			log_always(LOG_INFO, LOG_OF(WORKER_RETIRED), "worker %d retired", s->index);
		return;
	}
	child_describe_end(d->status, end, sizeof(end));
	noting_worker_death(d->pid, end, d->lost, d->next_conn);
	describe_successor(s, successor, sizeof(successor));
	log_err(&f, "worker %d (pid %ld) %s while %s; %u connection%s lost%s", s->index,
		(long)d->pid, end, d->doing, d->lost, d->lost == 1 ? " was" : "s were", successor);
}

/* Of a slot that is wanted. Returns as replace_ended does. */
static const char *replace(struct slot *s, int status)
{
	/* behind the others, with a bus that all have */
	if (shared.bus_condemned) {
		slot_back_off(s, ticks_now());
		return NULL;
	}
	switch (replace_judge(&s->backoff, status, running.phase == PHASE_READY, ticks_now())) {
	case REPLACE_NOW:
		slot_start(s);
		break;
	case REPLACE_LATER:
		slot_back_off(s, ticks_now() + backoff_pause(&s->backoff, slots_alive() == 0));
		break;
	case REPLACE_GIVE_UP:
		return "the workers do not come up; see above";
	}
	return NULL;
}

const char *replace_ended(pid_t pid, int status)
{
	struct slot *s = slot_of(pid);
	const char *why = NULL;
	struct death death;

	if (!s)
		return NULL;
	death = note_death(s, status);
	slot_ended(s);
	adopt_forget(s);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SESSION_EXIT_BUS_CORRUPT) {
		shared_condemn_bus();
		slots_kill();
	}
	if (!replace_ended_well(status) && running.phase != PHASE_STOPPING) {
		metrics_add(&shared.metrics->deaths[child_cause_of_end(status, death.stuck)], 1);
		s->deaths++;
	}
	if (s->index < running.config->workers && running.phase != PHASE_STOPPING)
		why = replace(s, status);
	adopt_look();
	log_death(s, &death);
	return why;
}

static const char *start_all_anew(void)
{
	if (slots_alive() > 0)
		return NULL;
	if (shared_renew_bus(running.config) < 0)
		return "there is no memory for a new bus";
	for (int i = 0; i < running.config->workers; i++)
		slot_start(&slots[i]);
	return NULL;
}

const char *replace_tick(void)
{
	uint64_t latest = UINT64_MAX;

	if (shared.bus_condemned)
		return start_all_anew();
	/* Who accepted for them may have died since. */
	if (slots_alive() == 0)
		latest = ticks_now() + backoff_shortest();
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++) {
		struct slot *s = &slots[i];

		if (s->state != SLOT_BACKOFF)
			continue;
		if (s->restart_at > latest)
			slot_back_off(s, latest);
		if (ticks_now() >= s->restart_at)
			slot_start(s);
	}
	return NULL;
}
