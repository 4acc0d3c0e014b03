/*
 * endpoint.c - the groups of `endpoints`.
 *
 * One group holds the settings of three tables: the endpoint's own, the limits
 * (with the top level as their default), and those of its behaviour, which
 * fill an object of the behaviour's.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour.h"
#include "config/alloc.h"
#include "config/errors.h"
#include "config/parse.h"
#include "config/source.h"
#include "config/suggest.h"
#include "config/tables.h"
#include "config/value.h"
#include "proto/utf8.h"

static const struct behaviour *find_behaviour(const struct parse *p, const char *name)
{
	for (size_t i = 0; name != NULL && p->behaviours[i] != NULL; i++) {
		if (strcmp(p->behaviours[i]->name, name) == 0)
			return p->behaviours[i];
	}
	return NULL;
}

static void report_behaviour(const struct parse *p, struct config_report *r, const char *name)
{
	const config_setting_t *at = config_setting_get_member(r->group, "behaviour");
	const char **names;
	const char *nearest;
	char *list;
	size_t n = 0;

	while (p->behaviours[n] != NULL)
		n++;
	names = alloc_zero(n + 1, sizeof(*names));
	for (size_t i = 0; i < n; i++)
		names[i] = p->behaviours[i]->name;
	nearest = suggest_nearest(name, names);
	list = suggest_list(names, "", "and");
	if (nearest != NULL)
		report_error(r, at, "unknown behaviour \"%s\" (did you mean \"%s\"?)", name,
			     nearest);
	else
		report_error(r, at, "unknown behaviour \"%s\"; there are %s", name, list);
	free(list);
	free(names);
}

/* --- the path --- */

static bool has_escape(const char *path)
{
	for (const char *p = path; (p = strchr(p, '%')) != NULL; p++) {
		if (strspn(p + 1, "0123456789abcdefABCDEF") >= 2)
			return true;
	}
	return false;
}

static bool has_control(const char *path)
{
	while (*path != '\0' && !iscntrl((unsigned char)*path))
		path++;
	return *path != '\0';
}

static void check_path(struct config_report *r, const char *key, const char *path)
{
	const config_setting_t *at = config_setting_get_member(r->group, key);

	if (*path != '/')
		config_report_error(r, key, "must begin with \"/\", not be \"%s\"", path);
	if (!utf8_valid(path, strlen(path)))
		config_report_error(r, key, "must be UTF-8");
	if (strpbrk(path, "?#") != NULL)
		config_report_error(r, key,
				    "must not contain \"%c\": the query of a request is ignored, "
				    "and a fragment is never sent",
				    *strpbrk(path, "?#"));
	if (has_control(path))
		config_report_error(r, key, "must not contain control characters");
	if (has_escape(path))
		report_warning(r, at,
			       "\"%s\" is taken literally, \"%%\" included: write the characters "
			       "themselves",
			       key);
}

/* --- what a message needs on its way --- */

/* Where the limit is set if it is here, else the endpoint as a whole. */
static const config_setting_t *limit_setting(const struct config_report *r)
{
	const config_setting_t *at = config_setting_get_member(r->group, "max_message");

	return at != NULL ? at : r->group;
}

static void check_bus(const struct parse *p, struct config_report *r, const struct config_limits *l)
{
	const struct config *c = p->config;
	char message[48], bus[48];

	value_format(CONFIG_SIZE, l->max_message, message, sizeof(message));
	if (l->max_message > c->bus_lag) {
		value_format(CONFIG_SIZE, c->bus_lag, bus, sizeof(bus));
		report_key(r, limit_setting(r), "max_message",
			   "is %s, more than \"bus_lag\", which is %s: no room could pass on such "
			   "a message",
			   message, bus);
	} else if (l->max_message + CONFIG_ENTRY_ROOM > c->bus_size / 4) {
		value_format(CONFIG_SIZE, c->bus_size, bus, sizeof(bus));
		report_key(r, limit_setting(r), "max_message",
			   "is %s; with 8 KiB for its head that is more than a quarter of "
			   "\"bus_size\", which is %s: no room could pass on such a message",
			   message, bus);
	}
}

