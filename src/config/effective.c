/*
 * effective.c - see effective.h.
 *
 * The tables are gone through as they are when a text is read, beside the object that was filled, so
 * a new row is told of without a line here. What an element of a list does not set it has from the
 * level above, and then that is where it was set.
 */
#include "config/effective.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour.h"
#include "config/alloc.h"
#include "config/fill.h"
#include "config/shown.h"
#include "config/tables.h"

/* A table with its object, within another. */
struct level {
	const struct snapshot *snapshot;
	const struct config_key *keys;
	const char *object;
	unsigned element;
	const struct level *above; /* whose rows of the same names are the defaults; NULL: none */
	const struct level *outer; /* NULL: it is the top level */
	const char *name; /* in outer */
	size_t index; /* NO_INDEX: it is no element of a list */
};

static const size_t NO_INDEX = (size_t)-1;

struct walk {
	const struct snapshot *started;
	size_t number, from;
	bool (*fn)(const struct effective *e, void *arg);
	void *arg;
};

/* --- one row --- */

/* Returns how much is written. */
static size_t write_prefix(const struct level *l, char *out)
{
	size_t n;

	if (l->outer == NULL)
		return 0;
	n = write_prefix(l->outer, out);
	if (l->index == NO_INDEX)
		n += (size_t)snprintf(out + n, EFFECTIVE_KEY_MAX - n, "%s.", l->name);
	else
		n += (size_t)snprintf(out + n, EFFECTIVE_KEY_MAX - n, "%s[%zu].", l->name,
				      l->index);
	return n;
}

static const struct place *find_place(const struct level *l, const struct config_key *k)
{
	const struct place *at = places_find(&l->snapshot->places, l->element, k);
	const struct config_key *up;

	if (at != NULL || l->above == NULL || k->own)
		return at;
	up = key_find(l->above->keys, k->name);
	return up != NULL ? find_place(l->above, up) : NULL;
}

static bool tell(struct walk *w, const struct level *l, const struct config_key *k, bool absent)
{
	struct effective e = { .number = w->number++,
			       .reload = !k->restart,
			       .row = k,
			       .object = l->object,
			       .absent = absent };
	const struct place *at;
	size_t n;

	if (e.number < w->from)
		return true;
	n = write_prefix(l, e.key);
	snprintf(e.key + n, sizeof(e.key) - n, "%s", k->name);
	at = find_place(l, k);
	if (at != NULL) {
		e.file = at->file;
		e.line = at->line;
	}
	return w->fn(&e, w->arg);
}

/* --- what has rows of its own --- */

static bool walk_rows(struct walk *w, const struct level *l);

/* The same group one level up, if there is one. */
static const struct level *group_above(const struct level *l, const struct config_key *k,
				       struct level *out)
{
	const struct config_key *up = l->above != NULL ? key_find(l->above->keys, k->name) : NULL;

	if (up == NULL)
		return NULL;
	*out = *l->above;
	out->keys = up->group->keys;
	out->object = l->above->object + up->offset;
	out->above = NULL;
	return out;
}

static bool walk_group(struct walk *w, const struct level *l, const struct config_key *k)
{
	struct level upper, inner = *l;

	inner.keys = k->group->keys;
	inner.object = l->object + k->offset;
	inner.above = group_above(l, k, &upper);
	inner.outer = l;
	inner.name = k->name;
	inner.index = NO_INDEX;
	return walk_rows(w, &inner);
}

static unsigned number_of(const struct config_key *k, const char *element)
{
	return *(const unsigned *)(element + k->list->element);
}

static int by_number(const void *a, const void *b, void *key)
{
	unsigned x = number_of(key, *(const char *const *)a);
	unsigned y = number_of(key, *(const char *const *)b);

	return (x > y) - (x < y);
}

static bool walk_element(struct walk *w, const struct level *inner)
{
	const struct config_endpoint *e = (const void *)inner->object;
	struct level own = *inner;

	if (!walk_rows(w, inner))
		return false;
	if (inner->keys != table_endpoint.keys || e->opts == NULL)
		return true;
	own.keys = e->behaviour->keys;
	own.object = e->opts;
	own.above = NULL;
	return walk_rows(w, &own);
}

static bool walk_list(struct walk *w, const struct level *l, const struct config_key *k,
		      size_t count)
{
	const char **elements = alloc_zero(count, sizeof(*elements)), *array;
	struct level inner = { .snapshot = l->snapshot,
			       .keys = k->group->keys,
			       .above = k->list->inherits ? l : NULL,
			       .outer = l,
			       .name = k->name };
	bool more = true;

	memcpy(&array, l->object + k->offset, sizeof(array));
	for (size_t i = 0; i < count; i++)
		elements[i] = array + i * k->list->size;
	/* endpoints are sorted by their paths */
	qsort_r(elements, count, sizeof(*elements), by_number, (void *)k);
	for (; more && inner.index < count; inner.index++) {
		inner.object = elements[inner.index];
		inner.element = number_of(k, inner.object);
		more = walk_element(w, &inner);
	}
	free(elements);
	return more;
}

/* --- rows --- */

/* What must have something in it, and has no place, is not there at all. */
static bool is_absent(const struct level *l, const struct config_key *k)
{
	for (const struct config_key *m = k->group->keys; m->name != NULL; m++)
		if (m->required)
			return places_find(&l->snapshot->places, l->element, k) == NULL;
	return false;
}

static size_t count_of(const struct level *l, const struct config_key *k)
{
	size_t count;

	memcpy(&count, l->object + k->list->count, sizeof(count));
	return count;
}

/* A row of rooms stands in the table of endpoints alone. */
static bool is_of_no_room(const struct level *l, const struct config_key *k)
{
	return k->rooms && !((const struct config_endpoint *)(const void *)l->object)->has_room;
}

static bool walk_row(struct walk *w, const struct level *l, const struct config_key *k)
{
	if (is_of_no_room(l, k))
		return true;
	if (k->type == CONFIG_GROUP && !is_absent(l, k))
		return walk_group(w, l, k);
	if (k->type == CONFIG_GROUPS && count_of(l, k) > 0)
		return walk_list(w, l, k, count_of(l, k));
	return tell(w, l, k, k->group != NULL);
}

static bool walk_rows(struct walk *w, const struct level *l)
{
	struct level before = *l;

	before.snapshot = w->started;
	before.object = (const char *)w->started;
	/* only rows at the top need a restart */
	for (const struct config_key *k = l->keys; k != NULL && k->name != NULL; k++)
		if (!walk_row(w, k->restart ? &before : l, k))
			return false;
	return true;
}

bool effective_each(const struct config *c, const struct config *started, size_t from,
		    bool (*fn)(const struct effective *e, void *arg), void *arg)
{
	struct walk w = {
		.started = (const struct snapshot *)started, .from = from, .fn = fn, .arg = arg
	};
	const struct level top = { .snapshot = (const struct snapshot *)c,
				   .keys = table_top.keys,
				   .object = (const char *)c };

	return walk_rows(&w, &top);
}

json_t *effective_value(const struct effective *e, json_t **written)
{
	struct config_key row = *e->row;
	json_t *value, *as_written;

	*written = NULL;
	if (e->absent)
		return row.type == CONFIG_GROUPS ? json_array() : json_null();
	as_written = show_value(&row, e->object);
	if (row.meant == 0)
		return as_written;
	row.offset = row.meant;
	value = show_value(&row, e->object);
	if (json_equal(value, as_written))
		json_decref(as_written);
	else
		*written = as_written;
	return value;
}
