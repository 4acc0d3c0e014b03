/*
 * strings.c - see strings.h.
 */
#include "config/strings.h"

#include <stdlib.h>

#include "config/alloc.h"

struct strings {
	size_t holders;
	char *list[];
};

static struct strings *whole(char **list)
{
	return (struct strings *)((char *)list - offsetof(struct strings, list));
}

char **strings_new(size_t count)
{
	struct strings *s = alloc_zero(1, sizeof(*s) + (count + 1) * sizeof(*s->list));

	s->holders = 1;
	return s->list;
}

char **strings_share(char **list)
{
	if (list != NULL)
		whole(list)->holders++;
	return list;
}

void strings_drop(char **list)
{
	if (list == NULL || --whole(list)->holders > 0)
		return;
	for (char **s = list; *s != NULL; s++)
		free(*s);
	free(whole(list));
}
