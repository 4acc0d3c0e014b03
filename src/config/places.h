/*
 * places.h - where the settings of a snapshot were set.
 */
#ifndef CONFIG_PLACES_H
#define CONFIG_PLACES_H

#include <stddef.h>

#include "config/key.h"

/* A row whose setting is given, in one element of the lists or at the top level (0). */
struct place {
	const struct config_key *key;
	const char *file; /* of the snapshot */
	unsigned element;
	int line;
};

/* Zeroed there are none. */
struct places {
	struct place *all;
	size_t count, cap;
};

void places_note(struct places *p, const struct place *place);

/* When all are there. */
void places_sort(struct places *p);

/* NULL: it is not given there. */
const struct place *places_find(const struct places *p, unsigned element,
				const struct config_key *k);

void places_free(struct places *p);

#endif
