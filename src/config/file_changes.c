/*
 * file_changes.c - see file_changes.h.
 */
#include "config/file_changes.h"

#include <stdlib.h>

#include "config/alloc.h"

static void compare(struct file_change *c, const struct file_kind *kind)
{
	if (c->old == NULL || c->new == NULL) {
		c->same = c->old == c->new;
		return;
	}
	c->same = kind->same(c->old, c->new);
	if (c->same)
		return;
	c->gone = kind->missing(c->old, c->new, " (goes)");
	c->come = kind->missing(c->new, c->old, " (new)");
}

struct file_change *file_changes_find(struct file_change **all, const struct file_kind *kind,
				      const void *old, const void *new)
{
	struct file_change *c = *all;

	while (c != NULL && (c->old != old || c->new != new))
		c = c->next;
	if (c != NULL)
		return c;
	c = alloc_zero(1, sizeof(*c));
	*c = (struct file_change){ .old = old, .new = new, .next = *all };
	compare(c, kind);
	*all = c;
	return c;
}

void file_changes_free(struct file_change *all)
{
	struct file_change *c;

	while ((c = all) != NULL) {
		all = c->next;
		json_decref(c->gone);
		json_decref(c->come);
		free(c);
	}
}
