/*
 * parse.c - from the expanded text to a snapshot.
 *
 * The order is: syntax; then, by the tables, the top level, what spans it, listeners,
 * endpoints. Each step goes on after errors, with defaults in place of what was wrong,
 * so that one run finds them all. A snapshot with any error is thrown away.
 */
#include "config/parse.h"

#include <stdlib.h>
#include <string.h>

#include "behaviour.h"
#include "config/alloc.h"
#include "config/errors.h"
#include "config/jwt.h"
#include "config/pattern.h"
#include "config/route.h"
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

void parse_note_place(const struct config_report *r, const struct config_key *k,
		      const config_setting_t *s)
{
	struct place place = { .key = k, .element = r->element };

	parse_place(r->parse, s, &place.file, &place.line);
	places_note(&r->parse->snapshot->places, &place);
}

/* --- the top level --- */

static void report_lag(struct parse *p)
{
	const config_setting_t *at = config_setting_get_member(p->top.group, "bus_lag");
	const struct snapshot *n = p->snapshot;
	char quarter[48], lag[48];

	if (at == NULL) /* then the other one was changed, for the defaults agree */
		at = config_setting_get_member(p->top.group, "bus_size");
	value_format_size(n->config.bus_size / 4, quarter, sizeof(quarter));
	value_format_size(n->written.bus_lag, lag, sizeof(lag));
	report_key(&p->top, at != NULL ? at : p->top.group, "bus_lag",
		   "must be at most a quarter of \"bus_size\", which is %s, not %s", quarter, lag);
}

static void check_bus(struct parse *p)
{
	const struct snapshot *n = p->snapshot;
	int64_t size = n->config.bus_size;

	p->bus_is_wrong = true;
	if ((size & (size - 1)) != 0)
		config_report_error(&p->top, "bus_size",
				    "must be a power of two, such as \"64M\" or \"128M\"");
	else if (n->written.bus_lag > size / 4)
		report_lag(p);
	else
		p->bus_is_wrong = false;
}

/* Of those who may fail n times the last of them is one too many. */
static void resolve_attempts(struct config *c)
{
	c->connection_rate = value_times_size(c->connection_rate_per_address);
	c->failure_rate = value_times_size(c->auth_failures);
	c->failure_rate.depth -= c->failure_rate.every;
}

void top_check(struct config_report *r, void *holder, void *snapshot)
{
	(void)holder;
	(void)snapshot;
	limits_check(r, &r->parse->config->limits);
	r->parse->config->names = limits_names(r, &r->parse->config->limits);
	r->parse->config->drain_set = config_setting_get_member(r->group, "drain_time") != NULL;
	check_bus(r->parse);
	resolve_attempts(r->parse->config);
	machine_resolve(r->parse);
	admin_group_resolve(r->parse);
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

/* How far a reader of the bus may lag, in bytes of the bus: entries are more than messages. */
static int64_t lag_of_entries(const struct snapshot *n)
{
	int64_t lag = n->written.bus_lag + CONFIG_ENTRY_SPACE, most = n->config.bus_size / 4;

	return lag < most ? lag : most;
}

/* What comes of all that was written. */
static void finish(struct snapshot *n)
{
	n->config.bus_lag = lag_of_entries(n);
	n->config.patience = patience(&n->config);
	for (size_t i = 0; i < n->config.endpoint_count; i++)
		n->config.replaces |= n->config.endpoints[i].limits.over_user == OVER_USER_OLDEST;
}

static void parse_tree(struct parse *p)
{
	fill_group(&p->top, p->tables, NULL, NULL, p->snapshot, NULL);
	machine_check_files(p);
	access_check_listeners(p);
	endpoints_finish(p);
	places_sort(&p->snapshot->places);
	finish(p->snapshot);
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
	fill_end(&table_top, n);
	routes_free(n->config.routes);
	pattern_free(n->config.names);
	access_free_files(n);
	jwt_free_all(n);
	user_files_free(n);
	places_free(&n->places);
	free(n->config.runtime_dir);
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
	struct parse p = { .source = s,
			   .behaviours = known,
			   .errors = e,
			   .snapshot = n,
			   .config = &n->config,
			   .tables = &table_top,
			   .top = { .errors = e, .source = s, .parse = &p } };
	config_t lib;

	if (syntax_parse(s, &lib, e)) {
		p.top.group = config_root_setting(&lib);
		parse_tree(&p);
	}
	config_destroy(&lib);
	if (config_errors_count(e) == before) {
		lookup_prepare(&n->config);
		return &n->config;
	}
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
