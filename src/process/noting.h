/*
 * noting.h - what the master notes for those who ask later, see base/chronicle.h.
 */
#ifndef PROCESS_NOTING_H
#define PROCESS_NOTING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What came of a reload: one sentence, of which the beginning is kept. */
void noting_reload(bool applied, const char *summary);

/*
 * A worker has died; how: "was ended by signal 9 (Killed)". lost: connections, whose ids are below
 * next_conn and those of its slot.
 */
void noting_worker_death(pid_t pid, const char *how, unsigned lost, uint64_t next_conn);

/* The admin process has; nobody has lost anything by that. */
void noting_admin_death(pid_t pid, const char *how);

#endif
