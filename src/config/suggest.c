/*
 * suggest.c - helping with words that are not known.
 *
 * How far two words are apart is counted in slips of a typist: a letter left
 * out, put in, replaced, or two side by side exchanged (the restricted
 * Damerau-Levenshtein distance).
 */
#include "config/suggest.h"

#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"

enum { WORD_MAX = 40 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Both at most WORD_MAX long. */
static unsigned distance(const char *a, const char *b)
{
	unsigned d[WORD_MAX + 1][WORD_MAX + 1];
	size_t m = strlen(a), n = strlen(b);

	for (size_t i = 0; i <= m; i++)
		d[i][0] = (unsigned)i;
	for (size_t j = 0; j <= n; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= m; i++) {
		for (size_t j = 1; j <= n; j++) {
			unsigned put = least(d[i - 1][j], d[i][j - 1]) + 1;

			d[i][j] = least(put, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
		}
	}
	return d[m][n];
}

const char *suggest_nearest(const char *word, const char *const *words)
{
	size_t len = strlen(word);
	/* a third of the letters may be wrong; more is another word */
	unsigned best = (unsigned)(len < 3 ? 1 : len / 3) + 1;
	const char *nearest = NULL;

	if (len > WORD_MAX)
		return NULL;
	for (; *words != NULL; words++) {
		unsigned d = strlen(*words) <= WORD_MAX ? distance(word, *words) : best;

		if (d < best) {
			best = d;
			nearest = *words;
		}
	}
	return nearest;
}

char *suggest_list(const char *const *words, const char *quote, const char *last)
{
	char *list = alloc_string("");

	for (size_t i = 0; words[i] != NULL; i++) {
		const char *before = i == 0 ? "" : ", ";
		char *longer;

		if (i > 0 && words[i + 1] == NULL)
			before = " ";
		longer = alloc_format("%s%s%s%s%s%s%s", list, before, *before == ' ' ? last : "",
				      *before == ' ' ? " " : "", quote, words[i], quote);
		free(list);
		list = longer;
	}
	return list;
}
