/*
 * supervise.c - what the master looks at with every tick.
 *
 * Time is counted in the master's ticks: when the machine was suspended, or
 * this process stopped, nobody has missed a heartbeat. The service manager's
 * watchdog follows this loop and is withheld only when no worker has beaten for
 * worker_timeout, be it that all stand still or that there is none.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "process/master_internal.h"
#include "process/service.h"

/*
 * Milliseconds: how long the lock may be held without a move; after how long a worker that does not
 * move stands still; and when it is ended if the log waits for it meanwhile.
 */
enum { LOCK_STUCK = 1000, STILL = 1000, AWAITED_STILL = 2000 };

static struct {
	uint64_t beat_tick; /* when any worker last moved */
	pid_t lock_owner; /* who holds the bus lock, and */
	uint64_t lock_count; /* which acquisition of it that is; */
	uint64_t lock_tick; /* when one of both was last another */
	int64_t expiry_looked; /* when certificates were last looked at, seconds since the epoch */
	char status[512]; /* what the service manager is shown */
} watch;

void supervise_begin(void)
{
	watch.expiry_looked = (int64_t)time(NULL);
}

static void note_beat(struct slot *s)
{
	uint64_t beats = metrics_heartbeat(&master.metrics->rows[s->index]);

	if (beats == s->beats)
		return;
	s->beats = beats;
	s->beat_tick = watch.beat_tick = ticks_now();
}

void supervise_end_stuck(struct slot *s, const char *what)
{
	const struct metrics_row *row = &master.metrics->rows[s->index];

	if (s->ending)
		return;
	s->ending = true;
	log_err((&(struct log_fields){ .event = LOG_EVENT_WORKER_STUCK,
				       .conn = atomic_load(&row->conn) }),
		"worker %d (pid %ld) %s while %s; ending it", s->index, (long)s->pid, what,
		activity_name(atomic_load(&row->activity)));
	slot_kill(s, SIGKILL);
}

static void check_heartbeats(uint64_t limit)
{
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++) {
		struct slot *s = &master.slots[i];

		if (!slot_alive(s))
			continue;
		note_beat(s);
		if (ticks_now() - s->beat_tick >= limit)
			supervise_end_stuck(s, "has not moved for worker_timeout");
	}
}

bool supervise_stands_still(const struct slot *s)
{
	return slot_alive(s) && ticks_now() - s->beat_tick >= ticks_of(STILL);
}

/*
 * A cursor that stays where it is stops the publishers. One that moves late, but whose worker
 * moves, is of a worker that has much to do.
 */
static void check_awaited(void)
{
	uint64_t awaited = bus_awaited(master.bus);

	for (int i = 0; i < CONFIG_WORKERS_MAX; i++) {
		struct slot *s = &master.slots[i];

		/* An empty place is left as it is: to write to it is to have its page copied. */
		if (!slot_alive(s))
			continue;
		if (!(awaited >> i & 1) || !supervise_stands_still(s)) {
			s->awaited_tick = 0;
			continue;
		}
		if (s->awaited_tick == 0)
			s->awaited_tick = ticks_now();
		if (ticks_now() - s->awaited_tick >= ticks_of(AWAITED_STILL - STILL))
			supervise_end_stuck(s, "stands still, and the rooms wait for it,");
	}
}

/* Who holds the bus lock and stands still stops every publisher. */
static void check_lock(void)
{
	uint64_t count;
	pid_t owner = bus_lock_owner(master.bus, &count);
	struct slot *s;

	if (owner == 0 || owner != watch.lock_owner || count != watch.lock_count) {
		watch.lock_owner = owner;
		watch.lock_count = count;
		watch.lock_tick = ticks_now();
		return;
	}
	if (ticks_now() - watch.lock_tick < ticks_of(LOCK_STUCK))
		return;
	watch.lock_tick = ticks_now();
	s = slot_of(owner);
	if (s)
		supervise_end_stuck(s, "holds the lock of the bus");
}

