/*
 * columns.c - see columns.h.
 *
 * All cells are kept as the texts that they will be, for a column is as wide as the widest of them.
 * On a terminal that is too narrow the column of texts that is the widest gives way, down to
 * NARROWEST, then the next one; numbers are never cut, as half of one is a lie.
 */
#include "ctl/columns.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/visible.h"
#include "ctl/trouble.h"
#include "ctl/units.h"

enum { GAP = 2, NARROWEST = 8 };

struct table {
	const struct column *columns;
	size_t count;
	char **cells; /* row by row */
	size_t rows, room; /* in rows */
	double now;
};

double columns_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct table *table_new(const struct column *columns, size_t count)
{
	struct table *t = trouble_if_null(calloc(1, sizeof(*t)));

	t->columns = columns;
	t->count = count;
	t->now = columns_now();
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->rows * t->count; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}

static char *copy(const char *text)
{
	return trouble_if_null(strdup(text));
}

static char *any_text(const json_t *value)
{
	char *json, *text;

	if (json_is_string(value))
		return trouble_if_null(visible_escaped(json_string_value(value)));
	json = trouble_if_null(json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT));
	text = trouble_if_null(visible_escaped(json));
	free(json);
	return text;
}

static char *count_text(const json_t *value)
{
	char text[UNITS_SIZE];

	if (json_is_integer(value))
		snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else
		snprintf(text, sizeof(text), "%g", json_real_value(value));
	return copy(text);
}

static char *number_text(const json_t *value, enum kind kind, double now)
{
	double n = json_number_value(value);
	char text[UNITS_SIZE];

	switch (kind) {
	case KIND_BYTES:
		units_bytes(text, n);
		break;
	case KIND_DURATION:
		units_duration(text, n);
		break;
	case KIND_SINCE:
		/* what was a moment ago may be ahead of us by another's clock */
		units_duration(text, fmax(now - n, 0));
		break;
	case KIND_RATE:
		units_rate(text, n);
		break;
	default:
		return count_text(value);
	}
	return copy(text);
}

char *column_text(const json_t *value, enum kind kind, double now)
{
	if (!value || json_is_null(value))
		return copy("-");
	switch (kind) {
	case KIND_ANY:
		return any_text(value);
	case KIND_TEXT:
		return json_is_string(value) ? any_text(value) : NULL;
	case KIND_TRUTH:
		return json_is_boolean(value) ? copy(json_is_true(value) ? "yes" : "") : NULL;
	default:
		return json_is_number(value) ? number_text(value, kind, now) : NULL;
	}
}

static void reserve_row(struct table *t)
{
	if (t->rows < t->room)
		return;
	t->room = t->room ? t->room * 2 : 16;
	t->cells = trouble_if_null(reallocarray(t->cells, t->room, t->count * sizeof(*t->cells)));
}

const char *table_add(struct table *t, const json_t *object)
{
	char **row;

	reserve_row(t);
	row = t->cells + t->rows * t->count;
	for (size_t i = 0; i < t->count; i++) {
		const struct column *c = &t->columns[i];

		row[i] = column_text(json_object_get(object, c->key), c->kind, t->now);
		if (row[i])
			continue;
		while (i > 0)
			free(row[--i]);
		return c->key;
	}
	t->rows++;
	return NULL;
}

size_t table_rows(const struct table *t)
{
	return t->rows;
}

static bool is_text(enum kind kind)
{
	return kind == KIND_TEXT || kind == KIND_ANY || kind == KIND_TRUTH;
}

static void natural_widths(const struct table *t, int *widths)
{
	for (size_t c = 0; c < t->count; c++)
		widths[c] = (int)strlen(t->columns[c].title);
	for (size_t i = 0; i < t->rows * t->count; i++) {
		int width = visible_width(t->cells[i]);

		if (width > widths[i % t->count])
			widths[i % t->count] = width;
	}
}

/* The widest column of texts, if one is wider than NARROWEST. */
static int *widest_text(const struct table *t, int *widths)
{
	int *widest = NULL;

	for (size_t c = 0; c < t->count; c++)
		if (is_text(t->columns[c].kind) && widths[c] > NARROWEST &&
		    (!widest || widths[c] > *widest))
			widest = &widths[c];
	return widest;
}

static void fit_widths(const struct table *t, int *widths, int width)
{
	int sum = -GAP, *widest;

	for (size_t c = 0; c < t->count; c++)
		sum += widths[c] + GAP;
	for (; sum > width && (widest = widest_text(t, widths)) != NULL; sum--)
		--*widest;
}

static void print_spaces(FILE *out, int n)
{
	fprintf(out, "%*s", n > 0 ? n : 0, "");
}

/* What fits of a text that is too wide, and two dots for what does not. */
static char *cut_text(const char *text, int width)
{
	size_t n = visible_fitting(text, width - 2);
	char *shorter = trouble_if_null(malloc(n + 3));

	memcpy(shorter, text, n);
	memcpy(shorter + n, "..", 3);
	return shorter;
}

static void print_cell(FILE *out, const char *text, int width, bool right, bool last)
{
	char *shorter = visible_width(text) > width ? cut_text(text, width) : NULL;
	int space = width - visible_width(shorter ? shorter : text);

	print_spaces(out, right ? space : 0);
	fputs(shorter ? shorter : text, out);
	if (!last)
		print_spaces(out, (right ? 0 : space) + GAP);
	free(shorter);
}

static void print_row(const struct table *t, FILE *out, const int *widths, char *const *row)
{
	for (size_t c = 0; c < t->count; c++)
		print_cell(out, row ? row[c] : t->columns[c].title, widths[c],
			   !is_text(t->columns[c].kind), c + 1 == t->count);
}

void table_print(const struct table *t, FILE *out, int width, bool bold, size_t rows,
		 const char *end)
{
	int *widths = trouble_if_null(calloc(t->count, sizeof(*widths)));

	natural_widths(t, widths);
	if (width > 0)
		fit_widths(t, widths, width);
	fputs(bold ? "\033[1m" : "", out);
	print_row(t, out, widths, NULL);
	fprintf(out, "%s%s", bold ? "\033[0m" : "", end);
	for (size_t r = 0; r < t->rows && r < rows; r++) {
		print_row(t, out, widths, t->cells + r * t->count);
		fputs(end, out);
	}
	free(widths);
}
