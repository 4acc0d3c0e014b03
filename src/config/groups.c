/*
 * groups.c - lists of groups.
 *
 * The row says what an element is and what errors call it; here an array is made
 * of that, one element for each group of the list. An element is counted before it
 * is filled: its check sees it and those before it in the array, and whatever
 * happens it is freed with them.
 */
#include "config/groups.h"

#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "config/alloc.h"
#include "config/parse.h"
#include "config/storage.h"
#include "config/type.h"

/* A list while it is being read. */
struct groups {
	struct config_report *report; /* of the group that has the list */
	const struct config_key *key;
	const struct config_list *list; /* of the key */
	struct key_object holder;
	const config_setting_t *setting;
	struct given *given; /* for each element of the array */
};

/* What an element comes from. */
struct given {
	const config_setting_t *group;
	int number; /* in the list, from 1 */
};

static size_t *count_of(const struct config_key *k, void *holder)
{
	return (size_t *)((char *)holder + k->list->count);
}

/* The array is of a type that is not known here: its address is copied as bytes. */
static char *array_of(const struct config_key *k, void *holder)
{
	char *array;

	memcpy(&array, key_value(k, holder), sizeof(array));
	return array;
}

static char *element_of(const struct config_key *k, void *holder, size_t i)
{
	return array_of(k, holder) + i * k->list->size;
}

static char *element_at(const struct groups *g, size_t i)
{
	return element_of(g->key, g->holder.object, i);
}

/* --- what is wrong with the list --- */

static void report_missing(struct config_report *r, const struct config_key *k)
{
	if (k->min > 0)
		config_report_error(r, NULL, "needs %s: %s = ( %s );", k->group->whose, k->name,
				    k->list->example);
	else
		config_report_error(r, NULL, "missing setting \"%s\", for example: %s = ( %s );",
				    k->name, k->name, k->list->example);
}

static bool check_list(const struct groups *g)
{
	const struct config_key *k = g->key;
	int n;

	if (!config_setting_is_list(g->setting)) {
		type_report_expected(&(struct reading){ g->report, k, g->setting }, g->setting);
		return false;
	}
	n = config_setting_length(g->setting);
	if (n < k->min)
		report_missing(g->report, k);
	else if (n == 0 && g->list->empty != NULL)
		report_warning(g->report, g->setting, "\"%s\" is empty: %s", k->name,
			       g->list->empty);
	if (k->max == 0 || n <= k->max)
		return true;
	report_error(g->report, g->setting, "\"%s\" has %d %s; at most %lld are possible", k->name,
		     n, g->list->plural, (long long)k->max);
	return false;
}

/* --- an element --- */

static char *name_of(const struct config_list *l, struct given given)
{
	const config_setting_t *name =
		l->named_by != NULL ? config_setting_get_member(given.group, l->named_by) : NULL;

	if (l->unnumbered)
		return alloc_string(l->noun);
	if (name != NULL && config_setting_type(name) == CONFIG_TYPE_STRING)
		return alloc_format("%s \"%s\"", l->noun, config_setting_get_string(name));
	return alloc_format("%s %d", l->noun, given.number);
}

/* Begins the report of an element. Returns its label, which the caller frees. */
static char *enter(const struct groups *g, struct given given, struct config_report *out)
{
	char *name = name_of(g->list, given);
	char *label = report_enter(g->report, name, given.group, out);

	free(name);
	return label;
}

static void fill_element(const struct groups *g, struct given given)
{
	const struct config_list *l = g->list;
	size_t *count = count_of(g->key, g->holder.object);
	char *e = element_at(g, *count);
	struct config_report r;
	char *label = enter(g, given, &r);

	g->given[(*count)++] = given;
	parse_place(r.parse, given.group, (const char **)(e + l->file), (int *)(e + l->line));
	r.element = *(unsigned *)(e + l->element) = ++r.parse->elements;
	fill_group(&r, g->key->group, g->key->name, g->holder.object, e,
		   l->inherits ? &g->holder : NULL);
	free(label);
}

