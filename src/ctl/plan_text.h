/*
 * plan_text.h - what a reload changed, or would change, for a person.
 */
#ifndef CTL_PLAN_TEXT_H
#define CTL_PLAN_TEXT_H

#include <jansson.h>
#include <stdio.h>

/*
 * Writes a line for each change of a plan, as /reload answers it. Returns NULL, or the key of a
 * value that is of a wrong kind.
 */
const char *plan_print(FILE *out, const json_t *plan);

/* Writes mistakes of a configuration, a line for each that begins with what; NULL: there are none. */
void plan_print_errors(FILE *out, const json_t *errors, const char *what);

#endif
