/*
 * parse.c - from the expanded text to a snapshot.
 *
 * The order is: syntax, the top level, what spans it, listeners, endpoints.
 * Each step goes on after errors, with defaults in place of what was wrong, so
 * that one run finds them all. A snapshot with any error is thrown away.
 */
#include "config/parse.h"

#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/metrics.h"
#include "behaviour.h"
#include "config/alloc.h"
#include "config/errors.h"
#include "config/source.h"
#include "config/syntax.h"
#include "config/tables.h"
#include "config/value.h"

void parse_place(const struct parse *p, const config_setting_t *s, const char **file, int *line)
{
	unsigned at = report_line(s);

	*file = p->snapshot->files[source_file(p->source, at)];
	*line = (int)source_place(p->source, at).line;
}

const config_setting_t *parse_list(struct parse *p, const char *name, const char *example)
{
	const config_setting_t *list = config_setting_get_member(p->top.group, name);

	if (list == NULL)
		report_error(&p->top, p->top.group,
			     "missing setting \"%s\", for example: %s = ( %s );", name, name,
			     example);
	else if (config_setting_is_list(list))
		return list;
	return NULL;
}

const config_setting_t *parse_next_group(struct config_report *r, const config_setting_t *list,
					 const char *noun, int *index)
{
	while (*index < config_setting_length(list)) {
		const config_setting_t *s = config_setting_get_elem(list, (unsigned)*index);
		char *given;

		++*index;
		metrics_beat();
		if (config_setting_is_group(s))
			return s;
		given = report_given(s);
		report_error(r, s, "%s %d: must be a group: { ... }, not %s", noun, *index, given);
		free(given);
	}
	return NULL;
}

/* --- the top level --- */

static void report_lag(struct parse *p)
{
	const config_setting_t *at = config_setting_get_member(p->top.group, "bus_lag");
	const struct config *c = p->config;
	char quarter[48], lag[48];

	if (at == NULL) /* then the other one was changed, for the defaults agree */
		at = config_setting_get_member(p->top.group, "bus_size");
	value_format(CONFIG_SIZE, c->bus_size / 4, quarter, sizeof(quarter));
	value_format(CONFIG_SIZE, c->bus_lag, lag, sizeof(lag));
	report_key(&p->top, at != NULL ? at : p->top.group, "bus_lag",
		   "must be at most a quarter of \"bus_size\", which is %s, not %s", quarter, lag);
}

static void check_bus(struct parse *p)
{
	struct config *c = p->config;

	if ((c->bus_size & (c->bus_size - 1)) != 0)
		config_report_error(&p->top, "bus_size",
				    "must be a power of two, such as \"64M\" or \"128M\"");
	else if (c->bus_lag > c->bus_size / 4)
		report_lag(p);
	else
		return;
	/* the snapshot is lost; the endpoints need not be compared with a wrong size */
	c->bus_size = INT64_MAX;
	c->bus_lag = INT64_MAX / 4;
}

static void parse_top(struct parse *p)
{
	unknown_report(p, &p->top, "the top level", table_global, NULL);
	fill_object(&p->top, (struct key_object){ table_global, p->config }, NULL);
	limits_check(&p->top, &p->config->limits);
	check_bus(p);
	machine_resolve(p);
}

/*
 * How long a peer may be silent: TCP, which knows no endpoints, is to give up none
 * that an endpoint's pings would not have given up.
 */
static int64_t patience(const struct config *c)
{
	int64_t longest = 0;

	for (size_t i = 0; i < c->endpoint_count; i++) {
		const struct config_limits *l = &c->endpoints[i].limits;

		if (l->ping_interval == 0 || l->ping_timeout == 0)
			return 0;
		if (l->ping_interval + l->ping_timeout > longest)
			longest = l->ping_interval + l->ping_timeout;
	}
	return longest;
}

/*
 * What was written as the reader understands it becomes what the daemon needs;
 * last, for the checks compare what was written.
 */
static void finish(struct config *c)
{
	static const int levels[] = { LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };

	c->log_level = levels[c->log_level];
	c->bus_lag += CONFIG_ENTRY_ROOM;
	if (c->bus_lag > c->bus_size / 4)
		c->bus_lag = c->bus_size / 4;
	c->patience = patience(c);
}

static void parse_tree(struct parse *p)
{
	parse_top(p);
	listen_parse(p);
	machine_check_files(p);
	endpoints_parse(p);
	finish(p->config);
}

/* --- the snapshot --- */

static struct snapshot *snapshot_new(const struct config_source *s, uint64_t generation)
{
	struct snapshot *n = alloc_zero(1, sizeof(*n));

	n->config.refs = 1;
	n->config.generation = generation;
	n->files = alloc_zero(s->file_count + 1, sizeof(*n->files));
	for (size_t i = 0; i < s->file_count; i++)
		n->files[i] = alloc_string(s->files[i]);
	return n;
}

static void snapshot_free(struct snapshot *n)
{
	struct config *c = &n->config;

	for (size_t i = 0; i < c->listener_count; i++)
		listener_free(&c->listeners[i]);
	for (size_t i = 0; i < c->endpoint_count; i++)
		endpoint_free(&c->endpoints[i]);
	fill_free((struct key_object){ table_global, c });
	free(c->listeners);
	free(c->endpoints);
	for (size_t i = 0; n->files[i] != NULL; i++)
		free(n->files[i]);
	free(n->files);
	free(n);
}

struct config *config_parse(struct config_source *s, const struct behaviour *const *known,
			    uint64_t generation, struct config_errors *e)
{
	size_t before = config_errors_count(e);
	struct snapshot *n = snapshot_new(s, generation);
	struct parse p = { s, known, e, n, &n->config, { e, s, NULL, NULL } };
	config_t lib;

	if (syntax_parse(s, &lib, e)) {
		p.top.group = config_root_setting(&lib);
		parse_tree(&p);
	}
	config_destroy(&lib);
	if (config_errors_count(e) == before)
		return &n->config;
	snapshot_free(n);
	return NULL;
}

struct config *config_ref(struct config *c)
{
	c->refs++;
	return c;
}

void config_unref(struct config *c)
{
	if (c != NULL && --c->refs == 0)
		snapshot_free((struct snapshot *)c);
}
