/*
 * json_memory.c - see json_memory.h.
 */
#include "proto/json_memory.h"

#include <errno.h>
#include <stdlib.h>

static bool is_short;

static void *take(size_t n)
{
	void *p = malloc(n);

	is_short |= !p;
	return p;
}

/* What was taken before is given back to the same free. */
void json_memory_watch(void)
{
	static bool watched;

	if (!watched)
		json_set_alloc_funcs(take, free);
	watched = true;
	is_short = false;
}

bool json_memory_is_short(void)
{
	return is_short;
}

json_t *json_memory_read(const void *bytes, size_t len, size_t flags, json_error_t *error)
{
	json_t *j;

	json_memory_watch();
	j = json_loadb(bytes, len, flags, error);
	if (is_short) {
		json_decref(j);
		j = NULL;
	}
	errno = is_short ? ENOMEM : 0;
	return j;
}
