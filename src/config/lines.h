/*
 * lines.h - files of lines, each of which names something, such as a token or a user.
 *
 * Spaces around a line count for nothing; empty lines and those that begin with # are passed over.
 */
#ifndef CONFIG_LINES_H
#define CONFIG_LINES_H

#include <stddef.h>

/*
 * Called with the number of a line, from 1, and what is wrong: "the line has ...". Of many it is called
 * for the first 20, then with 0 and how many more there are.
 */
typedef void lines_wrong_fn(unsigned line, const char *what, void *arg);

/* Takes a line, which is lent. What is wrong with it, "has ..."; NULL: nothing. */
typedef const char *lines_take_fn(const char *p, const char *end, void *into);

/* Calls take for each line of len bytes of text. */
void lines_read(const char *text, size_t len, lines_take_fn *take, void *into,
		lines_wrong_fn *wrong, void *arg);

/* How many lines there are, at most: for which there is to be space. */
size_t lines_count(const char *text, size_t len, size_t most);

#endif
