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

static json_t *show_missing(const void *those, const void *not_those, const char *mark)
{
	const struct jwk_set *all = those, *others = not_those;
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

static bool same(const void *a, const void *b)
{
	return jwk_same(a, b);
}

const struct file_kind key_changes = { same, show_missing };
