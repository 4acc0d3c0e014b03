/*
 * child.h - from a fork of the master to a process with a role of its own.
 */
#ifndef PROCESS_CHILD_H
#define PROCESS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/metrics.h"

/*
 * In the child, all signals being blocked: becomes the worker of a slot (0..CONFIG_WORKERS_MAX-1),
 * and ends with it. control: the worker's end of the slot's pair. master: who has forked it.
 */
_Noreturn void child_be_worker(int slot, int control, pid_t master);

/* The same, becomes the admin process. sockets: count of them, which it listens on. */
_Noreturn void child_be_admin(int control, int *sockets, size_t count, pid_t master);

/*
 * As fork(2), with all signals blocked in the child, so that none of them runs the master's
 * handlers there.
 */
pid_t child_fork(void);

/* How a child ended, for the log; status: of waitpid. */
void child_describe_end(int status, char *out, size_t size);

/* The same for the metrics, of an end that was not in order. stuck: it had to be ended. */
enum metrics_cause child_cause_of_end(int status, bool stuck);

#endif
