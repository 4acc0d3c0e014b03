/*
 * lexcheck.h - what libconfig passes over in silence, found in the tokens.
 */
#ifndef CONFIG_LEXCHECK_H
#define CONFIG_LEXCHECK_H

#include <stdbool.h>
#include <stddef.h>

struct config_errors;
struct config_source;

enum {
	LEXCHECK_DEPTH_MAX = 32, /* brackets within brackets */
	LEXCHECK_NAMES_MAX = 1024, /* settings in a group */
	LEXCHECK_ERRORS_MAX = 20, /* of syntax; a file with that many is no configuration */
};

/* The line on which each run of adjacent strings begins, in order. */
struct lexcheck_strings {
	unsigned *lines;
	size_t count, cap;
};

/*
 * Looks at every token of text, a copy of the source's; reports what is wrong.
 * A comma behind the last element of a list, which not every libconfig takes,
 * is blanked out in text. Returns whether libconfig can be given the text. The
 * caller frees strings->lines.
 */
bool lexcheck(const struct config_source *s, char *text, struct config_errors *e,
	      struct lexcheck_strings *strings);

#endif