static void check_pending(struct config_report *r, const struct config_limits *l)
{
	if (l->max_pending >= l->max_message)
		return;
	report_warning(r, limit_setting(r),
		       "\"max_pending\" is less than \"max_message\": a long message can end its "
		       "receiver's connection as slow-consumer");
}

/* Of the endpoint, for either of the two may come from the top. */
static void check_subprotocols(const struct parse *p, struct config_report *r,
			       const struct config_limits *l)
{
	bool own = config_setting_get_member(r->group, "subprotocols") != NULL;

	if (l->require_subprotocol && l->subprotocols == NULL &&
	    !report_is_wrong(own ? r : &p->top, "subprotocols"))
		config_report_error(r, "require_subprotocol",
				    "needs \"subprotocols\": nobody could connect");
}

/* --- one endpoint --- */

static void parse_opts(struct parse *p, struct config_report *r, struct config_endpoint *e)
{
	const struct behaviour *b = e->behaviour;
	size_t before = config_errors_count(p->errors);

	unknown_report(p, r, b->name, table_endpoint, b->keys);
	if (b->opts_size == 0)
		return;
	e->opts = alloc_zero(1, b->opts_size);
	fill_object(r, (struct key_object){ b->keys, e->opts }, NULL);
	if (b->check_opts != NULL && config_errors_count(p->errors) == before)
		b->check_opts(e->opts, r);
}

/* Settings of any behaviour may be right when it is not known which one is meant. */
static void report_unknown_of_any(const struct parse *p, struct config_report *r)
{
	struct config_key *keys = NULL;
	size_t count = 0, cap = 0;

	for (size_t i = 0; p->behaviours[i] != NULL; i++) {
		const struct config_key *k = p->behaviours[i]->keys;

		for (; k != NULL && k->name != NULL; k++) {
			keys = alloc_grow(keys, count, &cap, sizeof(*keys));
			keys[count++] = *k;
		}
	}
	keys = alloc_grow(keys, count, &cap, sizeof(*keys));
	keys[count] = (struct config_key){ 0 };
	unknown_report(p, r, "an endpoint", table_endpoint, keys);
	free(keys);
}

static void check_endpoint(struct parse *p, struct config_report *r, struct config_endpoint *e)
{
	if (e->path != NULL)
		check_path(r, "path", e->path);
	limits_check(r, &e->limits);
	check_subprotocols(p, r, &e->limits);
	if (e->behaviour == NULL)
		return;
	if (e->has_room)
		check_bus(p, r, &e->limits);
	if (e->has_room || e->behaviour->message != NULL)
		check_pending(r, &e->limits);
}

static char *make_label(const config_setting_t *group, int number)
{
	const config_setting_t *path = config_setting_get_member(group, "path");

	if (path != NULL && config_setting_type(path) == CONFIG_TYPE_STRING)
		return alloc_format("endpoint \"%s\"", config_setting_get_string(path));
	return alloc_format("endpoint %d", number);
}

static void parse_endpoint(struct parse *p, const config_setting_t *group, int number)
{
	struct config_endpoint *e = &p->config->endpoints[p->config->endpoint_count++];
	const struct key_object above = { table_global, p->config };
	struct endpoint_draft draft = { 0 };
	struct config_report r = p->top;
	char *label = make_label(group, number);

	r.group = group;
	r.label = label;
	fill_object(&r, (struct key_object){ table_endpoint, &draft }, &above);
	*e = draft.endpoint;
	e->config = p->config;
	parse_place(p, group, &e->file, &e->line);
	e->behaviour = find_behaviour(p, draft.behaviour);
	e->has_room = e->behaviour != NULL && e->behaviour->has_room;
	if (e->behaviour != NULL) {
		parse_opts(p, &r, e);
	} else {
		if (draft.behaviour != NULL)
			report_behaviour(p, &r, draft.behaviour);
		report_unknown_of_any(p, &r);
	}
	check_endpoint(p, &r, e);
	free(draft.behaviour);
	free(label);
}

