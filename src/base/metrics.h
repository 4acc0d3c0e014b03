/*
 * metrics.h - what each worker counts, in memory that the master can read.
 *
 * One row per slot, in a segment that is made before the first fork and outlives
 * the worker. Only the slot's worker writes its row (plain relaxed stores, no
 * locks); the master sums. Counters are listed in metrics.def.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/reason.h"
#include "base/segment.h"
#include "base/slots.h"

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
	_Atomic uint64_t beats; /* the heartbeat where no counter below tells of it */
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
	struct segment_header header;
	/* When the first certificate expires, seconds since the epoch; 0: there is none. */
	_Atomic int64_t certificate_expires;
	_Atomic int used; /* the rows from here on never had a worker */
	struct metrics_row rows[SLOTS];
};

extern const struct segment_layout metrics_layout;

/*
 * Makes a zeroed table, shared with children to be forked and whoever attaches to *s, by which the
 * caller frees it. NULL: errno is set.
 */
struct metrics *metrics_new(struct segment *s);

/* The row of a slot, 0..SLOTS-1: counts as used and as this process's own from now on. */
struct metrics_row *metrics_use(struct metrics *m, int slot);

/* Open connections of all workers, at the moment of their last change. */
uint64_t metrics_open(const struct metrics *m);

/* Adds to a counter of one's own row: a load and a store, as no one else writes. */
static inline void metrics_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/* This process's own row; until metrics_use one that nobody reads, and never NULL. */
extern struct metrics_row *metrics_own;

/*
 * Moves the heartbeat. Who works without moving one of the counters that count in
 * metrics_heartbeat calls it, so that no piece of work between two moves takes more than
 * some 100 ms, however much a peer or a configuration asks for: busy is not hung.
 */
static inline void metrics_beat(void)
{
	metrics_add(&metrics_own->beats, 1);
}

/* What stands still only if the worker does: all that is counted often, at no cost to it. */
static inline uint64_t metrics_heartbeat(const struct metrics_row *r)
{
	const _Atomic uint64_t *const counters[] = { &r->beats, &r->accepted, &r->bytes_in,
						     &r->messages_in, &r->messages_out };
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++)
		sum += atomic_load_explicit(counters[i], memory_order_relaxed);
	return sum;
}

#endif
