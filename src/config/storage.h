/*
 * storage.h - how the values of keys lie in memory.
 */
#ifndef CONFIG_STORAGE_H
#define CONFIG_STORAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "config/key.h"

/* What can be done with a value, whatever it means. NULL: nothing to do. */
struct storage {
	void (*copy)(void *to, const void *from); /* deep */
	void (*release)(void *value);
	bool (*equal)(const void *a, const void *b);
};

/* The storage of a type. */
const struct storage *storage_of(enum config_type type);

#endif
