/*
 * key.h - the key table: every setting is one row.
 *
 * A row drives parsing, the texts of errors, and the lint that finds each key
 * in the man page and the sample. Tables end with a row without a name.
 */
#ifndef CONFIG_KEY_H
#define CONFIG_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_type {
	CONFIG_BOOL, /* bool */
	CONFIG_INT, /* int64_t */
	CONFIG_DURATION, /* int64_t, milliseconds; written "30s", "250ms", "5m", "1h" or "0" */
	CONFIG_SIZE, /* int64_t, bytes; written "64K", "1M", "512" */
	CONFIG_STRING, /* char *, NUL-terminated; NULL if not given and without default */
	CONFIG_TEXT, /* struct config_text, valid UTF-8 */
	CONFIG_CHOICE, /* int, index into choices */
	CONFIG_STRINGS, /* char **, NULL-terminated list of strings; NULL: none */
	CONFIG_JSON, /* struct config_text: any setting as JSON text */
	CONFIG_MESSAGE, /* struct config_text: a string as it is, anything else as JSON */
	CONFIG_MODE, /* int64_t, file mode; written "0660" */
	CONFIG_GROUP, /* a group with a table of its own, which fills the object at offset */
	CONFIG_GROUPS, /* a list of groups, each with a table of its own; no value here */
};

struct config_text {
	char *data; /* NUL-terminated besides */
	size_t len;
};

struct config_key {
	const char *name;
	enum config_type type;
	size_t offset; /* of the value in the object that the table fills */
	const char *preset; /* the default, as a user would write it; NULL: none */
	bool required; /* no default: must be given */
	int64_t min, max; /* of a number, ms, bytes; length of a string or list (max 0: any) */
	const char *const *choices; /* NULL-terminated words of CONFIG_CHOICE */
	const struct config_key *group; /* the table of CONFIG_GROUP */
	bool restart; /* a change needs a restart; a reload only warns */
};

/*
 * Reports what is wrong with a key of the group that is being checked (NULL:
 * with the whole group). fmt goes on after the key's name, which is put before
 * it in quotes: config_report_error(r, "code", "must be 1000 or ...").
 */
struct config_report;
void config_report_error(struct config_report *r, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
