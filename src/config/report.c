/*
 * report.c - reporting while one group is being read.
 *
 * Every text has the same shape: `file:line: label: "key" what is wrong`. The
 * line is that of the key if it is there, else that of its group.
 */
#include "config/report.h"

#include <stdint.h>
#include <stdlib.h>

#include "config/alloc.h"
#include "config/errors.h"
#include "config/source.h"

unsigned report_line(const config_setting_t *s)
{
	uintptr_t corrected = (uintptr_t)config_setting_get_hook(s);

	return corrected != 0 ? (unsigned)corrected : (unsigned)config_setting_source_line(s);
}

void report_set_line(config_setting_t *s, unsigned line)
{
	config_setting_set_hook(s, (void *)(uintptr_t)line);
}

static void report(struct config_report *r, bool warning, const config_setting_t *at,
		   const char *key, const char *fmt, va_list ap)
{
	char *text = alloc_vformat(fmt, ap);

	errors_add(r->errors, warning, source_place(r->source, report_line(at)), "%s%s%s%s%s%s",
		   r->label != NULL ? r->label : "", r->label != NULL ? ": " : "",
		   key != NULL ? "\"" : "", key != NULL ? key : "", key != NULL ? "\" " : "", text);
	free(text);
}

void report_error(struct config_report *r, const config_setting_t *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(r, false, at, NULL, fmt, ap);
	va_end(ap);
}

void report_warning(struct config_report *r, const config_setting_t *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(r, true, at, NULL, fmt, ap);
	va_end(ap);
}

void report_key(struct config_report *r, const config_setting_t *at, const char *key,
		const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(r, false, at, key, fmt, ap);
	va_end(ap);
}

void config_report_error(struct config_report *r, const char *key, const char *fmt, ...)
{
	const config_setting_t *at = NULL;
	va_list ap;

	if (key != NULL)
		at = config_setting_get_member(r->group, key);
	va_start(ap, fmt);
	report(r, false, at != NULL ? at : r->group, key, fmt, ap);
	va_end(ap);
}

char *report_enter(const struct config_report *r, const char *name, const config_setting_t *group,
		   struct config_report *out)
{
	char *label = alloc_format("%s%s%s", r->label != NULL ? r->label : "",
				   r->label != NULL ? ": " : "", name);

	*out = *r;
	out->group = group;
	out->label = label;
	return label;
}

bool report_is_wrong(const struct config_report *r, const char *key)
{
	const config_setting_t *s = config_setting_get_member(r->group, key);

	return s != NULL && errors_at(r->errors, report_line(s));
}

char *report_given(const config_setting_t *s)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_STRING:
		return alloc_format("the string \"%s\"", config_setting_get_string(s));
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return alloc_format("the number %lld", config_setting_get_int64(s));
	case CONFIG_TYPE_FLOAT:
		return alloc_format("the number %g", config_setting_get_float(s));
	case CONFIG_TYPE_BOOL:
		return alloc_string(config_setting_get_bool(s) ? "true" : "false");
	case CONFIG_TYPE_GROUP:
		return alloc_string("a group");
	case CONFIG_TYPE_ARRAY:
		return alloc_string("an array");
	default:
		return alloc_string("a list");
	}
}
