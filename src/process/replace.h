/*
 * replace.h - what follows when a worker has ended: whether another takes its slot, and when.
 */
#ifndef PROCESS_REPLACE_H
#define PROCESS_REPLACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "process/backoff.h"

/*
 * Of any reaped child; does nothing for one that is no worker. Returns NULL, or why the daemon
 * has to give up.
 */
const char *replace_ended(pid_t pid, int status) __attribute__((warn_unused_result));

/*
 * With every tick while the daemon is to serve: starts those whose time has come, all at once after
 * the bus was made anew. Returns as replace_ended does.
 */
const char *replace_tick(void) __attribute__((warn_unused_result));

/* What is to be done with a slot that is wanted. */
enum replace_verdict {
	REPLACE_NOW,
	REPLACE_LATER, /* after a pause */
	REPLACE_GIVE_UP, /* it never came up, and would not the next time either */
};

/*
 * status: of waitpid; ready: all workers were there once; now: tick. A death is noted in b, the end
 * of a worker that retired is none.
 */
enum replace_verdict replace_judge(struct backoff *b, int status, bool ready, uint64_t now);

/* Whether it retired: with its last connection, maybe just before it was wanted again; or at a stop. */
bool replace_ended_well(int status);

#endif
