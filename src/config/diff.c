/*
 * diff.c - looking things up in snapshots, and comparing two.
 *
 * Two endpoints are the same if their behaviour and every row of their tables
 * is; nothing here knows a single setting by name.
 */
#include <stdlib.h>
#include <string.h>

#include "behaviour.h"
#include "config/config.h"
#include "config/fill.h"
#include "config/tables.h"

static int compare_path(const void *path, const void *endpoint)
{
	return strcmp(path, ((const struct config_endpoint *)endpoint)->path);
}

const struct config_endpoint *config_find(const struct config *c, const char *path)
{
	return bsearch(path, c->endpoints, c->endpoint_count, sizeof(*c->endpoints), compare_path);
}

bool config_uses_bus(const struct config *c)
{
	for (size_t i = 0; i < c->endpoint_count; i++) {
		if (c->endpoints[i].behaviour->uses_bus)
			return true;
	}
	return false;
}

void config_restart_keys(const struct config *old, const struct config *new,
			 void (*fn)(const char *key, void *arg), void *arg)
{
	for (const struct config_key *k = table_global; k->name != NULL; k++) {
		if (k->restart && !fill_equal(k, old, new))
			fn(k->name, arg);
	}
}

static bool same_endpoint(const struct config_endpoint *a, const struct config_endpoint *b)
{
	return a->behaviour == b->behaviour && fill_same(table_limits, &a->limits, &b->limits) &&
	       (a->opts == NULL || fill_same(a->behaviour->keys, a->opts, b->opts));
}

struct config_diff config_diff_endpoints(const struct config *old, const struct config *new)
{
	struct config_diff d = { 0 };
	size_t i = 0, j = 0;

	/* both are sorted by path */
	while (i < old->endpoint_count && j < new->endpoint_count) {
		const struct config_endpoint *a = &old->endpoints[i], *b = &new->endpoints[j];
		int order = strcmp(a->path, b->path);

		d.removed += order < 0;
		d.added += order > 0;
		d.changed += order == 0 && !same_endpoint(a, b);
		i += order <= 0;
		j += order >= 0;
	}
	d.removed += (unsigned)(old->endpoint_count - i);
	d.added += (unsigned)(new->endpoint_count - j);
	return d;
}

static void each_row(const char *scope, const struct config_key *k,
		     void (*fn)(const char *scope, const struct config_key *k, void *arg),
		     void *arg)
{
	for (; k != NULL && k->name != NULL; k++) {
		fn(scope, k, arg);
		if (k->type == CONFIG_GROUP)
			each_row(k->name, k->group, fn, arg);
	}
}

void config_each_key(const struct behaviour *const *list,
		     void (*fn)(const char *scope, const struct config_key *k, void *arg),
		     void *arg)
{
	each_row("", table_global, fn, arg);
	each_row("listen", table_listen, fn, arg);
	each_row("certificates", table_certificate, fn, arg);
	each_row("endpoint", table_endpoint, fn, arg);
	for (; *list != NULL; list++)
		each_row((*list)->name, (*list)->keys, fn, arg);
}
