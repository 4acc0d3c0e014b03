/*
 * errors.h - how the modules of this layer add to the list of errors.
 */
#ifndef CONFIG_ERRORS_H
#define CONFIG_ERRORS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct config_errors;

/* Where something stands. */
struct config_place {
	const char *file; /* NULL: nowhere */
	unsigned line; /* 0: the file as a whole */
	unsigned order; /* line of the expanded text, which the list is sorted by */
};

/*
 * Adds an error or a warning. Control characters and bytes that are not UTF-8
 * become \xNN, since the text may quote any byte of a file.
 */
void errors_add(struct config_errors *e, bool warning, struct config_place at, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void errors_vadd(struct config_errors *e, bool warning, struct config_place at, const char *fmt,
		 va_list ap) __attribute__((format(printf, 4, 0)));

/* Takes over a text; returns it so. */
char *errors_printable(char *text);

/* What is in the list so far was found by the scanner: wrong numbers, strings, brackets. */
void errors_end_of_scan(struct config_errors *e);

/* Whether an error at this line of the expanded text was found, and whether by the scanner. */
bool errors_at(const struct config_errors *e, unsigned order);
bool errors_scanned_at(const struct config_errors *e, unsigned order);

#endif
