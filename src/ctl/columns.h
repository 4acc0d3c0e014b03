/*
 * columns.h - objects of one kind as a table for a person.
 */
#ifndef CTL_COLUMNS_H
#define CTL_COLUMNS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* How a value is shown. All but text, truth and "any" stand on the right of their column. */
enum kind {
	KIND_TEXT,
	KIND_COUNT,
	KIND_BYTES,
	KIND_DURATION, /* seconds */
	KIND_SINCE, /* seconds since the epoch, shown as how long ago that is */
	KIND_RATE, /* a second */
	KIND_TRUTH, /* "yes" or nothing */
	KIND_ANY, /* whatever it is */
};

struct column {
	const char *title, *key;
	enum kind kind;
};

/* What time it is, in seconds since the epoch. */
double columns_now(void);

/*
 * The value as a new text, escaped: "-" where it is NULL or null. NULL: it is not of that kind. now:
 * as of columns_now.
 */
char *column_text(const json_t *value, enum kind kind, double now);

struct table;

/* An empty table of so many columns, whose array is lent for as long as it lives. */
struct table *table_new(const struct column *columns, size_t count);
void table_free(struct table *t); /* NULL: nothing */

/* A row of what an object has by the keys of the columns. Returns NULL, or the key of a wrong value. */
const char *table_add(struct table *t, const json_t *object) __attribute__((warn_unused_result));

size_t table_rows(const struct table *t);

/*
 * Writes title and rows, at most `rows` of them. width: columns of the terminal, for which texts are
 * cut in the longest columns; 0: nothing is cut. bold: the titles, on a terminal that knows how.
 * end: what each line ends with.
 */
void table_print(const struct table *t, FILE *out, int width, bool bold, size_t rows,
		 const char *end);

#endif
