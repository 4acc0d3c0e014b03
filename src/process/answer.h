/*
 * answer.h - what came of a reload, or would, for an administrator: as JSON text.
 */
#ifndef PROCESS_ANSWER_H
#define PROCESS_ANSWER_H

#include <jansson.h>
#include <stdbool.h>

struct config_error;
struct config_errors;
struct plan;

/* What is wrong with what was read; zeroed there is nothing. */
struct answer {
	json_t *errors, *warnings;
};

/* Notes one more, or all that are in e. */
void answer_note(struct answer *a, const struct config_error *error);
void answer_note_all(struct answer *a, const struct config_errors *e);

/*
 * It was refused, or would be: word and message as the admin interface has them, and the errors.
 * Both give the text to the caller, who frees it, and forget what was noted. NULL: no memory.
 */
char *answer_refused(struct answer *a, const char *word, const char *message);

/* It is in force (applied), with so many connections moved to it and closed, or would be. */
char *answer_planned(struct answer *a, const struct plan *p, bool applied, unsigned moved,
		     unsigned closed);

#endif
