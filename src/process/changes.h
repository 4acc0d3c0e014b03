/*
 * changes.h - what a reload has changed, in words.
 */
#ifndef PROCESS_CHANGES_H
#define PROCESS_CHANGES_H

#include <stddef.h>

struct config;

enum { CHANGES_MAX = 1024 };

/*
 * Describes what new has in force that old had not: endpoints in any case, then listeners,
 * certificates and the names of settings at the top, where there is something to say.
 */
void changes_describe(const struct config *old, const struct config *new, char out[CHANGES_MAX]);

#endif
