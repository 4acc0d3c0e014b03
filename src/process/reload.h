/*
 * reload.h - a new configuration in a running daemon.
 */
#ifndef PROCESS_RELOAD_H
#define PROCESS_RELOAD_H

#include <stdbool.h>

struct config;

/* file: to be read with each reload; lent. started: in force since the start. */
void reload_init(const char *file, struct config *started);
void reload_fini(void);

/* Begins a reload; notes that one is wanted where another is under way. */
void reload_start(void);

/* A worker has it in force: how many of its connections moved to it or were closed. */
void reload_note(unsigned moved, unsigned closed);

/*
 * To be called when one was begun, or a worker answered, came up or died. Returns whether one has
 * just come to its end, refused or applied; once for each. Then reload_resume is to be called.
 */
bool reload_finish(void) __attribute__((warn_unused_result));

/* Begins the one that was asked for meanwhile, if there was one. */
void reload_resume(void);

/* With every tick: ends workers that do not answer. */
void reload_tick(void);

bool reload_is_active(void);

/* What came of the last one, for the status; empty: there was none. */
const char *reload_outcome(void);

#endif
