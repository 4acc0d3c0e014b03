/*
 * arguments.h - the command line of ignyxctl, read by the tables of commands and options.
 */
#ifndef CTL_ARGUMENTS_H
#define CTL_ARGUMENTS_H

#include <stdio.h>

#include "ctl/ctl.h"
#include "ctl/options.h"

/* What was asked for. All strings are those of main. */
struct arguments {
	const struct command *command; /* NULL: the options alone */
	const char *option[OPTION_COUNT]; /* its value, "" if it takes none; NULL: not given */
	char **words; /* behind the command's name */
	int count;
};

/*
 * Reads them. The command's own options stand behind its name, those of all commands anywhere; what
 * follows "--" is no option. argv is put in another order. Returns -1 after saying what is wrong;
 * with -h or -V what else is there need not be right.
 */
int arguments_parse(struct arguments *a, int argc, char **argv) __attribute__((warn_unused_result));

/* How to use the command, or with NULL all of it. */
void arguments_usage(FILE *out, const struct command *c);

#endif
