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

#include "config/alloc.h"
#include "config/config.h"
#include "proto/utf8.h"

enum { LINE_MAX_BYTES = 2000 };

struct item {
	bool warning;
	bool scanned; /* found by the scanner, before the grammar */
	unsigned order;
	char *line;
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
	for (size_t i = 0; i < e->count; i++)
		free(e->items[i].line);
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

/* Bytes of the printable character at p, 0 if there is none. */
static size_t printable(const char *p, size_t n)
{
	const unsigned char *u = (const unsigned char *)p;

	if (*u < 0x20 || *u == 0x7f || (*u == 0xc2 && n > 1 && u[1] < 0xa0))
		return 0;
	for (size_t len = 1; len <= 4 && len <= n; len++) {
		if (utf8_valid(p, len))
			return len;
	}
	return 0;
}

/* Also cuts what nobody would read to its end, such as a value of a megabyte. */
static char *make_printable(char *s)
{
	size_t n = strlen(s), used = 0;
	char out[LINE_MAX_BYTES + sizeof("\\xff...")] = "";

	for (size_t i = 0, len; i < n; i += len != 0 ? len : 1) {
		if (used >= LINE_MAX_BYTES) {
			strcpy(out + used, "...");
			break;
		}
		len = printable(s + i, n - i);
		if (len != 0)
			memcpy(out + used, s + i, len);
		else
			snprintf(out + used, 5, "\\x%02x", (unsigned char)s[i]);
		used += len != 0 ? len : 4;
	}
	free(s);
	return alloc_string(out);
}

static char *make_line(struct config_place at, const char *fmt, va_list ap)
{
	char *text = alloc_vformat(fmt, ap), *line;

	if (at.file == NULL)
		return make_printable(text);
	if (at.line == 0)
		line = alloc_format("%s: %s", at.file, text);
	else
		line = alloc_format("%s:%u: %s", at.file, at.line, text);
	free(text);
	return make_printable(line);
}

void errors_vadd(struct config_errors *e, bool warning, struct config_place at, const char *fmt,
		 va_list ap)
{
	size_t i = e->count;

	e->items = alloc_grow(e->items, e->count, &e->cap, sizeof(*e->items));
	for (; i > 0 && e->items[i - 1].order > at.order; i--)
		e->items[i] = e->items[i - 1];
	e->items[i] = (struct item){ warning, false, at.order, make_line(at, fmt, ap) };
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
