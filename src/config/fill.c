/*
 * fill.c - the rows of a table at work.
 *
 * A wrong key is reported and then takes its default, so that one mistake is one
 * error and the checks that follow see sound values. A group is filled in three
 * steps: its rows, the check of what no row can say, its lists of groups. A list
 * comes after the check because its elements may take their defaults, or what
 * they are compared with, from the object that holds them.
 */
#include "config/fill.h"

#include <stdlib.h>
#include <string.h>

#include "config/groups.h"
#include "config/parse.h"
#include "config/storage.h"
#include "config/type.h"

void *key_value(const struct config_key *k, void *object)
{
	return (char *)object + k->offset;
}

/* --- one value --- */

static void release(const struct config_key *k, void *value)
{
	const struct storage *s = type_of(k)->storage;

	if (s->release != NULL)
		s->release(k, value);
}

bool fill_preset(const struct config_key *k, void *object)
{
	return k->preset == NULL || type_of(k)->from_text(k, k->preset, key_value(k, object));
}

static bool read_value(const struct reading *rd, void *value)
{
	static const union {
		int64_t number;
		void *pointer;
		struct config_text text;
		struct config_template template;
	} none;
	const struct type *t = type_of(rd->key);

	if (t->from_setting(rd, value) && (t->check == NULL || t->check(rd, value)))
		return true;
	release(rd->key, value);
	t->storage->copy(rd->key, value, &none);
	return false;
}

/* --- what is not given --- */

/* The object of a CONFIG_GROUP row. */
static struct key_object group_of(const struct config_key *k, void *object)
{
	return (struct key_object){ k->group->keys, key_value(k, object) };
}

/* The same group one level up, if there is one. */
static const struct key_object *group_above(const struct config_key *k,
					    const struct key_object *above, struct key_object *out)
{
	const struct config_key *up = above != NULL ? key_find(above->keys, k->name) : NULL;

	if (up == NULL)
		return NULL;
	*out = group_of(up, above->object);
	return out;
}

static void fill_default(const struct config_key *k, void *object, const struct key_object *above)
{
	const struct config_key *up =
		above != NULL && !k->own ? key_find(above->keys, k->name) : NULL;
	struct key_object upper;

	if (k->type == CONFIG_GROUP) {
		const struct key_object *from = group_above(k, above, &upper);

		for (const struct config_key *m = k->group->keys; m->name != NULL; m++)
			fill_default(m, key_value(k, object), from);
	} else if (k->type == CONFIG_GROUPS) {
		return; /* a list that is not given has no elements */
	} else if (up != NULL) {
		type_of(k)->storage->copy(k, key_value(k, object), key_value(up, above->object));
	} else {
		fill_preset(k, object);
	}
}

/* --- one row --- */

/* What is not in the group comes from the same group above, member by member. */
static bool read_group(const struct reading *rd, void *object, const struct key_object *above)
{
	const struct config_key *k = rd->key;
	struct config_report sub;
	struct key_object upper;
	char *label;

	if (!config_setting_is_group(rd->setting)) {
		type_report_expected(rd, rd->setting);
		return false;
	}
	label = report_enter(rd->report, k->name, rd->setting, &sub);
	fill_group(&sub, k->group, k->name, object, key_value(k, object),
		   k->whole ? NULL : group_above(k, above, &upper));
	free(label);
	return true;
}

static bool read_setting(const struct reading *rd, void *object, const struct key_object *above)
{
	return rd->key->type == CONFIG_GROUP ? read_group(rd, object, above)
					     : read_value(rd, key_value(rd->key, object));
}

static void fill_row(struct config_report *r, const struct config_key *k, void *object,
		     const struct key_object *above)
{
	struct reading rd = { r, k, config_setting_get_member(r->group, k->name) };

	if (rd.setting != NULL)
		parse_note_place(r, k, rd.setting);
	if (rd.setting != NULL && read_setting(&rd, object, above))
		return;
	if (rd.setting == NULL && k->required)
		report_error(r, r->group, "missing setting \"%s\"", k->name);
	fill_default(k, object, above);
}

/* --- a table, a group --- */

static void fill_rows(struct config_report *r, struct key_object o, const struct key_object *above)
{
	for (const struct config_key *k = o.keys; k != NULL && k->name != NULL; k++) {
		if (k->type != CONFIG_GROUPS)
			fill_row(r, k, o.object, above);
	}
}

static void fill_lists(struct config_report *r, struct key_object o)
{
	for (const struct config_key *k = o.keys; k != NULL && k->name != NULL; k++) {
		if (k->type == CONFIG_GROUPS)
			groups_fill(r, k, o);
	}
}

void fill_object(struct config_report *r, struct key_object o, const struct key_object *above)
{
	fill_rows(r, o, above);
	fill_lists(r, o);
}

void fill_group(struct config_report *r, const struct config_group *g, const char *name,
		void *holder, void *object, const struct key_object *above)
{
	struct key_object o = { g->keys, object };

	if (!g->mixed)
		unknown_report(r, g->whose != NULL ? g->whose : name, g->keys, NULL);
	fill_rows(r, o, above);
	if (g->check != NULL)
		g->check(r, holder, object);
	fill_lists(r, o);
}

void fill_free(struct key_object o)
{
	for (const struct config_key *k = o.keys; k != NULL && k->name != NULL; k++)
		release(k, key_value(k, o.object));
}

void fill_end(const struct config_group *g, void *object)
{
	if (g->end != NULL)
		g->end(object);
	fill_free((struct key_object){ g->keys, object });
}

bool fill_same(const struct config_key *k, const void *a, const void *b)
{
	for (; k != NULL && k->name != NULL; k++) {
		if (!fill_equal(k, a, b))
			return false;
	}
	return true;
}

bool fill_equal(const struct config_key *k, const void *a, const void *b)
{
	return type_of(k)->storage->equal(k, (const char *)a + k->offset,
					  (const char *)b + k->offset);
}

const struct config_key *key_find(const struct config_key *keys, const char *name)
{
	for (; keys != NULL && keys->name != NULL; keys++) {
		if (strcmp(keys->name, name) == 0)
			return keys;
	}
	return NULL;
}

/* --- the form of a group --- */

static void group_release(const struct config_key *k, void *value)
{
	fill_end(k->group, value);
}

static bool group_equal(const struct config_key *k, const void *a, const void *b)
{
	return fill_same(k->group->keys, a, b);
}

const struct storage storage_group = { NULL, group_release, group_equal };
