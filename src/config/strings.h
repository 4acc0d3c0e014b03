/*
 * strings.h - lists of strings that several settings have: an endpoint's that comes from the top is the
 * very list that is there.
 *
 * Ten thousand endpoints may inherit a list of a thousand. A list is counted, and goes with the last who
 * has it; it never changes once it is read.
 */
#ifndef CONFIG_STRINGS_H
#define CONFIG_STRINGS_H

#include <stddef.h>

/* A list of count strings, each still NULL, and the NULL behind them; of one who has it. */
char **strings_new(size_t count);

/* The same list for one more. NULL: there is none. */
char **strings_share(char **list);

/* One has it no longer. NULL: nothing to do. */
void strings_drop(char **list);

#endif
