/*
 * options.c - see options.h.
 */
#include "ctl/options.h"

#include <string.h>

const struct option_row option_rows[OPTION_COUNT] = {
#define OPTION(enumerator, letter, name, value, commands, help)                                    \
	[OPTION_##enumerator] = { letter, name, value, commands, help },
#include "ctl/options.def"
#undef OPTION
};

/* Whether the list, with a space between words, has this one. */
static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; (p = strstr(p, word)) != NULL; p += len)
		if ((p == list || p[-1] == ' ') && (p[len] == ' ' || p[len] == '\0'))
			return true;
	return false;
}

/* Whether the command has one of its own by the name of an option of all. */
static bool is_hidden(const struct option_row *all, const struct command *c)
{
	for (int o = 0; o < OPTION_COUNT; o++) {
		const struct option_row *r = &option_rows[o];

		if (r->commands && has_word(r->commands, c->name) &&
		    strcmp(r->name, all->name) == 0)
			return true;
	}
	return false;
}

bool option_is_of(enum ctl_option o, const struct command *c)
{
	const struct option_row *r = &option_rows[o];

	if (r->commands)
		return c != NULL && has_word(r->commands, c->name);
	return c == NULL || !is_hidden(r, c);
}