/* --- all of them --- */

/* An endpoint in the order of the file, as long as its group is at hand. */
struct declared {
	const struct config_endpoint *endpoint;
	const struct config_endpoint *first; /* of the same path; NULL: this one */
	const config_setting_t *group;
};

static int by_path(const void *a, const void *b)
{
	const struct config_endpoint *x = a, *y = b;

	if (x->path == NULL || y->path == NULL)
		return (x->path != NULL) - (y->path != NULL);
	return strcmp(x->path, y->path);
}

static int by_place(const void *a, const void *b)
{
	const struct declared *x = a, *y = b;

	return (x->endpoint > y->endpoint) - (x->endpoint < y->endpoint);
}

static int by_path_and_place(const void *a, const void *b)
{
	const struct declared *x = a, *y = b;
	int order = by_path(x->endpoint, y->endpoint);

	return order != 0 ? order : by_place(a, b);
}

static void report_duplicate(const struct parse *p, const struct declared *d)
{
	struct config_report r = p->top;
	char *label = make_label(d->group, 0);

	r.group = d->group;
	r.label = label;
	config_report_error(&r, "path", "is declared already at %s:%d", d->first->file,
			    d->first->line);
	free(label);
}

/* Neighbours are compared in the order of paths, and reported in that of the file. */
static void check_duplicates(const struct parse *p, struct declared *all, size_t n)
{
	qsort(all, n, sizeof(*all), by_path_and_place);
	for (size_t i = 1; i < n; i++) {
		const struct declared *before = &all[i - 1];

		if (all[i].endpoint->path != NULL &&
		    by_path(all[i].endpoint, before->endpoint) == 0)
			all[i].first = before->first != NULL ? before->first : before->endpoint;
	}
	qsort(all, n, sizeof(*all), by_place);
	for (size_t i = 0; i < n; i++)
		if (all[i].first != NULL)
			report_duplicate(p, &all[i]);
}

static void parse_groups(struct parse *p, const config_setting_t *list)
{
	struct config *c = p->config;
	size_t room = (size_t)config_setting_length(list);
	struct declared *all = alloc_zero(room, sizeof(*all));
	const config_setting_t *group;
	int index = 0;

	c->endpoints = alloc_zero(room, sizeof(*c->endpoints));
	while ((group = parse_next_group(&p->top, list, "endpoint", &index)) != NULL) {
		struct declared *d = &all[c->endpoint_count];

		*d = (struct declared){ &c->endpoints[c->endpoint_count], NULL, group };
		parse_endpoint(p, group, index);
	}
	check_duplicates(p, all, c->endpoint_count);
	free(all);
	qsort(c->endpoints, c->endpoint_count, sizeof(*c->endpoints), by_path);
}

/* It would hide the endpoint, or the endpoint it. */
static void check_health(struct parse *p)
{
	const struct config *c = p->config;

	if (c->health == NULL)
		return;
	check_path(&p->top, "health", c->health);
	for (size_t i = 0; i < c->endpoint_count; i++) {
		const struct config_endpoint *e = &c->endpoints[i];

		if (e->path != NULL && strcmp(e->path, c->health) == 0)
			config_report_error(&p->top, "health",
					    "is \"%s\", which is the path of the endpoint at %s:%d",
					    c->health, e->file, e->line);
	}
}

void endpoints_parse(struct parse *p)
{
	const config_setting_t *list =
		parse_list(p, "endpoints", "{ path = \"/ws\"; behaviour = \"echo\"; }");

	if (list == NULL)
		return;
	if (config_setting_length(list) == 0)
		report_warning(&p->top, list,
			       "\"endpoints\" is empty: every request is answered with 404");
	parse_groups(p, list);
	check_health(p);
}

void endpoint_free(struct config_endpoint *e)
{
	if (e->opts != NULL)
		fill_free((struct key_object){ e->behaviour->keys, e->opts });
	free(e->opts);
	fill_free((struct key_object){ table_limits, &e->limits });
	free(e->path);
}
