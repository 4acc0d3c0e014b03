/*
 * lookup.c - looking things up in snapshots, and in the tables that they are made by.
 */
#include <stdlib.h>
#include <string.h>

#include "behaviour.h"
#include "config/alloc.h"
#include "config/config.h"
#include "config/parse.h"
#include "config/path.h"
#include "config/pattern.h"
#include "config/route.h"
#include "config/tables.h"
#include "proto/upgrade.h"

/* --- paths --- */

void lookup_prepare(struct config *c)
{
	const char **paths = alloc_zero(c->endpoint_count + 1, sizeof(*paths));

	for (size_t i = 0; i < c->endpoint_count; i++)
		paths[i] = c->endpoints[i].path;
	c->routes = routes_new(paths, c->endpoint_count);
	free(paths);
}

static const struct config_endpoint *endpoint_at(const struct config *c, int i)
{
	return i == ROUTE_NONE ? NULL : &c->endpoints[i];
}

/* Whether all segments that e's placeholders take are as room_names says. */
static bool values_match(const struct config_endpoint *e, const struct path_split *s)
{
	const struct pattern *names = e->names ? e->names : e->config->names;
	const char *at = e->path;
	struct path_segment segment = { .kind = PATH_LITERAL };

	for (unsigned i = 0; i < s->count; i++) {
		size_t len;
		const char *p = path_segment_of(s, i, &len);

		/* behind its last segment that one goes on */
		path_next(&at, &segment);
		if (segment.kind != PATH_LITERAL && !pattern_matches(names, p, len))
			return false;
	}
	return true;
}

static const struct config_endpoint *route_by_split(const struct config *c,
						    const struct path_split *s)
{
	const struct config_endpoint *e = endpoint_at(c, route_split(c->routes, s));

	return e && values_match(e, s) ? e : NULL;
}

void config_route(const struct config *c, const struct upgrade *up, struct config_route *out)
{
	struct path_split s;

	out->endpoint = endpoint_at(c, route_literal(c->routes, up->path));
	out->name = out->endpoint ? out->endpoint->path : NULL;
	if (out->endpoint || !*up->path || !route_has_placeholders(c->routes) ||
	    !path_split(&s, up->raw.p, up->raw.len, true))
		return;
	out->endpoint = route_by_split(c, &s);
	if (out->endpoint)
		out->name = memcpy(out->text, s.text, s.at[s.count] + 1u);
}

const struct config_endpoint *config_route_name(const struct config *c, const char *name)
{
	const struct config_endpoint *e = endpoint_at(c, route_literal(c->routes, name));
	struct path_split s;

	if (e || !route_has_placeholders(c->routes) || !path_split(&s, name, strlen(name), false))
		return e;
	return route_by_split(c, &s);
}

bool config_route_value(const struct config_endpoint *e, const char *name, const char *placeholder,
			struct http_text *value)
{
	const char *at = e->path;
	struct path_segment s;

	while (*name == '/' && path_next(&at, &s)) {
		value->p = ++name;
		value->len = s.kind == PATH_REST ? strlen(name) : strcspn(name, "/");
		if (s.kind != PATH_LITERAL && strlen(placeholder) == s.len &&
		    memcmp(s.p, placeholder, s.len) == 0)
			return true;
		name += value->len;
	}
	return false;
}

/* --- the rest --- */

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

struct bus_keep config_keep(const struct config_endpoint *e)
{
	return (struct bus_keep){
		.messages = (uint32_t)e->room.history,
		.bytes = (uint32_t)e->room.history_bytes,
		.ttl = (uint32_t)((e->room.history_ttl + 999) / 1000),
		.group = (uint16_t)e->key,
	};
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
