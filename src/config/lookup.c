/*
 * lookup.c - looking things up in snapshots, and in the tables that they are made by.
 */
#include <stdlib.h>
#include <string.h>

#include "behaviour.h"
#include "config/config.h"
#include "config/tables.h"

static int compare_path(const void *path, const void *endpoint)
{
	return strcmp(path, ((const struct config_endpoint *)endpoint)->path);
}

struct config_route config_route(const struct config *c, const char *path)
{
	const struct config_endpoint *e =
		bsearch(path, c->endpoints, c->endpoint_count, sizeof(*c->endpoints), compare_path);

	return (struct config_route){ .endpoint = e, .room = e && e->has_room ? e->path : NULL };
}

const char *config_file(const struct config *c)
{
	return ((const struct snapshot *)c)->files[0];
}

const struct config_listener *config_any_listener(const struct config *c, size_t i)
{
	if (i < c->listener_count)
		return &c->listeners[i];
	i -= c->listener_count;
	return c->admin.enabled && i < c->admin.listener_count ? &c->admin.listeners[i] : NULL;
}

bool config_uses_bus(const struct config *c)
{
	for (size_t i = 0; i < c->endpoint_count; i++) {
		if (c->endpoints[i].has_room)
			return true;
	}
	return false;
}

static void each_row(const char *scope, const struct config_key *k,
		     void (*fn)(const char *scope, const struct config_key *k, void *arg),
		     void *arg)
{
	for (; k != NULL && k->name != NULL; k++) {
		fn(scope, k, arg);
		if (k->group != NULL)
			each_row(k->name, k->group->keys, fn, arg);
	}
}

void config_each_key(const struct behaviour *const *list,
		     void (*fn)(const char *scope, const struct config_key *k, void *arg),
		     void *arg)
{
	each_row("", table_top.keys, fn, arg);
	for (; *list != NULL; list++)
		each_row((*list)->name, (*list)->keys, fn, arg);
}
