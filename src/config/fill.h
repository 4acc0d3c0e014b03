/*
 * fill.h - from the settings of a group to the object of a key table.
 */
#ifndef CONFIG_FILL_H
#define CONFIG_FILL_H

#include <libconfig.h>
#include <stdbool.h>

#include "config/key.h"
#include "config/report.h"

/* A table with an object that it fills. */
struct key_object {
	const struct config_key *keys;
	void *object;
};

/*
 * Fills object, which is zeroed, by the rows of keys from r->group. A key that
 * is not given takes the value of the row of the same name in above (NULL: there
 * is no such), else its preset; so does one that is wrong, after a report. Settings
 * that are in no row are not looked at. Lists of groups come last.
 */
void fill_object(struct config_report *r, struct key_object o, const struct key_object *above);

/*
 * The same for a group as a whole: also reports the settings that nobody knows (unless
 * it is mixed), and calls its check. name: of its key, where it has one.
 */
void fill_group(struct config_report *r, const struct config_group *g, const char *name,
		void *holder, void *object, const struct key_object *above);

/* Ends what a table, a group as a whole, allocated in its object, not the object. */
void fill_free(struct key_object o);
void fill_end(const struct config_group *g, void *object);

/* Whether a row, all rows of a table, have the same value in two objects. */
bool fill_equal(const struct config_key *k, const void *a, const void *b);
bool fill_same(const struct config_key *keys, const void *a, const void *b);

/* Sets the preset of a row. false: it is not of the row's type (the table is wrong). */
bool fill_preset(const struct config_key *k, void *object);

/* The row of a name. NULL: none. */
const struct config_key *key_find(const struct config_key *keys, const char *name);

/* Where the value of a row is in the object of its table. */
void *key_value(const struct config_key *k, void *object);

#endif
