/*
 * stall.h - whether what ought to move stands still: a worker, and who holds the lock of the bus.
 *
 * Nothing here knows a process or a clock: times are ticks of the master, and come from the caller.
 */
#ifndef PROCESS_STALL_H
#define PROCESS_STALL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct stall_worker {
	uint64_t beats; /* its heartbeat when it last moved, */
	uint64_t moved; /* and when that was */
	uint64_t awaited; /* since when it stands still and the log waits for it; 0: no */
};

/* What is to be done about a worker. */
enum stall_verdict {
	STALL_NONE,
	STALL_TIMEOUT, /* it has not moved for longer than it may: end it */
	STALL_AWAITED, /* it stands still, and publishers wait for it: end it sooner */
};

/* It begins now, with a heartbeat that may be of one before it. */
void stall_begin(struct stall_worker *w, uint64_t beats, uint64_t now);

/* It has told something else than its heartbeat. */
void stall_moved(struct stall_worker *w, uint64_t now);

/* Notes its heartbeat as it is now. Returns whether that is another than before. */
bool stall_note_beats(struct stall_worker *w, uint64_t beats, uint64_t now);

/* limit: ticks that it may stand still; awaited: whether the log waits for it. */
enum stall_verdict stall_judge(struct stall_worker *w, bool awaited, uint64_t limit, uint64_t now);

/* Whether it has not moved for a second. */
bool stall_is_still(const struct stall_worker *w, uint64_t now);

/* Begins zeroed. */
struct stall_lock {
	pid_t owner; /* who holds it, and */
	uint64_t count; /* which acquisition of it that is; */
	uint64_t since; /* when one of both was last another */
};

/*
 * Notes who holds the lock (0: nobody) and the count of its acquisitions. Returns whether both are
 * the same for a second, once for each second that it lasts.
 */
bool stall_note_lock(struct stall_lock *l, pid_t owner, uint64_t count, uint64_t now);

#endif
