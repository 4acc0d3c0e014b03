/*
 * value.c - numbers with a unit.
 *
 * Durations are kept in milliseconds and sizes in bytes. One table of units
 * for each serves both directions, so that an error shows a limit in the form
 * it would be written.
 */
#include "config/value.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Nanoseconds from one to the next, of the highest rate that there is. */
enum { RATE_LEAST = 1000 };

/* The number of times is above the number of the period, which has so many values. */
enum { TIMES_MOST = 1000000, PERIODS = 3 };

struct unit {
	const char *name;
	int64_t factor;
};

/* From large to small: the order in which a value is tried when it is written. */
static const struct unit durations[] = {
	{ "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }, { NULL, 0 }
};
static const struct unit sizes[] = {
	{ "G", INT64_C(1) << 30 }, { "M", 1 << 20 }, { "K", 1 << 10 }, { "", 1 }, { NULL, 0 }
};

/* From small to large: a rate is written by the first that makes it a whole number. */
static const struct unit periods[] = { { "/s", 1000000000 },
				       { "/m", 60 * INT64_C(1000000000) },
				       { "/h", 3600 * INT64_C(1000000000) },
				       { NULL, 0 } };

_Static_assert(sizeof(periods) / sizeof(*periods) == PERIODS + 1, "a value has room for all");

/* Reads digits of a base. Returns what follows them, NULL if there are none. */
static const char *take_digits(const char *p, unsigned base, int64_t *v)
{
	const char *start = p;

	*v = 0;
	for (; *p >= '0' && *p < (char)('0' + base); p++) {
		if (__builtin_mul_overflow(*v, (int64_t)base, v) ||
		    __builtin_add_overflow(*v, (int64_t)(*p - '0'), v))
			*v = INT64_MAX;
	}
	return p != start ? p : NULL;
}

static bool with_unit(const char *text, const struct unit *units, int64_t *v)
{
	const char *name = take_digits(text, 10, v);

	if (name == NULL)
		return false;
	for (; units->name != NULL; units++) {
		if (strcasecmp(name, units->name) == 0) {
			if (__builtin_mul_overflow(*v, units->factor, v))
				*v = INT64_MAX;
			return true;
		}
	}
	return false;
}

bool value_duration(const char *text, int64_t *v)
{
	if (strcmp(text, "0") == 0) {
		*v = 0;
		return true;
	}
	return with_unit(text, durations, v);
}

bool value_size(const char *text, int64_t *v)
{
	return with_unit(text, sizes, v);
}

bool value_rate(const char *text, int64_t *v)
{
	const char *name = take_digits(text, 10, v);

	if (name == NULL || (*v == 0 && *name != '\0'))
		return false;
	if (*v == 0)
		return true;
	for (const struct unit *u = periods; u->name != NULL; u++) {
		if (strcasecmp(name, u->name) == 0) {
			*v = u->factor / *v;
			return *v >= RATE_LEAST;
		}
	}
	return false;
}

bool value_times(const char *text, int64_t *v)
{
	const char *name = take_digits(text, 10, v);

	if (name == NULL || *v > TIMES_MOST || (*v == 0 && *name != '\0'))
		return false;
	if (*v == 0)
		return true;
	for (int i = 0; i < PERIODS; i++) {
		if (strcasecmp(name, periods[i].name) == 0) {
			*v = *v * PERIODS + i;
			return true;
		}
	}
	return false;
}

struct rate_size value_times_size(int64_t v)
{
	const int64_t times = v / PERIODS;
	struct rate_size size = { 0 };

	if (times == 0)
		return size;
	size.every = periods[v % PERIODS].factor / times;
	size.depth = size.every * times;
	return size;
}

bool value_mode(const char *text, int64_t *v)
{
	const char *end = take_digits(text, 8, v);

	return end != NULL && *end == '\0';
}

bool value_int(const char *text, int64_t *v)
{
	const char *end = take_digits(text + (*text == '-'), 10, v);

	if (*text == '-')
		*v = -*v;
	return end != NULL && *end == '\0';
}

static void format_unit(const struct unit *u, int64_t v, char *out, size_t size)
{
	while (u[1].name != NULL && v % u->factor != 0)
		u++;
	if (v == 0)
		snprintf(out, size, "\"0\"");
	else
		snprintf(out, size, "\"%" PRId64 "%s\"", v / u->factor, u->name);
}

void value_format_duration(int64_t v, char *out, size_t size)
{
	format_unit(durations, v, out, size);
}

void value_format_size(int64_t v, char *out, size_t size)
{
	format_unit(sizes, v, out, size);
}

/* Nanoseconds were cut when it was read, so the number is the nearest one. */
void value_format_rate(int64_t v, char *out, size_t size)
{
	const struct unit *u = periods;

	if (v == 0) {
		snprintf(out, size, "\"0\"");
		return;
	}
	while (u[1].name != NULL && (u->factor < v || u->factor / (u->factor / v) != v))
		u++;
	snprintf(out, size, "\"%" PRId64 "%s\"", u->factor / v, u->name);
}

void value_format_times(int64_t v, char *out, size_t size)
{
	if (v == 0)
		snprintf(out, size, "\"0\"");
	else
		snprintf(out, size, "\"%" PRId64 "%s\"", v / PERIODS, periods[v % PERIODS].name);
}

void value_format_mode(int64_t v, char *out, size_t size)
{
	snprintf(out, size, "\"%04" PRIo64 "\"", (uint64_t)v);
}

void value_format_int(int64_t v, char *out, size_t size)
{
	snprintf(out, size, "%" PRId64, v);
}
