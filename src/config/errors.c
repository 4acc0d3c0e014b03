/*
 * errors.c - the list of all that is wrong.
 *
 * Errors are found in the order of the checks (unknown keys, then values, then
 * what spans groups), but a person reads a file from its top. So each carries
 * the line of the expanded text it is about, and is inserted in that order.
 */
#include "config/errors.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "config/alloc.h"
#include "config/config.h"

enum { LINE_MAX_BYTES = 2000 };

struct item {
	bool warning;
	bool scanned; /* found by the scanner, before the grammar */
	unsigned order;
	char *file; /* NULL: none */
	unsigned number; /* of the line in it, 0: none */
	char *text;
	char *line; /* all of it */
};

struct config_errors {
	struct item *items;
	size_t count, cap;
	size_t errors;
	bool scanned; /* some were found by the scanner */
};

struct config_errors *config_errors_new(void)
{
	return alloc_zero(1, sizeof(struct config_errors));
}

void config_errors_free(struct config_errors *e)
{
	if (e == NULL)
		return;
	for (size_t i = 0; i < e->count; i++) {
		free(e->items[i].file);
		free(e->items[i].text);
		free(e->items[i].line);
	}
	free(e->items);
	free(e);
}

size_t config_errors_count(const struct config_errors *e)
{
	return e->errors;
}

void config_errors_each(const struct config_errors *e,
			void (*fn)(bool warning, const char *line, void *arg), void *arg)
{
	for (size_t i = 0; i < e->count; i++)
		fn(e->items[i].warning, e->items[i].line, arg);
}

void config_errors_each_part(const struct config_errors *e,
			     void (*fn)(const struct config_error *error, void *arg), void *arg)
{
	for (size_t i = 0; i < e->count; i++) {
		const struct item *t = &e->items[i];

		fn(&(struct config_error){ t->warning, t->file, t->number, t->text }, arg);
	}
}

void errors_end_of_scan(struct config_errors *e)
{
	for (size_t i = 0; i < e->count; i++)
		e->items[i].scanned = e->scanned = true;
}

static bool found_at(const struct config_errors *e, unsigned order, bool by_scanner)
{
	for (size_t i = 0; i < e->count; i++) {
		const struct item *t = &e->items[i];

		if (t->order == order && !t->warning && (t->scanned || !by_scanner))
			return true;
	}
	return false;
}

bool errors_at(const struct config_errors *e, unsigned order)
{
	return found_at(e, order, false);
}

bool errors_scanned_at(const struct config_errors *e, unsigned order)
{
	return e->scanned && found_at(e, order, true);
}

/* Also cuts what nobody would read to its end, such as a value of a megabyte. */
char *errors_printable(char *s)
{
	size_t n = strlen(s), used = 0;
	char out[LINE_MAX_BYTES + sizeof("\\xff...")] = "";

	for (size_t i = 0, len; i < n; i += len != 0 ? len : 1) {
		if (used >= LINE_MAX_BYTES) {
			strcpy(out + used, "...");
			break;
		}
		len = printable((const unsigned char *)s + i);
		if (len != 0)
			memcpy(out + used, s + i, len);
		else
			snprintf(out + used, 5, "\\x%02x", (unsigned char)s[i]);
		used += len != 0 ? len : 4;
	}
	free(s);
	return alloc_string(out);
}

static char *make_line(const struct item *t)
{
	if (t->file == NULL)
		return alloc_string(t->text);
	return t->number == 0 ? alloc_format("%s: %s", t->file, t->text)
			      : alloc_format("%s:%u: %s", t->file, t->number, t->text);
}

void errors_vadd(struct config_errors *e, bool warning, struct config_place at, const char *fmt,
		 va_list ap)
{
	size_t i = e->count;

	e->items = alloc_grow(e->items, e->count, &e->cap, sizeof(*e->items));
	for (; i > 0 && e->items[i - 1].order > at.order; i--)
		e->items[i] = e->items[i - 1];
	e->items[i] = (struct item){
		.warning = warning,
		.order = at.order,
		.file = at.file != NULL ? errors_printable(alloc_string(at.file)) : NULL,
		.number = at.line,
		.text = errors_printable(alloc_vformat(fmt, ap)),
	};
	e->items[i].line = make_line(&e->items[i]);
	e->count++;
	e->errors += !warning;
}

void errors_add(struct config_errors *e, bool warning, struct config_place at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	errors_vadd(e, warning, at, fmt, ap);
	va_end(ap);
}