/* As many of those that do not respond as there is space to name. */
static void add_still(char *to, const char *end)
{
	const char *before = "; not responding: worker ";

	for (int i = 0; i < CONFIG_WORKERS_MAX && end - to > 32; i++) {
		if (!supervise_stands_still(&master.slots[i]))
			continue;
		to += sprintf(to, "%s%d", before, i);
		before = ", ";
	}
}

const char *supervise_status(void)
{
	int n = snprintf(watch.status, sizeof(watch.status), "%zu workers, %llu connections",
			 slots_alive(), (unsigned long long)metrics_open(master.metrics));

	add_still(watch.status + n, watch.status + sizeof(watch.status));
	n = (int)strlen(watch.status);
	if (*reload_outcome())
		snprintf(watch.status + n, sizeof(watch.status) - (size_t)n, "; %s",
			 reload_outcome());
	return watch.status;
}

static void update_status(void)
{
	char before[sizeof(watch.status)];

	memcpy(before, watch.status, sizeof(before));
	if (strcmp(before, supervise_status()) != 0)
		service_status(watch.status);
}

static void feed_watchdog(uint64_t limit)
{
	uint64_t usec = service_watchdog_usec();
	uint64_t every = usec / (MASTER_TICK * 1000ull) / 4;

	if (usec > 0 && ticks_now() - watch.beat_tick < limit &&
	    (every == 0 || ticks_now() % every == 0))
		service_watchdog();
}

static void warn_invalid(const char *line, void *arg)
{
	(void)arg;
	log_warning(LOG_OF(CONFIG_WARNING), "%s", line);
}

/*
 * The parser warns at start and at a reload; this is for those who do neither for weeks. By
 * wall time, as certificates have it: a day that a suspended machine has missed is made up for.
 */
static void look_after_tls(void)
{
	int64_t now = (int64_t)time(NULL);

	config_each_invalid(master.config, watch.expiry_looked, now, warn_invalid, NULL);
	watch.expiry_looked = now;
	if (tickets_tick(master.tickets, ticks_now() * MASTER_TICK) < 0)
		log_warning(NULL, "cannot make a new key for session tickets; the old one stays");
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
	const struct metrics_row *row = &master.metrics->rows[s->index];
	char accepts[48] = "";

	if (s->adopter >= 0)
		snprintf(accepts, sizeof(accepts), ", worker %d accepts for it", s->adopter);
	if (!slot_alive(s)) {
		log_always(LOG_INFO, LOG_OF(STATE), "worker %d: to be started again%s", s->index,
			   accepts);
		return;
	}
	log_always(
		LOG_INFO, LOG_OF(STATE),
		"worker %d: %s, pid %ld, generation %llu, %u connections, %u before the upgrade, "
		"%s, last moved %llu ms ago%s",
		s->index, state_name(s), (long)s->pid, (unsigned long long)s->generation,
		atomic_load(&row->open), atomic_load(&row->handshakes),
		activity_name(atomic_load(&row->activity)),
		(unsigned long long)(ticks_now() - s->beat_tick) * MASTER_TICK, accepts);
}

void supervise_log_state(void)
{
	log_always(LOG_INFO, LOG_OF(STATE), "state: %s, generation %llu%s", supervise_status(),
		   (unsigned long long)master.config->generation,
		   reload_is_active() ? ", reloading" : "");
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		if (master.slots[i].state != SLOT_UNUSED)
			log_slot(&master.slots[i]);
}

void supervise_tick(void)
{
	uint64_t limit = ticks_of(master.config->worker_timeout);

	ticks_advance();
	look_after_tls();
	check_heartbeats(limit);
	check_awaited();
	check_lock();
	slots_flush();
	reload_tick();
	slots_readopt();
	feed_watchdog(limit);
	if (!master.stopping) {
		slots_start_waiting();
		if (master.ready && !reload_is_active())
			update_status();
	} else {
		master_end_grace();
	}
}
