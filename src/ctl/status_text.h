/*
 * status_text.h - the daemon at a glance, for who asks once and for who looks on.
 */
#ifndef CTL_STATUS_TEXT_H
#define CTL_STATUS_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/*
 * Writes what /status tells, with its workers as a table; width, bold and end as in table_print.
 * Returns NULL, or the key of a value that is of a wrong kind.
 */
const char *status_print(FILE *out, const json_t *status, int width, bool bold, const char *end);

#endif
