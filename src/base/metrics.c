/*
 * metrics.c - see metrics.h.
 *
 * The segment is large and mostly never touched: a page of it is there once a process has counted in
 * it, so nobody looks at a row or a cell of a slot that had no process, or of a label that had no
 * path.
 */
#include "base/metrics.h"

/* Far more than it takes to change a few numbers; who was ended meanwhile changes them no more. */
enum { READ_TRIES = 1000 };

static struct metrics_row nobody;
static struct metrics_cell nowhere[METRICS_LABELS];
struct metrics_row *metrics_own = &nobody;
struct metrics_cell *metrics_cells = nowhere;

_Static_assert(sizeof(struct metrics_cell) == 128, "a cell is found by a shift");

/* What is counted changes with metrics.def and reason.def, and sizes with that. */
const struct segment_layout metrics_layout = {
	.name = "ignyx-metrics",
	.version = 3,
	.size = sizeof(struct metrics),
	.parts = { sizeof(struct metrics_row), SLOTS, REASON_COUNT, METRICS_LABELS },
};

const uint32_t metrics_bounds[METRICS_BOUNDS] = {
	100,    250,    500,    1000,    2500,    5000,    10000,    25000,    50000,
	100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000,
};

struct metrics *metrics_new(struct segment *s)
{
	return segment_make(s, &metrics_layout) == 0 ? s->at : NULL;
}

struct metrics_row *metrics_use(struct metrics *m, int slot)
{
	atomic_fetch_or(&m->used, UINT64_C(1) << slot);
	metrics_own = &m->rows[slot];
	if (slot < SLOTS_WORKERS)
		metrics_cells = m->cells[slot];
	return metrics_own;
}

struct metrics_row *metrics_row_of_master(struct metrics *m)
{
	atomic_fetch_or(&m->used, UINT64_C(1) << METRICS_MASTER);
	return &m->rows[METRICS_MASTER];
}

/* Of one that was ended in the midst of a change. */
static void end_page(struct metrics_times *t)
{
	if (atomic_load(&t->edition) % 2 != 0)
		atomic_fetch_add(&t->edition, 1);
}

void metrics_forget(struct metrics *m, int slot)
{
	unsigned labels = metrics_labels(m);

	atomic_store(&m->rows[slot].open, 0);
#define GAUGE(field) atomic_store(&m->rows[slot].field, 0);
#define COUNTER(field)
#define METRIC_ROW(field, type, name, help) type(field)
#define METRIC_PROCESS(field, type, name, help) type(field)
#define METRIC_TIMES(field, type, name, help) end_page(&m->rows[slot].field);
#include "base/metrics.def"
#undef GAUGE
#undef COUNTER
	if (slot >= SLOTS_WORKERS || !(atomic_load(&m->used) >> slot & 1))
		return;
	for (unsigned i = 0; i < labels || i == METRICS_OTHER; i++)
		if (atomic_load(&m->cells[slot][i].open) != 0)
			atomic_store(&m->cells[slot][i].open, 0);
}

uint64_t metrics_open(const struct metrics *m)
{
	uint64_t open = 0;

	for (uint64_t used = atomic_load(&m->used); used; used &= used - 1)
		open += atomic_load(&m->rows[__builtin_ctzll(used)].open);
	return open;
}

/* Who reads meanwhile begins again (metrics_times_sum). */
static void turn_page(struct metrics_times *t)
{
	atomic_store_explicit(&t->edition,
			      atomic_load_explicit(&t->edition, memory_order_relaxed) + 1,
			      memory_order_release);
	atomic_thread_fence(memory_order_release);
}

void metrics_times(struct metrics_times *t, uint64_t count, uint64_t us)
{
	uint64_t each;
	int i = 0;

	if (count == 0)
		return;
	each = us / count;
	while (i < METRICS_BOUNDS && each > metrics_bounds[i])
		i++;
	turn_page(t);
	metrics_add(&t->counts[i], count);
	metrics_add(&t->sum, us);
	turn_page(t);
}

void metrics_time(struct metrics_times *t, uint64_t us)
{
	metrics_times(t, 1, us);
}

/* Returns whether nothing was changed meanwhile. */
static bool read_times(const struct metrics_times *t, struct metrics_time_sum *out)
{
	uint64_t edition = atomic_load_explicit(&t->edition, memory_order_acquire);

	for (int i = 0; i <= METRICS_BOUNDS; i++)
		out->counts[i] = atomic_load_explicit(&t->counts[i], memory_order_relaxed);
	out->sum = atomic_load_explicit(&t->sum, memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	return edition % 2 == 0 &&
	       atomic_load_explicit(&t->edition, memory_order_relaxed) == edition;
}

bool metrics_times_sum(const struct metrics_times *t, struct metrics_time_sum *sum)
{
	struct metrics_time_sum one;
	bool whole = false;

	for (int tries = 0; tries < READ_TRIES && !whole; tries++)
		whole = read_times(t, &one);
	for (int i = 0; i <= METRICS_BOUNDS; i++)
		sum->counts[i] += one.counts[i];
	sum->sum += one.sum;
	return whole;
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
