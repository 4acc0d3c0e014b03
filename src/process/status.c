/*
 * status.c - see status.h.
 *
 * `systemctl status` shows one line, which has to say whether anything is wrong; SIGUSR1 asks for
 * the whole, a line for each worker.
 */
#include "process/status.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/metrics.h"
#include "config/config.h"
#include "process/adopt.h"
#include "process/reload.h"
#include "process/running.h"
#include "process/service.h"
#include "process/shared.h"
#include "process/slot.h"
#include "process/ticks.h"

static char line[512];

/* As many of those that do not respond as there is space to name. */
static void add_still(char *to, const char *end)
{
	const char *before = "; not responding: worker ";

	for (int i = 0; i < CONFIG_WORKERS_MAX && end - to > 32; i++) {
		if (!slot_is_still(&slots[i]))
			continue;
		to += sprintf(to, "%s%d", before, i);
		before = ", ";
	}
}

const char *status_line(void)
{
	int n = snprintf(line, sizeof(line), "%zu workers, %llu connections", slots_alive(),
			 (unsigned long long)metrics_open(shared.metrics));

	add_still(line + n, line + sizeof(line));
	n = (int)strlen(line);
	if (*reload_outcome())
		snprintf(line + n, sizeof(line) - (size_t)n, "; %s", reload_outcome());
	return line;
}

void status_tell(void)
{
	char before[sizeof(line)];

	memcpy(before, line, sizeof(before));
	if (strcmp(before, status_line()) != 0)
		service_status(line);
}

static const char *state_name(const struct slot *s)
{
	static const char *const names[] = {
		[SLOT_STARTING] = "starting",
		[SLOT_RUNNING] = "running",
		[SLOT_RETIRING] = "retiring",
	};

	return names[s->state];
}

static void log_slot(const struct slot *s)
{
	const struct metrics_row *row = &shared.metrics->rows[s->index];
	char accepts[48] = "";

	if (adopter_of(s) >= 0)
		snprintf(accepts, sizeof(accepts), ", worker %d accepts for it", adopter_of(s));
	if (!slot_alive(s)) {
		log_always(LOG_INFO, LOG_OF(STATE), "worker %d: to be started again%s", s->index,
			   accepts);
		return;
	}
	log_always(
		LOG_INFO, LOG_OF(STATE),
		"worker %d: %s, pid %ld, generation %llu, %u connections, %llu before the upgrade, "
		"%s, last moved %llu ms ago%s",
		s->index, state_name(s), (long)s->pid, (unsigned long long)s->generation,
		atomic_load(&row->open), (unsigned long long)atomic_load(&row->handshakes),
		activity_name(atomic_load(&row->activity)),
		(unsigned long long)(ticks_now() - s->stall.moved) * MASTER_TICK, accepts);
}

void status_log(void)
{
	log_always(LOG_INFO, LOG_OF(STATE), "state: %s, generation %llu%s", status_line(),
		   (unsigned long long)running.config->generation,
		   reload_is_active() ? ", reloading" : "");
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		if (slots[i].state != SLOT_UNUSED)
			log_slot(&slots[i]);
}
