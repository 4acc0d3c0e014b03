/*
 * named.c - see named.h.
 */
#include "config/named.h"

#include <search.h>
#include <string.h>

#include "config/alloc.h"

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void *named_find(const struct named_objects *all, const char *name)
{
	void *const *found = tfind(&name, &all->tree, by_name);

	return found != NULL ? *found : NULL;
}

void named_add(struct named_objects *all, void *it)
{
	alloc_checked(tsearch(it, &all->tree, by_name));
}

void named_end(struct named_objects *all, void (*end)(void *it))
{
	tdestroy(all->tree, end);
	all->tree = NULL;
}
