/*
 * literal.h - what libconfig passes over in numbers and strings.
 */
#ifndef CONFIG_LITERAL_H
#define CONFIG_LITERAL_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Checks a number token, a string token with its quotes. Returns what is wrong
 * (caller frees), NULL if nothing. *bad: it is no number at all, so libconfig
 * would stop at it.
 */
char *literal_check_number(const char *token, size_t len, bool *bad);
char *literal_check_string(const char *token, size_t len);

#endif
