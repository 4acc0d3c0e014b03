/*
 * details.h - one object for a person: a line for each of its members.
 */
#ifndef CTL_DETAILS_H
#define CTL_DETAILS_H

#include <jansson.h>
#include <stdio.h>

/*
 * Writes all members of an object or array, as deep as they go. What a number is a measure of is
 * known by its key; what nobody here knows is shown as it is.
 */
void details_print(FILE *out, const json_t *object);

#endif
