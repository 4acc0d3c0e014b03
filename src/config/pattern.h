/*
 * pattern.h - what a value must look like: a POSIX extended regular expression that the whole of it
 * has to match, by bytes.
 *
 * Values are a stranger's, and come at the rate that he likes. So the time that one takes is bounded
 * by its length alone, whatever the expression is, and nothing is kept of it.
 */
#ifndef CONFIG_PATTERN_H
#define CONFIG_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

enum {
	PATTERN_REPEAT_MAX = 255, /* of a repeat, as POSIX has it */
	PATTERN_POSITIONS_MAX =
		512, /* characters that an expression has, its repeats written out */
	PATTERN_WHY_MAX = 256,
};

struct pattern;

/*
 * Compiles text. NULL: why then says what is wrong, as a text that goes on behind "the pattern"; it
 * has no back-references, which POSIX's have not either. The caller ends it with pattern_free.
 */
struct pattern *pattern_new(const char *text, char why[PATTERN_WHY_MAX]);
void pattern_free(struct pattern *p);

/* Whether all of the len bytes at s match. Takes no longer than a constant for each of them. */
bool pattern_matches(const struct pattern *p, const char *s, size_t len);

#endif
