/*
 * token_changes.c - see token_changes.h.
 */
#include "config/token_changes.h"

#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/config.h"
#include "config/tokens.h"

enum { SHOWN = 100 };

static int by_name(const void *a, const void *b)
{
	const struct config_token *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* The caller frees it. */
static const struct config_token **sort_by_name(const struct config_tokens *all)
{
	const struct config_token **sorted = alloc_zero(all->count + 1, sizeof(*sorted));

	for (size_t i = 0; i < all->count; i++)
		sorted[i] = &all->list[i];
	qsort(sorted, all->count, sizeof(*sorted), by_name);
	return sorted;
}

json_t *token_changes_show_all(const struct config_tokens *all, const struct config_tokens *others,
			       const char *mark)
{
	static const char *const scopes[] = { "read", "publish", "manage" };
	const struct config_token **sorted = sort_by_name(all);
	json_t *list = json_array();

	for (size_t i = 0; i < all->count; i++) {
		const struct config_token *t = sorted[i];

		json_array_append_new(list, json_sprintf("%s %s%s", t->name, scopes[t->scope],
							 tokens_have(others, t) ? "" : mark));
	}
	free(sorted);
	return list;
}

/* By name, 100 at most. */
static json_t *show_missing(const void *those, const void *not_those, const char *mark)
{
	const struct config_tokens *all = those, *others = not_those;
	const struct config_token **sorted = sort_by_name(all);
	json_t *list = json_array();
	size_t more = 0;

	for (size_t i = 0; i < all->count; i++) {
		if (tokens_have(others, sorted[i]))
			continue;
		if (json_array_size(list) < SHOWN)
			json_array_append_new(list, json_sprintf("%s%s", sorted[i]->name, mark));
		else
			more++;
	}
	if (more > 0)
		json_array_append_new(list, json_sprintf("and %zu more%s", more, mark));
	free(sorted);
	return list;
}

static bool same(const void *a, const void *b)
{
	return tokens_same(a, b);
}

const struct file_kind token_changes = { same, show_missing };
