/*
 * star.h - patterns of names with one "*", which stands for any characters, or for none.
 */
#ifndef BASE_STAR_H
#define BASE_STAR_H

#include <stdbool.h>
#include <stddef.h>

/* Whether it is one: it has no "*", or one. */
bool star_is_pattern(const char *pattern);

/*
 * Whether all of a text (len bytes) is as a pattern has it: byte for byte, or without regard to the case
 * of ASCII letters. Takes as long as the text is.
 */
bool star_matches(const char *pattern, const char *text, size_t len, bool any_case);

#endif
