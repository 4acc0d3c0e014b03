/*
 * table.c - all behaviours, from behaviours.def.
 */
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
