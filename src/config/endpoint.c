/*
 * endpoint.c - the groups of `endpoints`.
 *
 * One group holds the settings of two tables: the endpoint's own, with the limits among
 * them, is filled when the check begins; which behaviour's is the other one is only known
 * then. It fills an object of the behaviour's.
 */
#include <ctype.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour.h"
#include "config/alloc.h"
#include "config/errors.h"
#include "config/jwt.h"
#include "config/parse.h"
#include "config/path.h"
#include "config/pattern.h"
#include "config/source.h"
#include "config/suggest.h"
#include "config/tables.h"
#include "config/value.h"
#include "proto/utf8.h"

/* Nanoseconds. */
static const int64_t TWO_TICKS = 200000000, SLOWEST_DELAY = INT64_C(60) * 1000000000;

static const struct behaviour *find_behaviour(const struct parse *p, const char *name)
{
	for (size_t i = 0; name != NULL && p->behaviours[i] != NULL; i++) {
		if (strcmp(p->behaviours[i]->name, name) == 0)
			return p->behaviours[i];
	}
	return NULL;
}

static void report_behaviour(struct config_report *r, const char *name)
{
	const struct parse *p = r->parse;
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

/* --- placeholders --- */

/* The first endpoint of a shape (path.h). */
struct shaped {
	char *shape;
	const struct config_endpoint *endpoint;
};

static int by_shape(const void *a, const void *b)
{
	return strcmp(((const struct shaped *)a)->shape, ((const struct shaped *)b)->shape);
}

static void free_shaped(void *p)
{
	free(((struct shaped *)p)->shape);
	free(p);
}

/* FNV-1a. Paths are the operator's: nobody makes two that meet. */
static uint64_t hash_path(const char *path)
{
	uint64_t h = 0xcbf29ce484222325;

	for (; *path; path++)
		h = (h ^ (uint8_t)*path) * 0x100000001b3;
	return h;
}

/* Which one a path would lead to could not be said. Two that are the same have been reported. */
static void check_conflict(struct config_report *r, const struct config_endpoint *e)
{
	struct shaped *s = alloc_zero(1, sizeof(*s));
	const struct config_endpoint *first;

	*s = (struct shaped){ path_shape(e->path), e };
	first = (*(struct shaped **)alloc_checked(tsearch(s, &r->parse->shapes, by_shape)))
			->endpoint;
	if (first == e)
		return;
	free_shaped(s);
	if (strcmp(first->path, e->path) != 0)
		config_report_error(
			r, "path",
			"matches the same requests as \"%s\" at %s:%d: say which one it "
			"is with a segment that differs",
			first->path, first->file, first->line);
}

static void check_placeholders(struct config_report *r, struct config_endpoint *e)
{
	char why[PATH_WHY_MAX];

	e->placeholders = path_has_placeholders(e->path);
	e->names = limits_names(r, &e->limits);
	if (!e->placeholders || *e->path != '/')
		return;
	if (path_placeholders_good(e->path, why))
		check_conflict(r, e);
	else
		config_report_error(r, "path", "%s", why);
}

/* --- what a message needs on its way --- */

/* Where the limit is set if it is here, else the endpoint as a whole. */
static const config_setting_t *limit_setting(const struct config_report *r)
{
	const config_setting_t *at = config_setting_get_member(r->group, "max_message");

	return at != NULL ? at : r->group;
}

static void check_bus(struct config_report *r, const struct config_limits *l)
{
	const struct snapshot *n = r->parse->snapshot;
	char message[48], bus[48];

	value_format_size(l->max_message, message, sizeof(message));
	if (l->max_message > n->written.bus_lag) {
		value_format_size(n->written.bus_lag, bus, sizeof(bus));
		report_key(r, limit_setting(r), "max_message",
			   "is %s, more than \"bus_lag\", which is %s: no room could pass on such "
			   "a message",
			   message, bus);
	} else if (l->max_message + CONFIG_ENTRY_SPACE > n->config.bus_size / 4) {
		value_format_size(n->config.bus_size, bus, sizeof(bus));
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
static void check_subprotocols(struct config_report *r, const struct config_limits *l)
{
	bool own = config_setting_get_member(r->group, "subprotocols") != NULL;

	if (l->require_subprotocol && l->subprotocols == NULL &&
	    !report_is_wrong(own ? r : &r->parse->top, "subprotocols"))
		config_report_error(r, "require_subprotocol",
				    "needs \"subprotocols\": nobody could connect");
}

/* --- one endpoint --- */

static void parse_opts(struct config_report *r, struct config_endpoint *e)
{
	const struct behaviour *b = e->behaviour;
	size_t before = config_errors_count(r->errors);

	unknown_report(r, b->name, table_endpoint.keys, b->keys);
	if (b->opts_size == 0)
		return;
	e->opts = alloc_zero(1, b->opts_size);
	fill_object(r, (struct key_object){ b->keys, e->opts }, NULL);
	if (b->check_opts != NULL && config_errors_count(r->errors) == before)
		b->check_opts(e->opts, r);
}

/* Settings of any behaviour may be right when it is not known which one is meant. */
static void report_unknown_of_any(struct config_report *r)
{
	const struct parse *p = r->parse;
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
	unknown_report(r, "an endpoint", table_endpoint.keys, keys);
	free(keys);
}

/*
 * Who is held up goes on with a tick of the session (SESSION_TICK), so what comes in two of them is not
 * too much at once: else the ticks would be the limit.
 */
static struct rate_size size_of(const struct config_limits *l, int64_t every, int64_t burst)
{
	struct rate_size size = rate_size_of(every, burst);

	if (every > 0 && l->over_rate == OVER_RATE_DELAY && size.depth < TWO_TICKS)
		size.depth = every < TWO_TICKS ? TWO_TICKS : every;
	return size;
}

/* Nobody hears from who is not read from, not even that it goes. */
static void check_rate(struct config_report *r, struct config_endpoint *e, const char *key,
		       int64_t every)
{
	if (every > SLOWEST_DELAY && e->limits.over_rate == OVER_RATE_DELAY)
		report_warning(
			r, r->group,
			"\"%s\" is less than one a minute, and so long a client that says more "
			"is not read from: better set \"over_rate\" to \"drop\" or \"close\"",
			key);
}

/* The same, for as long as the longest message takes to be paid for. */
static void check_bandwidth(struct config_report *r, const struct config_limits *l)
{
	const int64_t longest = SLOWEST_DELAY / 1000000000;

	if (l->bandwidth > 0 && l->over_rate == OVER_RATE_DELAY &&
	    l->max_message / l->bandwidth > longest)
		report_warning(
			r, r->group,
			"behind a message of \"max_message\" a client is not read from for more "
			"than "
			"a minute, as \"bandwidth\" has it: better lower \"max_message\", or set "
			"\"over_rate\" to \"drop\" or \"close\"");
}

static void resolve_rates(struct config_report *r, struct config_endpoint *e)
{
	const struct config_limits *l = &e->limits;

	e->rate = size_of(l, l->rate, l->burst);
	e->room_rate = size_of(l, e->has_room ? e->room.room_rate : 0, 0);
	check_rate(r, e, "rate", e->rate.every);
	check_rate(r, e, "room_rate", e->room_rate.every);
	check_bandwidth(r, l);
}

/* What is dropped for its age is the oldest. */
static void check_age(struct config_report *r, const struct config_limits *l)
{
	if (l->max_age > 0 && l->slow_consumer < SLOW_CONSUMER_DROP_OLDEST)
		config_report_error(r, "max_age",
				    "needs \"slow_consumer\" to be \"drop_oldest\" or \"latest\"");
}

/* Said rather than ignored: who limits a room that there is none of has meant something else. */
static void check_rooms(struct config_report *r, const struct config_endpoint *e)
{
	for (const struct config_key *k = table_endpoint.keys; k->name != NULL; k++)
		if (k->rooms && !e->has_room &&
		    config_setting_get_member(r->group, k->name) != NULL)
			config_report_error(r, k->name,
					    "is of rooms, and behaviour \"%s\" has none",
					    e->behaviour_name);
}

/* What is carried out of one append's way, in one piece (bus.h), and what goes out to who joins. */
static void check_history(struct config_report *r, struct config_endpoint *e)
{
	const int64_t most = r->parse->snapshot->written.bus_lag / 4;
	const config_setting_t *written = config_setting_get_member(r->group, "history_bytes");
	struct config_room *k = &e->room;
	char bytes[48], quarter[48];

	if (k->replay > k->history)
		config_report_error(r, "replay",
				    "is %lld, and \"history\" is %lld: no more than is kept can be "
				    "replayed",
				    (long long)k->replay, (long long)k->history);
	if (written == NULL && k->history_bytes > most)
		k->history_bytes = most;
	value_format_size(k->history_bytes, bytes, sizeof(bytes));
	value_format_size(most, quarter, sizeof(quarter));
	if (k->history_bytes > most)
		config_report_error(r, "history_bytes",
				    "is %s, more than a quarter of \"bus_lag\", which is %s", bytes,
				    quarter);
	else if (k->history > 0 && k->history_bytes > e->limits.max_pending)
		report_warning(
			r, written ? written : limit_setting(r),
			"\"history_bytes\" is more than \"max_pending\": who gets all of it may be "
			"ended as slow-consumer");
}

static void check_settings(struct config_report *r, struct config_endpoint *e)
{
	if (e->path != NULL) {
		check_path(r, "path", e->path);
		check_placeholders(r, e);
		e->key = hash_path(e->path) | 1;
	}
	if (e->path != NULL)
		jwt_check_endpoint(r, e);
	check_subprotocols(r, &e->limits);
	check_age(r, &e->limits);
	resolve_rates(r, e);
	if (e->behaviour == NULL)
		return;
	check_rooms(r, e);
	if (e->has_room && !r->parse->bus_is_wrong) {
		check_bus(r, &e->limits);
		check_history(r, e);
	}
	if (e->has_room || e->behaviour->message != NULL)
		check_pending(r, &e->limits);
}

void endpoint_check(struct config_report *r, void *config, void *endpoint)
{
	struct config_endpoint *e = endpoint;

	e->config = config;
	limits_check(r, &e->limits);
	e->behaviour = find_behaviour(r->parse, e->behaviour_name);
	e->has_room = e->behaviour != NULL && e->behaviour->has_room;
	e->rated = e->limits.rate > 0 || e->limits.bandwidth > 0;
	e->looks = e->has_room || e->rated || e->limits.access.jwt.rules != NULL ||
		   (e->behaviour != NULL && e->behaviour->json != NULL);
	if (e->behaviour != NULL) {
		parse_opts(r, e);
		wording_check(r, e);
	} else {
		if (e->behaviour_name != NULL)
			report_behaviour(r, e->behaviour_name);
		report_unknown_of_any(r);
	}
	check_settings(r, e);
}

void endpoint_end(void *endpoint)
{
	struct config_endpoint *e = endpoint;

	if (e->opts != NULL)
		fill_free((struct key_object){ e->behaviour->keys, e->opts });
	free(e->opts);
	pattern_free(e->names);
}

/* --- all of them --- */

static int by_path(const void *a, const void *b)
{
	const struct config_endpoint *x = a, *y = b;

	if (x->path == NULL || y->path == NULL)
		return (x->path != NULL) - (y->path != NULL);
	return strcmp(x->path, y->path);
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

/* The bus counts for no more. */
static void check_owners(struct parse *p)
{
	const struct config *c = p->config;
	size_t owners = 0;

	for (size_t i = 0; i < c->endpoint_count; i++)
		owners += c->endpoints[i].has_room && c->endpoints[i].room.max_rooms > 0;
	if (owners > BUS_OWNERS / 2)
		config_report_error(&p->top, "endpoints",
				    "has %zu that have \"max_rooms\"; at most %d are possible",
				    owners, BUS_OWNERS / 2);
}

/* In the worst case, in bytes: as many rooms as there may be, each of which keeps all it may. */
static double worst_of(const struct config *c, const struct config_endpoint *e)
{
	int64_t rooms = !e->placeholders ? 1 : e->room.max_rooms ? e->room.max_rooms : c->max_rooms;
	int64_t bytes = e->room.history * (e->limits.max_message + CONFIG_ENTRY_SPACE);

	if (!e->has_room || e->room.history == 0)
		return 0;
	return (double)rooms *
	       (double)(bytes < e->room.history_bytes ? bytes : e->room.history_bytes);
}

/* More than what all rooms may keep is no error: the oldest goes then. */
static void check_kept(struct parse *p)
{
	const struct config *c = p->config;
	char quarter[48];
	double sum = 0;

	for (size_t i = 0; i < c->endpoint_count; i++)
		sum += worst_of(c, &c->endpoints[i]);
	if (sum <= (double)c->bus_size / 4)
		return;
	value_format_size(c->bus_size / 4, quarter, sizeof(quarter));
	report_warning(
		&p->top, config_setting_get_member(p->top.group, "endpoints"),
		"rooms may have up to %.0f MiB of history, and a quarter of \"bus_size\" is %s: "
		"beyond that the endpoint that keeps most loses its oldest; \"max_rooms\" and "
		"\"history_bytes\" bound it",
		sum / (1024 * 1024), quarter);
}

void endpoints_finish(struct parse *p)
{
	struct config *c = p->config;

	tdestroy(p->shapes, free_shaped);
	check_health(p);
	check_owners(p);
	check_kept(p);
	if (c->endpoint_count != 0)
		qsort(c->endpoints, c->endpoint_count, sizeof(*c->endpoints), by_path);
}
