/*
 * key.h - the key table: every setting is one row.
 *
 * A row drives parsing, the texts of errors, and the lint that finds each key
 * in the man page and the sample. Tables end with a row without a name. The row of
 * a group, or of a list of groups, leads to the table of what is in it; how such a
 * thing is filled, compared and freed is known in one place (fill.c, groups.c).
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
	CONFIG_RATE, /* int64_t, nanoseconds from one to the next, 0: any; written "20/s", "100/m" or "0" */
	CONFIG_TIMES, /* int64_t, see value_times_size: so many in a while, also at once; written as a rate */
	CONFIG_STRING, /* char *, NUL-terminated; NULL if not given and without default */
	CONFIG_TEXT, /* struct config_text, valid UTF-8 */
	CONFIG_CHOICE, /* int, index into choices, counted from min */
	CONFIG_STRINGS, /* char **, NULL-terminated list of strings; NULL: none */
	CONFIG_TEMPLATE, /* struct config_template: a string that is put ahead of messages */
	CONFIG_JSON, /* struct config_template: any setting as JSON text */
	CONFIG_MESSAGE, /* struct config_template: a string as it is, anything else as JSON */
	CONFIG_MODE, /* int64_t, file mode; written "0660" */
	CONFIG_GROUP, /* a group with a table of its own, which fills the object at offset */
	CONFIG_GROUPS, /* pointer to an array: a list of groups, each of which fills an element */
};

struct config_key;
struct config_report;

struct config_text {
	char *data; /* NUL-terminated besides */
	size_t len;
};

/*
 * A text of a behaviour that may have placeholders (template.h). count 0: it has none, and is `text`.
 * One that each connection keeps with its own values is a CONFIG_TEMPLATE, of which a behaviour has one
 * at most.
 */
struct config_placeholder;
struct config_template {
	struct config_text
		written; /* as it was given; the first, for it is what is shown, and compared */
	struct config_text text; /* what it says, but for the values; valid UTF-8 */
	struct config_placeholder *placeholders; /* in the order of the text */
	size_t count;
	bool lent; /* `written` is another one's of the same snapshot, which ends it */
	bool json; /* it is JSON, and so are values within it */
};

/* A group of settings: what they fill, and what no single row can say. */
struct config_group {
	const struct config_key *keys;
	const char *whose; /* `a listener`, in errors; NULL: the name of its key */
	bool mixed; /* has settings of another table, too: check reports those nobody knows */

	/*
	 * Called when the rows of object are filled, except its lists of groups, which are
	 * filled after it. Reports what is wrong and completes object; holder is the object
	 * that the group or the list belongs to. NULL: nothing to do.
	 */
	void (*check)(struct config_report *r, void *holder, void *object);

	/* Ends what check made, ahead of the rows; also if check was not called. NULL: nothing. */
	void (*end)(void *object);
};

/* The elements of CONFIG_GROUPS: an array in the order of the file; NULL if it is not given. */
struct config_list {
	size_t size; /* of an element */
	size_t count; /* offset in the holder: size_t, how many there are */
	size_t file, line; /* offsets in an element: const char * and int, where it stands */
	size_t element; /* offset in an element: unsigned, its number in the order of the text */
	const char *noun; /* begins the errors of an element, its number follows: `listen 2` */
	const char *named_by; /* key whose string follows instead: `endpoint "/a"`; NULL: none */
	bool unnumbered; /* nothing follows */
	const char *plural; /* `listeners`, where there are too many */
	const char *example; /* an element, where a required list is missing */
	const char *empty; /* a warning if there are none: what comes of it; NULL: that is fine */
	const char *unique; /* key of which no two elements may have the same string; NULL: none */
	bool inherits; /* what an element does not set is as in the holder's row of that name */
};

struct config_key {
	const char *name;
	enum config_type type;
	size_t offset; /* of the value in the object that the table fills */
	const char *preset; /* the default, as a user would write it; NULL: none */
	bool required; /* no default: must be given */
	/*
	 * Of a number, ms, bytes; length of a string or list (max 0: any); of a choice: what
	 * its first and its last word stand for (both 0: they count from 0).
	 */
	int64_t min, max;
	const char *const *choices; /* NULL-terminated words of CONFIG_CHOICE */
	const struct config_group *group; /* of CONFIG_GROUP; of each element of CONFIG_GROUPS */
	const struct config_list *list; /* of CONFIG_GROUPS */
	bool restart; /* a change needs a restart; a reload only warns */
	bool secret; /* not to be shown to whoever may not read the file */
	/*
	 * Offset of what came of the value where that stands for another, of the same type and in
	 * the same object; 0: it is what it says.
	 */
	size_t meant;
	bool own; /* in an element of a list that inherits: not from the holder's row of that name */
	bool rooms; /* of an endpoint: only where its behaviour has rooms */
	bool or_string; /* a list of strings: a string is taken for a list of it */
	bool whole; /* a group: where it is, nothing of it comes from the holder's row of that name */
	bool or_bool; /* a choice: false is taken for its first word, true for its second */
};

/*
 * Reports what is wrong with a key of the group that is being checked (NULL:
 * with the whole group). fmt goes on after the key's name, which is put before
 * it in quotes: config_report_error(r, "code", "must be 1000 or ...").
 */
void config_report_error(struct config_report *r, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
