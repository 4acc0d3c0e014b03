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

static void find_group_owners(const struct config_key *k, const char *name, struct words *owners)
{
	for (; k->name != NULL; k++) {
		if (k->type == CONFIG_GROUP && key_find(k->group, name) != NULL)
			words_add(owners, k->name);
	}
}

/* Who else has a key of that name. */
static void find_owners(const struct parse *p, const char *name, struct words *owners)
{
	find_group_owners(table_global, name, owners);
	find_group_owners(table_listen, name, owners);
	if (key_find(table_global, name) != NULL)
		words_add(owners, "the top level");
	if (key_find(table_listen, name) != NULL)
		words_add(owners, "a listener");
	if (key_find(table_certificate, name) != NULL)
		words_add(owners, "a certificate");
	if (key_find(table_endpoint, name) != NULL)
		words_add(owners, "an endpoint");
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

static void report_known_elsewhere(const struct parse *p, struct config_report *r,
				   const config_setting_t *s, const char *scope,
				   const struct config_key *keys, const struct config_key *more)
{
	struct words owners = { 0 };

	find_owners(p, config_setting_name(s), &owners);
	if (owners.count > 0)
		report_owned(r, s, scope, &owners);
	else
		report_unknown(r, s, keys, more);
	free(owners.list);
}

static void look_into_group(const struct parse *p, const struct config_report *r,
			    const config_setting_t *s, const struct config_key *k)
{
	struct config_report sub;
	char *label = report_enter(r, k->name, s, &sub);

	unknown_report(p, &sub, k->name, k->group, NULL);
	free(label);
}

void unknown_report(const struct parse *p, struct config_report *r, const char *scope,
		    const struct config_key *keys, const struct config_key *more)
{
	for (int i = 0; i < config_setting_length(r->group); i++) {
		const config_setting_t *s = config_setting_get_elem(r->group, (unsigned)i);
		const struct config_key *k = key_find(keys, config_setting_name(s));

		if (k == NULL)
			k = key_find(more, config_setting_name(s));
		if (k == NULL)
			report_known_elsewhere(p, r, s, scope, keys, more);
		else if (k->type == CONFIG_GROUP && config_setting_is_group(s))
			look_into_group(p, r, s, k);
	}
}