static void report_no_group(const struct groups *g, const config_setting_t *s, int number)
{
	char *given = report_given(s);

	report_error(g->report, s, "%s %d: must be a group: { ... }, not %s", g->list->noun, number,
		     given);
	free(given);
}

static void fill_elements(const struct groups *g, int n)
{
	void *array = alloc_zero((size_t)n, g->list->size);

	memcpy(key_value(g->key, g->holder.object), &array, sizeof(array));
	for (int i = 0; i < n; i++) {
		const config_setting_t *s = config_setting_get_elem(g->setting, (unsigned)i);

		metrics_beat();
		if (config_setting_is_group(s))
			fill_element(g, (struct given){ s, i + 1 });
		else
			report_no_group(g, s, i + 1);
	}
}

/* --- what must not be there twice --- */

struct named {
	const char *name;
	size_t index, first; /* its own in the array, and that of the first of its name */
};

static int by_index(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	return (x->index > y->index) - (x->index < y->index);
}

static int by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order != 0 ? order : by_index(a, b);
}

static void report_duplicate(const struct groups *g, const struct named *n)
{
	const char *first = element_at(g, n->first);
	struct config_report r;
	char *label = enter(g, g->given[n->index], &r);

	config_report_error(&r, g->list->unique, "is declared already at %s:%d",
			    *(const char *const *)(first + g->list->file),
			    *(const int *)(first + g->list->line));
	free(label);
}

/* Those that have a name at all. Returns how many. */
static size_t find_named(const struct groups *g, struct named *all, size_t count)
{
	const struct config_key *k = key_find(g->key->group->keys, g->list->unique);
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		const char *name = *(char **)key_value(k, element_at(g, i));

		if (name != NULL)
			all[n++] = (struct named){ name, i, i };
	}
	return n;
}

/* Neighbours are compared in the order of names, and reported in that of the file. */
static void check_unique(const struct groups *g)
{
	size_t count = *count_of(g->key, g->holder.object);
	struct named *all = alloc_zero(count, sizeof(*all));
	size_t n = find_named(g, all, count);

	qsort(all, n, sizeof(*all), by_name);
	for (size_t i = 1; i < n; i++)
		if (strcmp(all[i].name, all[i - 1].name) == 0)
			all[i].first = all[i - 1].first;
	qsort(all, n, sizeof(*all), by_index);
	for (size_t i = 0; i < n; i++)
		if (all[i].first != all[i].index)
			report_duplicate(g, &all[i]);
	free(all);
}

/* --- all of them --- */

void groups_fill(struct config_report *r, const struct config_key *k, struct key_object holder)
{
	struct groups g = { .report = r,
			    .key = k,
			    .list = k->list,
			    .holder = holder,
			    .setting = config_setting_get_member(r->group, k->name) };
	int n;

	if (g.setting == NULL && k->required)
		report_missing(r, k);
	if (g.setting != NULL)
		parse_note_place(r, k, g.setting);
	if (g.setting == NULL || !check_list(&g))
		return;
	n = config_setting_length(g.setting);
	g.given = alloc_zero((size_t)n, sizeof(*g.given));
	fill_elements(&g, n);
	if (g.list->unique != NULL)
		check_unique(&g);
	free(g.given);
}

/* --- the form of a list --- */

static void groups_release(const struct config_key *k, void *value)
{
	char *holder = (char *)value - k->offset;

	for (size_t i = 0; i < *count_of(k, holder); i++)
		fill_end(k->group, element_of(k, holder, i));
	free(array_of(k, holder));
}

static bool groups_equal(const struct config_key *k, const void *a, const void *b)
{
	/* nothing is written to */
	char *x = (char *)a - k->offset, *y = (char *)b - k->offset;
	size_t n = *count_of(k, x);

	if (n != *count_of(k, y))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!fill_same(k->group->keys, element_of(k, x, i), element_of(k, y, i)))
			return false;
	return true;
}

const struct storage storage_groups = { NULL, groups_release, groups_equal };
