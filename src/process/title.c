/*
 * title.c - see title.h.
 *
 * The kernel shows the bytes where the arguments of a process were put when it began, and
 * goes on into the environment behind them if they do not end there.
 */
#include "process/title.h"

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

/* In one piece, of which the environment may forget parts. NULL: no memory. */
static char **copy(char *const *strings)
{
	size_t n = 0, bytes = 0;
	char **out, *to;

	for (; strings[n]; n++)
		bytes += strlen(strings[n]) + 1;
	out = malloc((n + 1) * sizeof(*out) + bytes);
	if (!out)
		return NULL;
	to = (char *)(out + n + 1);
	for (size_t i = 0; i < n; i++) {
		out[i] = to;
		to = stpcpy(to, strings[i]) + 1;
	}
	out[n] = NULL;
	return out;
}

char **title_init(int argc, char **argv)
{
	title.arguments = copy(argv);
	title.variables = copy(environ);
	if (argc == 0 || !title.arguments || !title.variables)
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
