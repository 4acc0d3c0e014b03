/*
 * supervise.c - see supervise.h.
 *
 * Time is counted in the master's ticks: when the machine was suspended, or
 * this process stopped, nobody has missed a heartbeat. The service manager's
 * watchdog follows this loop and is withheld only when no worker has beaten for
 * worker_timeout, be it that all stand still or that there is none.
 */
#include "process/supervise.h"

#include "base/metrics.h"
#include "config/config.h"
#include "process/admin_child.h"
#include "process/running.h"
#include "process/service.h"
#include "process/shared.h"
#include "process/slot.h"
#include "process/stall.h"
#include "process/ticks.h"

static struct {
	uint64_t beaten; /* tick at which any worker last moved */
	struct stall_lock lock; /* of the bus */
} watch;

static void note_beats(struct slot *s)
{
	uint64_t beats = metrics_heartbeat(&shared.metrics->rows[s->index]);

	if (stall_note_beats(&s->stall, beats, ticks_now()))
		watch.beaten = ticks_now();
}

/* An empty slot is left as it is: to write to it is to have its page copied. */
static void check_workers(uint64_t limit)
{
	uint64_t awaited = bus_awaited(shared.bus);

	for (int i = 0; i < CONFIG_WORKERS_MAX; i++) {
		struct slot *s = &slots[i];

		if (!slot_alive(s))
			continue;
		note_beats(s);
		switch (stall_judge(&s->stall, awaited >> i & 1, limit, ticks_now())) {
		case STALL_TIMEOUT:
			slot_end_stuck(s, "has not moved for worker_timeout");
			break;
		case STALL_AWAITED:
			slot_end_stuck(s, "stands still, and the rooms wait for it,");
			break;
		case STALL_NONE:
			break;
		}
	}
}

/* Who holds the bus lock and stands still stops every publisher. */
static void check_lock(void)
{
	uint64_t count;
	pid_t owner = bus_lock_owner(shared.bus, &count);
	struct slot *s;

	if (!stall_note_lock(&watch.lock, owner, count, ticks_now()))
		return;
	s = slot_of(owner);
	if (s)
		slot_end_stuck(s, "holds the lock of the bus");
	else if (admin_child_is(owner))
		admin_child_end_stuck("holds the lock of the bus");
}

static void feed_watchdog(uint64_t limit)
{
	uint64_t usec = service_watchdog_usec();
	uint64_t every = usec / (MASTER_TICK * 1000ull) / 4;

	if (usec > 0 && ticks_now() - watch.beaten < limit &&
	    (every == 0 || ticks_now() % every == 0))
		service_watchdog();
}

void supervise_tick(void)
{
	uint64_t limit = ticks_of(running.config->worker_timeout);

	check_workers(limit);
	check_lock();
	feed_watchdog(limit);
}
