/*
 * options.h - the table of options.
 */
#ifndef CTL_OPTIONS_H
#define CTL_OPTIONS_H

#include <stdbool.h>

#include "ctl/ctl.h"

enum ctl_option {
#define OPTION(enumerator, letter, name, value, commands, help) OPTION_##enumerator,
#include "ctl/options.def"
#undef OPTION
	OPTION_COUNT
};

struct option_row {
	char letter; /* 0: it has none */
	const char *name;
	const char *value; /* what it takes, for a person; NULL: nothing */
	const char *commands; /* those that have it, with a space between them; NULL: all */
	const char *help;
};

extern const struct option_row option_rows[OPTION_COUNT];

/* Whether a command (NULL: none was named yet) has that option. */
bool option_is_of(enum ctl_option o, const struct command *c);

#endif
