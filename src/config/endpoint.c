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

static void check_path(struct config_report *r, const char *path)
{
	const config_setting_t *at = config_setting_get_member(r->group, "path");

	if (*path != '/')
		config_report_error(r, "path", "must begin with \"/\", not be \"%s\"", path);
	if (!utf8_valid(path, strlen(path)))
		config_report_error(r, "path", "must be UTF-8");
	if (strpbrk(path, "?#") != NULL)
		config_report_error(r, "path",
				    "must not contain \"%c\": the query of a request is ignored, "
				    "and a fragment is never sent",
				    *strpbrk(path, "?#"));
	if (has_control(path))
		config_report_error(r, "path", "must not contain control characters");
	if (has_escape(path))
		report_warning(r, at,
			       "\"path\" is taken literally, \"%%\" included: write the characters "
			       "themselves");
}

static void check_duplicate(struct parse *p, struct config_report *r,
			    const struct config_endpoint *e)
{
	const struct config_endpoint *first = p->config->endpoints;

	for (; first < e; first++) {
		if (first->path == NULL || strcmp(first->path, e->path) != 0)
			continue;
		config_report_error(r, "path", "is declared already at %s:%d", first->file,
				    first->line);
		return;
	}
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
	if (e->path != NULL) {
		check_path(r, e->path);
		check_duplicate(p, r, e);
	}
	limits_check(r, &e->limits);
	if (e->behaviour == NULL)
		return;
	if (e->behaviour->uses_bus)
		check_bus(p, r, &e->limits);
	if (e->behaviour->uses_bus || e->behaviour->message != NULL)
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

static int by_path(const void *a, const void *b)
{
	const struct config_endpoint *x = a, *y = b;

	if (x->path == NULL || y->path == NULL)
		return (x->path != NULL) - (y->path != NULL);
	return strcmp(x->path, y->path);
}

void endpoints_parse(struct parse *p)
{
	const config_setting_t *group,
		*list = parse_list(p, "endpoints", "{ path = \"/ws\"; behaviour = \"echo\"; }");
	int n, index = 0;

	if (list == NULL)
		return;
	n = config_setting_length(list);
	if (n == 0)
		report_warning(&p->top, list,
			       "\"endpoints\" is empty: every request is answered with 404");
	p->config->endpoints = alloc_zero((size_t)n, sizeof(*p->config->endpoints));
	while ((group = parse_next_group(p, list, "endpoint", &index)) != NULL)
		parse_endpoint(p, group, index);
	qsort(p->config->endpoints, p->config->endpoint_count, sizeof(*p->config->endpoints),
	      by_path);
}

void endpoint_free(struct config_endpoint *e)
{
	if (e->opts != NULL)
		fill_free((struct key_object){ e->behaviour->keys, e->opts });
	free(e->opts);
	fill_free((struct key_object){ table_limits, &e->limits });
	free(e->path);
}
