/*
 * lines.c - see lines.h.
 *
 * A wrong line is an error and not passed over: what was meant to be there, or to be gone, is noticed
 * when the file is read, and not when somebody asks. No text of the file is quoted, for what stands in a
 * wrong place may be a secret.
 */
#include "config/lines.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { WRONG_TOLD = 20 }; /* of a file that is none of this kind each line may be wrong */

struct wrongs {
	lines_wrong_fn *tell;
	void *arg;
	size_t count;
};

static void note_wrong(struct wrongs *w, unsigned line, const char *what)
{
	char text[192];

	if (++w->count > WRONG_TOLD)
		return;
	snprintf(text, sizeof(text), "the line %s", what);
	w->tell(line, text, w->arg);
}

static void tell_rest(const struct wrongs *w)
{
	char text[64];

	if (w->count <= WRONG_TOLD)
		return;
	snprintf(text, sizeof(text), "and %zu more lines that are wrong", w->count - WRONG_TOLD);
	w->tell(0, text, w->arg);
}

static const char *end_of_line(const char *p, const char *end)
{
	const char *stop = memchr(p, '\n', (size_t)(end - p));

	return stop != NULL ? stop : end;
}

size_t lines_count(const char *text, size_t len, size_t most)
{
	const char *end = text + len;
	size_t n = 0;

	for (const char *p = text; p < end && n < most; n++) {
		p = end_of_line(p, end);
		p += p < end;
	}
	return n;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void trim(const char **p, const char **end)
{
	while (*p < *end && is_space(**p))
		++*p;
	while (*p < *end && is_space((*end)[-1]))
		--*end;
}

void lines_read(const char *text, size_t len, lines_take_fn *take, void *into,
		lines_wrong_fn *wrong, void *arg)
{
	const char *end = text + len;
	struct wrongs w = { wrong, arg, 0 };
	unsigned line = 0;

	for (const char *p = text, *next; p < end; p = next) {
		const char *stop = end_of_line(p, end), *what;

		next = stop < end ? stop + 1 : end;
		line++;
		trim(&p, &stop);
		if (p == stop || *p == '#')
			continue;
		what = take(p, stop, into);
		if (what != NULL)
			note_wrong(&w, line, what);
	}
	tell_rest(&w);
}
