/*
 * value.h - numbers with a unit, written as strings.
 */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rate.h"

/*
 * Reads a whole text of that form into *v. false: it is not of that form. A
 * number too large is INT64_MAX, which no key allows; a rate of more than a million a second is not of
 * that form, nor are more than a million times.
 */
bool value_duration(const char *text, int64_t *v); /* "250ms", "30s", "5m", "1h", "0" */
bool value_size(const char *text, int64_t *v); /* "512", "64K", "1M", "1G" */
bool value_rate(const char *text, int64_t *v); /* "20/s", "100/m", "5/h", "0" */
bool value_times(const char *text, int64_t *v); /* the same, and the while counts */
bool value_mode(const char *text, int64_t *v); /* octal digits: "660", "0660" */
bool value_int(const char *text, int64_t *v);

/* Write a value as a user would: in the largest unit that it is a multiple of, and in quotes. */
void value_format_duration(int64_t v, char *out, size_t size);
void value_format_size(int64_t v, char *out, size_t size);
void value_format_rate(int64_t v, char *out, size_t size);
void value_format_times(int64_t v, char *out, size_t size); /* as it was written */
void value_format_mode(int64_t v, char *out, size_t size);
void value_format_int(int64_t v, char *out, size_t size); /* has neither */

/* What a value of value_times stands for: so many at once, and as many in each such while. */
struct rate_size value_times_size(int64_t v);

#endif
