/*
 * draining.h - connections are let go because an administrator wants it, in all workers.
 *
 * The master splits what was asked for among the workers, and knows when all have done their part. That new
 * connections are refused lasts, over reloads and the deaths of workers, until it is taken back.
 */
#ifndef PROCESS_DRAINING_H
#define PROCESS_DRAINING_H

#include <stdbool.h>

struct control_ask_drain;

/*
 * Begins a drain, in place of the one before, or takes it back. Returns JSON text, the caller's to free,
 * NULL: no memory; *well: it is done, else the text says why it is not.
 */
char *drain_ask(const struct control_ask_drain *a, bool *well);

/* A worker's part has ended. */
void drain_note(unsigned let_go, unsigned late);

/* Where something may have changed about workers: tells when all parts have, unless a stop has begun. */
void drain_look(void);

#endif
