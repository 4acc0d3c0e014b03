/*
 * metrics.h - what each process counts, in memory that all of them can read.
 *
 * It lies in a segment that is made before the first fork and outlives every process. Of it a slot
 * has a row, and a cell for each endpoint; only the slot's process writes there (plain relaxed
 * stores, no locks), and who wants to know adds up. What is counted stands in metrics.def.
 *
 * Endpoints have labels: numbers that go by their paths, and stay what they are over reloads. The
 * master gives them (metrics_label_all) before anybody counts by them. There are METRICS_LABELS; the
 * first, METRICS_OTHER, is of all endpoints that have none of their own.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/reason.h"
#include "base/segment.h"
#include "base/slots.h"

/* METRICS_PATH_MAX: bytes of a path, a longer one has no label of its own. */
enum { METRICS_OTHER = 0, METRICS_LABELS = 1 + 1000, METRICS_PATH_MAX = 1024 };

/* Close codes by which ends are counted: those of RFC 6455 and its registry, and all others. */
enum { METRICS_CODE_FIRST = 1000, METRICS_CODES = 17 };

/* Why a process had to be replaced, and what came of a reload. */
enum metrics_cause {
	METRICS_EXITED,
	METRICS_SIGNALLED,
	METRICS_STUCK,
	METRICS_BUS_CORRUPT,
	METRICS_CAUSES
};
enum metrics_result { METRICS_REFUSED, METRICS_APPLIED, METRICS_RESULTS };

/* The master's row: of a slot that no other process has. */
enum { METRICS_MASTER = SLOTS - 1 };

/* How long something took, how often: by the bounds of metrics_bounds, the last for all above them. */
enum { METRICS_BOUNDS = 17 };
extern const uint32_t metrics_bounds[METRICS_BOUNDS]; /* microseconds */
struct metrics_times {
	_Atomic uint64_t edition; /* odd while the rest is being changed */
	_Atomic uint64_t counts[METRICS_BOUNDS + 1];
	_Atomic uint64_t sum; /* microseconds */
};

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
	_Atomic uint64_t conn; /* the connection it is working for, 0: none */
	_Atomic int activity;
	_Atomic uint32_t open; /* connections that are open now, of all endpoints */
#define METRIC_ROW(field, type, name, help) _Atomic uint64_t field;
#define METRIC_REASONS(field, type, name, help) _Atomic uint64_t field[REASON_COUNT];
#define METRIC_ENDS(field, type, name, help) _Atomic uint64_t field[METRICS_CODES][REASON_COUNT];
#define METRIC_TIMES(field, type, name, help) struct metrics_times field;
#define METRIC_PROCESS(field, type, name, help) _Atomic uint64_t field;
#include "base/metrics.def"
} __attribute__((aligned(128)));

/* What one process has counted for one endpoint. */
struct metrics_cell {
	_Atomic uint64_t use; /* of its label, for which it was counted */
#define METRIC_ENDPOINT(field, type, name, help) _Atomic uint64_t field;
#define METRIC_HIDDEN(field) _Atomic uint64_t field;
#include "base/metrics.def"
} __attribute__((aligned(128)));

struct metrics_label {
	_Atomic uint64_t use; /* another one when it goes to another path; 0: it has none */
	uint64_t wanted; /* the last configuration that had it, as the master counts them */
	char path[METRICS_PATH_MAX + 1];
};

struct metrics {
	struct segment_header header;
	/* When the first certificate expires, seconds since the epoch; 0: there is none. */
	_Atomic int64_t certificate_expires;
	_Atomic uint64_t used; /* a bit for each slot that had a process */
	_Atomic uint32_t labels; /* those from here on never had a path */
#define METRIC_CAUSES(field, type, name, help) _Atomic uint64_t field[METRICS_CAUSES];
#define METRIC_RESULTS(field, type, name, help) _Atomic uint64_t field[METRICS_RESULTS];
#include "base/metrics.def"
	uint64_t uses, configurations; /* up to now: the master's */
	struct metrics_row rows[SLOTS];
	struct metrics_cell cells[SLOTS_WORKERS][METRICS_LABELS];
	_Atomic uint64_t hashes[METRICS_LABELS]; /* of the labels' paths: all are looked through */
	struct metrics_label label[METRICS_LABELS];
};

