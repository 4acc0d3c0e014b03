/*
 * unknown.c - settings that nobody knows.
 *
 * Three things may have happened, and each has its own help: a slip (the
 * nearest key that may stand here), a key of another behaviour, or a key that
 * belongs to another level of the file.
 */
#include <stdlib.h>
#include <string.h>

#include "behaviour.h"
#include "config/alloc.h"
#include "config/parse.h"
#include "config/suggest.h"
#include "config/tables.h"

struct words {
	const char **list; /* NULL-terminated when finished */
	size_t count, cap;
};

static void words_add(struct words *w, const char *word)
{
	w->list = alloc_grow(w->list, w->count + 1, &w->cap, sizeof(*w->list));
	w->list[w->count++] = word;
	w->list[w->count] = NULL;
}

static void words_add_keys(struct words *w, const struct config_key *keys)
{
	for (; keys != NULL && keys->name != NULL; keys++)
		words_add(w, keys->name);
}

/* Groups of one name and table may stand in several places. */
static bool words_have(const struct words *w, const char *word)
{
	for (size_t i = 0; i < w->count; i++)
		if (strcmp(w->list[i], word) == 0)
			return true;
	return false;
}

/* The groups that have a key of that name, by the names of their own keys. */
static void find_groups(const struct config_key *keys, const char *name, struct words *owners)
{
	for (const struct config_key *k = keys; k->name != NULL; k++) {
		if (k->group == NULL)
			continue;
		if (k->type == CONFIG_GROUP && key_find(k->group->keys, name) != NULL &&
		    !words_have(owners, k->name))
			words_add(owners, k->name);
		find_groups(k->group->keys, name, owners);
	}
}

/* The top level and the elements of lists that have one. */
static void find_levels(const struct config_group *g, const char *name, struct words *owners)
{
	if (g->whose != NULL && key_find(g->keys, name) != NULL && !words_have(owners, g->whose))
		words_add(owners, g->whose);
	for (const struct config_key *k = g->keys; k->name != NULL; k++)
		if (k->group != NULL)
			find_levels(k->group, name, owners);
}

/* Who else has a key of that name. */
static void find_owners(const struct parse *p, const char *name, struct words *owners)
{
	find_groups(p->tables->keys, name, owners);
	find_levels(p->tables, name, owners);
	for (size_t i = 0; p->behaviours[i] != NULL; i++) {
		if (key_find(p->behaviours[i]->keys, name) != NULL)
			words_add(owners, p->behaviours[i]->name);
	}
}

static void report_owned(struct config_report *r, const config_setting_t *s, const char *scope,
			 const struct words *owners)
{
	char *list = suggest_list(owners->list, "", "and");

	report_key(r, s, config_setting_name(s), "is a setting of %s, not of %s", list, scope);
	free(list);
}

static void report_unknown(struct config_report *r, const config_setting_t *s,
			   const struct config_key *keys, const struct config_key *more)
{
	const char *name = config_setting_name(s), *nearest;
	struct words known = { 0 };

	words_add_keys(&known, keys);
	words_add_keys(&known, more);
	nearest = suggest_nearest(name, known.list);
	if (nearest != NULL)
		report_error(r, s, "unknown setting \"%s\" (did you mean \"%s\"?)", name, nearest);
	else
		report_error(r, s, "unknown setting \"%s\"", name);
	free(known.list);
}

static void report_one(struct config_report *r, const config_setting_t *s, const char *scope,
		       const struct config_key *keys, const struct config_key *more)
{
	struct words owners = { 0 };

	find_owners(r->parse, config_setting_name(s), &owners);
	if (owners.count > 0)
		report_owned(r, s, scope, &owners);
	else
		report_unknown(r, s, keys, more);
	free(owners.list);
}

void unknown_report(struct config_report *r, const char *scope, const struct config_key *keys,
		    const struct config_key *more)
{
	for (int i = 0; i < config_setting_length(r->group); i++) {
		const config_setting_t *s = config_setting_get_elem(r->group, (unsigned)i);
		const char *name = config_setting_name(s);

		if (key_find(keys, name) == NULL && key_find(more, name) == NULL)
			report_one(r, s, scope, keys, more);
	}
}
