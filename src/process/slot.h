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

/* Written by slot.c, but for what others have to note: stall (supervise.c), backoff (replace.c). */
struct slot {
	int index;
	enum slot_state state;
	pid_t pid; /* 0: none */
	int pair[2]; /* the master's end, the worker's */
	struct control control; /* the master's */
	uint64_t generation; /* that its worker has in force */
	uint32_t asked; /* id of the RELOAD that its worker has to answer, 0: none */
	bool ending; /* SIGKILL was sent, once is enough; it is not reaped yet */
	uint64_t restart_at; /* BACKOFF: tick */
	struct stall_worker stall;
	struct backoff backoff;
};

extern struct slot slots[CONFIG_WORKERS_MAX];

/* What workers tell, in the loop. Their slots say so by then. */
struct slot_events {
	void (*ready)(void); /* one that was STARTING listens */
	void (*reloaded)(unsigned moved, unsigned closed); /* of its connections */
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

void slots_kill(void);

/*
 * Has a worker take over the configuration in force; source_fd has its packed text. retire: it
 * accepts no more, and ends with its last connection.
 */
void slot_reload(struct slot *s, bool retire, int source_fd);

/* Has all workers end, in grace milliseconds. */
void slots_stop(int64_t grace);

/* With every tick: sends what waits. */
void slots_flush(void);

#endif
