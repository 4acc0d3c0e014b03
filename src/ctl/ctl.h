/*
 * ctl.h - ignyxctl: what its commands are, and what they end with.
 *
 * A command is one row of commands.def and one function. Usage, completion and the checks of the
 * manual go by the row.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <stddef.h>

struct arguments;
struct asker;

/* The exit status: see ignyxctl(8). */
enum {
	CTL_DONE = 0,
	CTL_FAILED = 1, /* the daemon refused, or it could not be done */
	CTL_USAGE = 2,
	CTL_UNREACHABLE = 3, /* the daemon could not be asked */
};

struct command {
	const char *name;
	int least, most; /* words behind the name */
	const char *arguments; /* the same for a person; completion goes by their names */
	const char *help;
	/* Does it and says what came of it; returns the exit status. */
	int (*run)(struct asker *d, const struct arguments *a);
};

extern const struct command commands[];
extern const size_t command_count;

/* The command of that name, NULL if there is none. */
const struct command *command_find(const char *name);

#define COMMAND(function, name, least, most, words, help)                                          \
	int command_##function(struct asker *d, const struct arguments *a);
#include "ctl/commands.def"
#undef COMMAND

#endif
