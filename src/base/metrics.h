/*
 * metrics.h - what each worker counts, in memory that the master can read.
 *
 * One row per slot, mapped shared before the first fork and outliving the
 * worker. Only the slot's worker writes its row (plain relaxed stores, no
 * locks); the master sums. Counters are listed in metrics.def.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/reason.h"

enum { METRICS_SLOTS = 64 };

/* What a worker is doing, for the entry that says why it was ended. */
enum activity {
	ACTIVITY_STARTING,
	ACTIVITY_WAITING,
	ACTIVITY_ACCEPTING,
	ACTIVITY_READING,
	ACTIVITY_WRITING,
	ACTIVITY_DELIVERING,
	ACTIVITY_TIMERS,
	ACTIVITY_RELOADING,
	ACTIVITY_COUNT
};
const char *activity_name(int activity);

struct metrics_row {
	/* The heartbeat: moves with every loop turn and delivery batch. */
	_Atomic uint64_t beats;
	_Atomic uint64_t conn; /* the connection it is working for, 0: none */
	_Atomic int activity;
	/* Connections now: open (upgraded), and those still before it. */
	_Atomic uint32_t open;
	_Atomic uint32_t handshakes;
#define METRIC(name, word, help) _Atomic uint64_t name;
#include "base/metrics.def"
#undef METRIC
	_Atomic uint64_t ends[REASON_COUNT]; /* connections ended or refused, by reason */
} __attribute__((aligned(128)));

struct metrics {
	/* When the first certificate expires, seconds since the epoch; 0: there is none. */
	_Atomic int64_t certificate_expires;
	_Atomic int used; /* the rows from here on never had a worker */
	struct metrics_row rows[METRICS_SLOTS];
};

/* Maps a zeroed table, shared with children to be forked. NULL: errno is set. */
struct metrics *metrics_new(void);

/* The row of a slot, 0..METRICS_SLOTS-1, which counts as used from now on. */
struct metrics_row *metrics_use(struct metrics *m, int slot);

/* Open connections of all workers, at the moment of their last change. */
uint64_t metrics_open(const struct metrics *m);

/* Adds to a counter of one's own row: a load and a store, as no one else writes. */
static inline void metrics_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

#endif
