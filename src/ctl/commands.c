/*
 * commands.c - the table of commands, see ctl.h.
 */
#include "ctl/ctl.h"

#include <string.h>

const struct command commands[] = {
#define COMMAND(function, name, least, most, words, help)                                          \
	{ name, least, most, words, help, command_##function },
#include "ctl/commands.def"
#undef COMMAND
};
const size_t command_count = sizeof(commands) / sizeof(*commands);

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < command_count; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}
