/*
 * reload.h - a new configuration in a running daemon.
 */
#ifndef PROCESS_RELOAD_H
#define PROCESS_RELOAD_H

#include <stdbool.h>
#include <stdint.h>

struct slot;

/* file: to be read with each reload; lent. */
void reload_init(const char *file);
void reload_fini(void);

/* Begins a reload; notes that one is wanted where another is under way. */
void reload_start(void);

/* A worker has said whether it can have it. why: it cannot; NULL: it can. */
void reload_note_prepared(const struct slot *s, const char *why);

/* A worker has it in force: how many of its connections moved to it or were closed. */
void reload_note(unsigned moved, unsigned closed);

/*
 * To be called when one was begun, or a worker answered, came up or died. Returns whether one has
 * just come to its end, refused or applied; once for each. Then reload_resume is to be called.
 */
bool reload_finish(void) __attribute__((warn_unused_result));

/* Begins the one that was asked for meanwhile, if there was one. */
void reload_resume(void);

/* With every tick: ends workers that do not answer; then reload_finish is to be called. */
void reload_tick(void);

bool reload_is_active(void);

/*
 * What a reload would do now, as JSON text that the caller frees (NULL: no memory): the plan, or why
 * it would be refused, then *valid is false. The file is read and checked; nothing is opened, changed
 * or logged, so that an address that is taken is not found out.
 */
char *reload_try(bool *valid);

/* How many have begun so far. One that is asked for now is the next. */
uint64_t reload_number(void);

/*
 * What came of the last one, in the same form, and whether it was applied; lent until the next one
 * begins. NULL: there was none.
 */
const char *reload_answer(bool *is_applied);

/* And for the status; empty: there was none. */
const char *reload_outcome(void);

#endif
