/*
 * storage.h - how the values of keys lie in memory.
 */
#ifndef CONFIG_STORAGE_H
#define CONFIG_STORAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "config/key.h"

/* What can be done with the value of k, whatever it means. */
struct storage {
	/*
	 * Makes a copy in zeroed memory, which ends with the snapshot that *from is of, too. NULL: it is
	 * never copied as a whole.
	 */
	void (*copy)(const struct config_key *k, void *to, const void *from);
	void (*release)(const struct config_key *k, void *value); /* NULL: nothing to do */
	bool (*equal)(const struct config_key *k, const void *a, const void *b);
};

extern const struct storage storage_flag; /* bool */
extern const struct storage storage_number; /* int64_t */
extern const struct storage storage_choice; /* int */
extern const struct storage storage_string; /* char * */
extern const struct storage storage_text; /* struct config_text */
extern const struct storage storage_template; /* struct config_template */
extern const struct storage storage_strings; /* char **, NULL-terminated */
extern const struct storage storage_group; /* an object, by its table (fill.c) */
extern const struct storage storage_groups; /* an array of such (groups.c) */

#endif
