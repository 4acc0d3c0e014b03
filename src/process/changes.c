/*
 * changes.c - see changes.h.
 *
 * An operator who edited one line looks whether the journal counts one change: so it is told what
 * is different in force, not what is different in the file.
 */
#include "process/changes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"

struct settings {
	char *out;
	unsigned count;
};

static void __attribute__((format(printf, 2, 3))) add(char out[CHANGES_MAX], const char *fmt, ...)
{
	size_t len = strlen(out);
	va_list args;

	va_start(args, fmt);
	vsnprintf(out + len, CHANGES_MAX - len, fmt, args);
	va_end(args);
}

static void add_setting(const char *key, void *arg)
{
	struct settings *s = arg;

	add(s->out, "%s%s", s->count++ == 0 ? "; settings changed: " : ", ", key);
}

void changes_describe(const struct config *old, const struct config *new, char out[CHANGES_MAX])
{
	struct config_diff endpoints = config_diff_endpoints(old, new);
	struct config_diff listeners = config_diff_listeners(old, new);
	unsigned certificates = config_new_certificates(old, new);
	struct settings settings = { .out = out };

	out[0] = '\0';
	add(out, "%u endpoints added, %u changed, %u removed", endpoints.added, endpoints.changed,
	    endpoints.removed);
	if (listeners.added + listeners.changed + listeners.removed > 0)
		add(out, "; listeners: %u added, %u changed, %u removed", listeners.added,
		    listeners.changed, listeners.removed);
	if (certificates > 0)
		add(out, "; %u new certificates", certificates);
	config_changed_keys(old, new, false, add_setting, &settings);
}
