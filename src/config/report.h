/*
 * report.h - reporting while one group is being read.
 */
#ifndef CONFIG_REPORT_H
#define CONFIG_REPORT_H

#include <libconfig.h>
#include <stdbool.h>

#include "config/key.h"

struct config_errors;
struct config_source;
struct parse;

/* Behind the name that behaviours know: what the texts of one group begin with. */
struct config_report {
	struct config_errors *errors;
	const struct config_source *source;
	const config_setting_t *group;
	const char *label; /* `listen 2`, `endpoint "/chat"`; NULL at the top level */
	unsigned element; /* of the lists, that the group is or is in, from 1; 0: the top level */
	struct parse *parse; /* of the whole configuration (parse.h) */
};

/*
 * The line of a setting in the expanded text. libconfig notes the line of what
 * follows a string in a list; report_set_line corrects it (see syntax.c).
 */
unsigned report_line(const config_setting_t *s);
void report_set_line(config_setting_t *s, unsigned line);

/* An error at a setting, without and with the name of the key before it. */
void report_error(struct config_report *r, const config_setting_t *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void report_key(struct config_report *r, const config_setting_t *at, const char *key,
		const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void report_warning(struct config_report *r, const config_setting_t *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Begins the report of a group within r's: its label is that of r with the
 * group's name behind it. Returns the label, which the caller frees when done.
 */
char *report_enter(const struct config_report *r, const char *name, const config_setting_t *group,
		   struct config_report *out) __attribute__((warn_unused_result));

/*
 * Whether the key is there but has an error already. What needs or excludes it is
 * then not known to be wrong, and would only be told of a mistake that is not there.
 */
bool report_is_wrong(const struct config_report *r, const char *key);

/* What is given, for "..., not %s": the string "x", the number 3, a group. Caller frees. */
char *report_given(const config_setting_t *s);

#endif
