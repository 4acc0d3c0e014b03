/*
 * title.c - see title.h.
 *
 * The kernel shows the bytes where the arguments of a process were put when it began, and
 * goes on into the environment behind them if they do not end there.
 */
#include "process/title.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
	char *area;
	size_t size;
	char **arguments, **variables; /* what stood there */
} title;

/* The end of the strings that follow one another from end on. */
static char *end_of(char *const *strings, char *end)
{
	for (; *strings; strings++)
		if (*strings == end)
			end += strlen(end) + 1;
	return end;
}

/* False: no memory, and *out has some of them. */
static bool copy(char *const *strings, char ***out)
{
	size_t n = 0;

	while (strings[n])
		n++;
	*out = calloc(n + 1, sizeof(**out));
	for (size_t i = 0; *out && i < n; i++) {
		(*out)[i] = strdup(strings[i]);
		if (!(*out)[i])
			return false;
	}
	return *out != NULL;
}

char **title_init(int argc, char **argv)
{
	if (argc == 0 || !copy(argv, &title.arguments) || !copy(environ, &title.variables))
		return argv;
	title.area = argv[0];
	title.size = (size_t)(end_of(environ, end_of(argv, argv[0])) - argv[0]);
	environ = title.variables;
	return title.arguments;
}

void title_set(const char *what)
{
	if (title.size == 0)
		return;
	memset(title.area, 0, title.size);
	snprintf(title.area, title.size, "ignyxd: %s", what);
}
