/*
 * key_changes.c - see key_changes.h.
 *
 * A key without a name is called by the beginning of its digest, which says nothing of a secret.
 */
#include "config/key_changes.h"

#include <stdlib.h>

#include "config/alloc.h"
#include "config/jwk.h"
#include "config/shown.h"

static char *name_of(const struct jws_key *k, const char *mark)
{
	if (k->kid != NULL)
		return alloc_format("%s%s", k->kid, mark);
	return alloc_format("%02x%02x%02x%02x%s", k->print[0], k->print[1], k->print[2],
			    k->print[3], mark);
}

/* Those of all that others have not. */
static json_t *show_missing(const struct jwk_set *all, const struct jwk_set *others,
			    const char *mark)
{
	json_t *list = json_array();

	for (size_t i = 0; i < all->count; i++) {
		char *name;

		if (jwk_has(others, all, &all->list[i]))
			continue;
		name = name_of(&all->list[i], mark);
		json_array_append_new(list, show_string(name));
		free(name);
	}
	return list;
}

static void compare(struct key_change *c)
{
	if (c->old == NULL || c->new == NULL) {
		c->same = c->old == c->new;
		return;
	}
	c->same = jwk_same(c->old, c->new);
	if (c->same)
		return;
	c->gone = show_missing(c->old, c->new, " (goes)");
	c->come = show_missing(c->new, c->old, " (new)");
}

struct key_change *key_changes_find(struct key_change **all, const struct jwk_set *old,
				    const struct jwk_set *new)
{
	struct key_change *c = *all;

	while (c != NULL && (c->old != old || c->new != new))
		c = c->next;
	if (c != NULL)
		return c;
	c = alloc_zero(1, sizeof(*c));
	*c = (struct key_change){ .old = old, .new = new, .next = *all };
	compare(c);
	*all = c;
	return c;
}

void key_changes_free(struct key_change *all)
{
	struct key_change *c;

	while ((c = all) != NULL) {
		all = c->next;
		json_decref(c->gone);
		json_decref(c->come);
		free(c);
	}
}
