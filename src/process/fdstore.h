/*
 * fdstore.h - listening sockets that the service manager hands in, and keeps over a
 * restart (systemd's socket activation and FD store).
 *
 * What comes in has a name: that of a socket unit, or one that an earlier run of ours
 * stored. Names may be shared by many descriptors.
 */
#ifndef PROCESS_FDSTORE_H
#define PROCESS_FDSTORE_H

#include <stdbool.h>
#include <stddef.h>

enum { FDSTORE_NAME_MAX = 200 };

/* Takes over all that this process was started with. Once, at start. */
void fdstore_receive(void);

/* Whether what is stored outlives this process, if it is started again. */
bool fdstore_enabled(void);

/*
 * The descriptors of a name, at most max, in the order they came in. They stay this
 * module's: dup what is to be kept. What was never found takes no connection any more when it is
 * forgotten, whoever has it open. Returns their number.
 */
size_t fdstore_find(const char *name, int *fds, size_t max);

/* Stores descriptors for the next run, in place of those of that name. Nothing if not enabled. */
void fdstore_keep(const char *name, const int *fds, size_t count);

/* No longer stores those of that name, and closes them. */
void fdstore_forget(const char *name);

/* After start: closes what an earlier run stored and nobody wants; names activated in vain. */
void fdstore_close_rest(bool (*wanted)(const char *name, void *arg), void *arg);

#endif
