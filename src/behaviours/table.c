/*
 * table.c - all behaviours, from behaviours.def.
 */
#include <string.h>

#include "behaviour.h"

#define BEHAVIOUR(name) extern const struct behaviour behaviour_##name;
#include "behaviours/behaviours.def"
#undef BEHAVIOUR

const struct behaviour *const behaviours[] = {
#define BEHAVIOUR(name) &behaviour_##name,
#include "behaviours/behaviours.def"
#undef BEHAVIOUR
	NULL
};

const struct behaviour *behaviour_find(const char *name)
{
	for (const struct behaviour *const *b = behaviours; *b; b++)
		if (strcmp((*b)->name, name) == 0)
			return *b;
	return NULL;
}
