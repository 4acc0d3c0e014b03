/*
 * child.h - from a fork of the master to a process with a role of its own.
 */
#ifndef PROCESS_CHILD_H
#define PROCESS_CHILD_H

#include <sys/types.h>

/*
 * In the child, all signals being blocked: becomes the worker of a slot (0..CONFIG_WORKERS_MAX-1),
 * and ends with it. control: the worker's end of the slot's pair. master: who has forked it.
 */
_Noreturn void child_be_worker(int slot, int control, pid_t master);

#endif