extern const struct segment_layout metrics_layout;

/*
 * Makes a zeroed table, shared with children to be forked and whoever attaches to *s, by which the
 * caller frees it. Its memory is touched as it is used. NULL: errno is set.
 */
struct metrics *metrics_new(struct segment *s);

/* The row of a slot, 0..SLOTS-1: counts as used and as this process's own from now on, with its cells. */
struct metrics_row *metrics_use(struct metrics *m, int slot);

/* The master's, which it shares with nobody: its children inherit nothing to write to by mistake. */
struct metrics_row *metrics_row_of_master(struct metrics *m);

/* The process of a slot has ended: what it had counts no more as being there. */
void metrics_forget(struct metrics *m, int slot);

/* Open connections of all workers, at the moment of their last change. */
uint64_t metrics_open(const struct metrics *m);

/* Adds to a counter of one's own: a load and a store, as no one else writes. */
static inline void metrics_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/* The same behind all that was counted before: who sees this sees that. */
static inline void metrics_add_last(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_release);
}

/* Adds one that took so many microseconds. */
void metrics_time(struct metrics_times *t, uint64_t us);
/* The same of several that took so long together, each about as long; of none: nothing. */
void metrics_times(struct metrics_times *t, uint64_t count, uint64_t us);

/*
 * Adds what another process has counted to what is in *sum. Returns whether counts and sum are of one
 * moment: they are not where it was ended in between them, or stood still there all the time.
 */
struct metrics_time_sum {
	uint64_t counts[METRICS_BOUNDS + 1], sum;
};
bool metrics_times_sum(const struct metrics_times *t, struct metrics_time_sum *sum);

/* This process's own row and cells; until metrics_use some that nobody reads, and never NULL. */
extern struct metrics_row *metrics_own;
extern struct metrics_cell *metrics_cells;

/*
 * Moves the heartbeat. Who works without coming by here otherwise calls it, so that no piece of work
 * between two moves takes more than some 100 ms, however much a peer or a configuration asks for:
 * busy is not hung.
 */
static inline void metrics_beat(void)
{
	metrics_add(&metrics_own->beats, 1);
}

/* What stands still only if the process does. */
static inline uint64_t metrics_heartbeat(const struct metrics_row *r)
{
	return atomic_load_explicit(&r->beats, memory_order_relaxed);
}

/* Where ends with a close code are counted: 0..METRICS_CODES-1, the last: any other code. */
static inline int metrics_code(int code)
{
	int at = code - METRICS_CODE_FIRST;

	return at >= 0 && at < METRICS_CODES - 1 ? at : METRICS_CODES - 1;
}

/* --- labels --- */

/*
 * Master, when a configuration comes into force: path(i, arg) is that of endpoint i of `count`. Those
 * that are new get labels, as long as there are some: first those that nobody had, then those of
 * paths that are neither in this configuration nor the one before and have no connections.
 */
void metrics_label_all(struct metrics *m, size_t count, const char *(*path)(size_t i, void *arg),
		       void *arg);

/* Labels from here on never had a path: at most METRICS_LABELS, whatever is in the memory. */
static inline unsigned metrics_labels(const struct metrics *m)
{
	uint32_t labels = atomic_load(&m->labels);

	return labels < METRICS_LABELS ? labels : METRICS_LABELS;
}

/* Any process: the label of a path, METRICS_OTHER where it has none. */
unsigned metrics_label_of(const struct metrics *m, const char *path);

/* The path of a label, out of memory that the master may be changing. False: it has none. */
bool metrics_label_path(const struct metrics *m, unsigned label, char out[METRICS_PATH_MAX + 1]);

/* This process counts for a label from now on: its cell begins anew if it was another path's. */
void metrics_cell_begin(const struct metrics *m, unsigned label);

/* The sum of one field (offsetof) over the cells of a label. */
uint64_t metrics_cell_sum(const struct metrics *m, unsigned label, size_t field);

/*
 * Payload of the messages that were sent. Nearly all their headers have METRICS_HEADER bytes: that is
 * known from how many they are, and what else is no payload is in others_out. Bytes are counted last
 * (metrics_add_last), so of what is being counted right now it may be too little, but never too much.
 */
enum { METRICS_HEADER = 2 };
uint64_t metrics_payload_out(const struct metrics *m, unsigned label);

#endif
