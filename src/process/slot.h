/*
 * slot.h - a worker's place: what outlives the worker, and what there is to do with one.
 *
 * Nothing is decided here: supervise.h says who is ended, replace.h what follows on a worker's end,
 * adopt.h who accepts for a slot that cannot.
 */
#ifndef PROCESS_SLOT_H
#define PROCESS_SLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/config.h"
#include "process/backoff.h"
#include "process/control.h"
#include "process/stall.h"

struct event_base;

/*
 * UNUSED: not wanted. STARTING: forked, has not said that it listens. RETIRING: serves what it has,
 * accepts no more. BACKOFF: empty, to be started again.
 */
enum slot_state { SLOT_UNUSED, SLOT_STARTING, SLOT_RUNNING, SLOT_RETIRING, SLOT_BACKOFF };

/*
 * Written by slot.c, but for what others have to note: stall (supervise.c), backoff and deaths
 * (replace.c).
 */
struct slot {
	int index;
	enum slot_state state;
	pid_t pid; /* 0: none */
	int pair[2]; /* the master's end, the worker's */
	struct control control; /* the master's */
	uint64_t generation; /* that its worker has in force */
	uint32_t asked; /* id of the PREPARE or COMMIT that its worker has to answer, 0: none */
	uint32_t draining; /* id of the DRAIN that its worker has to answer, 0: none */
	uint64_t prepared; /* generation that its worker could have in force, 0: none */
	bool ending; /* SIGKILL was sent, once is enough; it is not reaped yet */
	uint64_t restart_at; /* BACKOFF: tick */
	struct stall_worker stall;
	struct backoff backoff;
	unsigned deaths; /* that were not in order, of all its workers, wanted or not */
};

extern struct slot slots[CONFIG_WORKERS_MAX];

/* What workers tell, in the loop. Their slots say so by then. */
struct slot_events {
	void (*ready)(void); /* one that was STARTING listens */
	/* NULL: the worker has prepared what it was asked to. Else why it cannot, lent. */
	void (*prepared)(const struct slot *s, const char *why);
	void (*reloaded)(unsigned moved, unsigned closed); /* of its connections */
	void (*drained)(unsigned let_go, unsigned late); /* the same, and its drain has ended */
};

/* events stay the caller's. -1: errno is set; slots_fini gives back what there is. */
int slots_init(struct event_base *base, const struct slot_events *events)
	__attribute__((warn_unused_result));
void slots_fini(void);

bool slot_alive(const struct slot *s);
size_t slots_alive(void);

/* Whether it has a worker, which has not moved for a second. */
bool slot_is_still(const struct slot *s);

/* NULL: it is no worker, or not any more. */
struct slot *slot_of(pid_t pid);

/* Forks a worker for an empty slot. Where that fails, told in the log, it backs off. */
void slot_start(struct slot *s);

/* Its worker was reaped: clears what that has left in shared memory, and the slot is UNUSED. */
void slot_ended(struct slot *s);

/* An empty slot is to be started at a tick. */
void slot_back_off(struct slot *s, uint64_t restart_at);

/* An empty slot that is not wanted any more. */
void slot_unwant(struct slot *s);

/* Ends a worker, what: it does or does not do, for the log. Does nothing the second time. */
void slot_end_stuck(struct slot *s, const char *what);

/*
 * A process of the bus in this slot was reaped, and none is forked: what it has left in shared memory
 * is cleared, and those that may have waited for it look again.
 */
void slot_clear(int slot);

void slots_kill(void);

/*
 * Asks a worker whether it can have a configuration of this generation, whose packed text is in
 * source_fd. retire: it would accept no more, and end with its last connection.
 */
void slot_prepare(struct slot *s, uint64_t generation, bool retire, int source_fd);

/* Has it take over the configuration in force, of which it is told now if it was not asked. */
void slot_commit(struct slot *s, bool retire, int source_fd);

/* It keeps what it has, and not what it was asked about. */
void slot_abort(struct slot *s, uint64_t generation);

/* Has it let connections go, or keep them. */
void slot_drain(struct slot *s, const struct control_drain *d);

/* Has all workers log at that level. */
void slots_log_level(int level);

/* Has all workers end, in grace milliseconds. */
void slots_stop(int64_t grace);

/* With every tick: sends what waits. */
void slots_flush(void);

#endif
