/*
 * metrics.c - see metrics.h.
 */
#include "base/metrics.h"

static struct metrics_row nobody;
struct metrics_row *metrics_own = &nobody;

/* What a row counts changes with metrics.def and reason.def, and its size with that. */
const struct segment_layout metrics_layout = {
	.name = "ignyx-metrics",
	.version = 1,
	.size = sizeof(struct metrics),
	.parts = { sizeof(struct metrics_row), SLOTS, REASON_COUNT },
};

struct metrics *metrics_new(struct segment *s)
{
	return segment_make(s, &metrics_layout) == 0 ? s->at : NULL;
}

struct metrics_row *metrics_use(struct metrics *m, int slot)
{
	int used = atomic_load(&m->used);

	while (used <= slot && !atomic_compare_exchange_weak(&m->used, &used, slot + 1))
		;
	metrics_own = &m->rows[slot];
	return metrics_own;
}

uint64_t metrics_open(const struct metrics *m)
{
	int used = atomic_load(&m->used);
	uint64_t open = 0;

	for (int i = 0; i < used; i++)
		open += atomic_load(&m->rows[i].open);
	return open;
}

const char *activity_name(int activity)
{
	static const char *const names[ACTIVITY_COUNT] = {
		[ACTIVITY_STARTING] = "starting",
		[ACTIVITY_WAITING] = "waiting for events",
		[ACTIVITY_ACCEPTING] = "accepting connections",
		[ACTIVITY_READING] = "serving a connection",
		[ACTIVITY_WRITING] = "writing to a connection",
		[ACTIVITY_DELIVERING] = "delivering to rooms",
		[ACTIVITY_TIMERS] = "looking at timers",
		[ACTIVITY_RELOADING] = "reloading",
	};

	return activity >= 0 && activity < ACTIVITY_COUNT ? names[activity]
							  : "doing it is not known what";
}
