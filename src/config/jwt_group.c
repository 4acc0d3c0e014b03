/*
 * jwt_group.c - the group `jwt` of `access`: by which tokens people come in.
 *
 * An endpoint's stands for itself: what it does not set has its default, and not what the top has, for
 * a key of one issuer with the rules of another would let in who was meant by neither. An empty one
 * asks for no token. What comes of a group is made once, where it is set, and a file of keys is read
 * once, whoever names it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/errors.h"
#include "config/guard.h"
#include "config/jwt.h"
#include "config/parse.h"
#include "config/path.h"
#include "config/source.h"
#include "config/suggest.h"

/* --- files of keys --- */

/* A file while it is read. */
struct reading_file {
	const struct config_report *report;
	const char *key, *file;
};

static void tell_key(unsigned line, bool warning, const char *what, void *arg)
{
	const struct reading_file *f = arg;
	const config_setting_t *at = config_setting_get_member(f->report->group, f->key);
	const struct config_place place = { f->file, line, report_line(at) };

	errors_add(f->report->errors, warning, place, "%s", what);
}

/* What was read as a set is not what the same file is as one key. */
static struct named_objects *files(struct snapshot *n, bool set)
{
	return set ? &n->jwk_set_files : &n->jwk_files;
}

static bool has_secret(const struct jwk_set *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->list[i].type == JWS_SECRET)
			return true;
	return false;
}

/* Only who is the first to name a file hears what is wrong. */
static struct jwk_file *read_file(struct config_report *r, const char *key, const char *name,
				  const struct source_attachment *a, bool set)
{
	struct jwk_file *f = alloc_zero(1, sizeof(*f));
	struct reading_file reading = { r, key, a->name };
	const size_t before = config_errors_count(r->errors);

	(set ? jwk_read_set : jwk_read_key)(a->bytes, a->len, &f->keys, tell_key, &reading);
	if (has_secret(&f->keys)) {
		guard_memory();
		attach_warn_mode(r, key, name, a, "the secret");
	}
	if (f->keys.count == 0 && config_errors_count(r->errors) == before)
		tell_key(0, false, "the set has no key to check signatures with", &reading);
	f->name = alloc_string(a->name);
	named_add(files(r->parse->snapshot, set), f);
	return f;
}

static const struct jwk_set *read_keys(struct config_report *r, const struct config_jwt *j)
{
	const bool set = j->keys_file != NULL;
	const char *key = set ? "keys" : "key", *name = set ? j->keys_file : j->key_file;
	const struct source_attachment *a = attach_file(r, key, name);
	struct jwk_file *f;

	if (a == NULL)
		return NULL;
	f = named_find(files(r->parse->snapshot, set), a->name);
	return &(f != NULL ? f : read_file(r, key, name, a, set))->keys;
}

/* --- algorithms --- */

static void report_algorithm(struct config_report *r, const config_setting_t *s, const char *name)
{
	const char *names[JWS_ALGS + 1] = { NULL };
	char *list;

	for (int i = 0; i < JWS_ALGS; i++)
		names[i] = jws_forms[i].name;
	list = suggest_list(names, "", "and");
	report_key(r, s, "algorithms", "has \"%s\"; there are %s%s", name, list,
		   strcmp(name, "none") == 0    ? ": a token without a signature is anybody's"
		   : strcmp(name, "EdDSA") == 0 ? ": libjose has no EdDSA"
						: "");
	free(list);
}

static unsigned read_algorithms(struct config_report *r, const struct config_jwt *j)
{
	const config_setting_t *list = config_setting_get_member(r->group, "algorithms");
	unsigned algs = 0;

	if (j->algorithms == NULL && !report_is_wrong(r, "algorithms"))
		config_report_error(r, NULL,
				    "needs \"algorithms\", those that your issuer signs with: "
				    "algorithms = ( \"RS256\" );");
	for (size_t i = 0; j->algorithms != NULL && j->algorithms[i] != NULL; i++) {
		const enum jws_alg alg = jws_alg_find(j->algorithms[i]);

		if (alg == JWS_ALGS)
			report_algorithm(r, config_setting_get_elem(list, (unsigned)i),
					 j->algorithms[i]);
		else
			algs |= 1U << alg;
	}
	return algs;
}

static bool any_key(const struct jwk_set *keys, enum jws_alg alg)
{
	for (size_t i = 0; i < keys->count; i++)
		if (keys->list[i].algs & 1U << alg)
			return true;
	return false;
}

/* Of a secret that there is alone and an algorithm that needs a longer one. */
static bool is_short(const struct config_jwt *j, enum jws_alg alg)
{
	return j->key_file != NULL && jws_forms[alg].type == JWS_SECRET &&
	       has_secret(j->rules->keys);
}

static void check_algorithms(struct config_report *r, const struct config_jwt *j)
{
	const config_setting_t *at = config_setting_get_member(r->group, "algorithms");
	const struct jwk_set *keys = j->rules->keys;
	unsigned used = 0;

	for (int i = 0; i < JWS_ALGS && keys->count > 0; i++) {
		if (!(j->rules->algs & 1U << i))
			continue;
		if (any_key(keys, (enum jws_alg)i))
			used++;
		else if (is_short(j, (enum jws_alg)i))
			config_report_error(r, "key", "is a secret of %u bytes, and %s needs %u",
					    keys->list[0].size, jws_forms[i].name,
					    jws_forms[i].hash);
		else
			report_warning(r, at,
				       "\"algorithms\" has \"%s\", and no key is of its type",
				       jws_forms[i].name);
	}
	if (used == 0 && keys->count > 0 && j->rules->algs != 0)
		report_key(r, at, "algorithms",
			   "has none that goes with any key: nobody could connect");
}

/* --- where a token may be --- */

static void check_name(struct config_report *r, const char *key, const char *name)
{
	bool good = true;

	for (const char *p = name; p != NULL && *p != '\0'; p++)
		good = good && http_is_token_char((unsigned char)*p) && *p != '%' && *p != '&';
	if (!good)
		config_report_error(
			r, key, "must be a name without spaces and separators, not \"%s\"", name);
}

/* What a room is asked for has names as well. */
static void check_places(struct config_report *r, const struct config_jwt *j)
{
	check_name(r, "cookie", j->cookie);
	check_name(r, "query", j->query);
	if (j->query != NULL && (strcmp(j->query, "since") == 0 || strcmp(j->query, "replay") == 0))
		config_report_error(r, "query",
				    "must not be \"since\" or \"replay\", which ask for "
				    "what a room keeps");
}

static bool says_origins(const struct config_report *r)
{
	config_setting_t *group = (config_setting_t *)r->group;

	return config_setting_get_member(group, "allowed_origins") != NULL ||
	       config_setting_lookup(group, "access.origins") != NULL;
}

/* A browser sends a cookie with whatever page asks for the endpoint. */
static void check_cookie(struct config_report *r, const struct config_endpoint *e)
{
	const struct config_limits *l = &e->limits;
	struct jwt_told *told = l->access.jwt.rules->told;

	if (l->access.jwt.cookie == NULL || l->access.origins != NULL ||
	    l->allowed_origins != NULL || says_origins(r) || says_origins(&r->parse->top) ||
	    told->cookie)
		return;
	told->cookie = true;
	errors_add(r->errors, false, told->cookie_at,
		   "%s: \"cookie\" is sent by browsers for any page of any site, and \"%s\" has no "
		   "\"origins\": set \"origins\" to those that may connect, or to ( \"*\" ) if all "
		   "are meant to",
		   told->label, e->path);
}

/* --- all of it --- */

static struct jwt_told *begin_told(const struct config_report *r)
{
	const config_setting_t *cookie = config_setting_get_member(r->group, "cookie");
	struct jwt_told *told = alloc_zero(1, sizeof(*told));

	told->label = alloc_string(r->label);
	if (cookie != NULL)
		told->cookie_at = source_place(r->source, report_line(cookie));
	return told;
}

static void read_rules(struct config_report *r, struct config_jwt *j)
{
	struct snapshot *n = r->parse->snapshot;
	struct jwt_rules *rules = alloc_zero(1, sizeof(*rules));

	rules->next = n->jwt_rules;
	n->jwt_rules = rules;
	j->rules = rules;
	rules->told = begin_told(r);
	rules->algs = read_algorithms(r, j);
	rules->keys = read_keys(r, j);
	claims_read(r, "required", &rules->required);
	claims_read(r, "publish", &rules->publish);
	check_places(r, j);
	if (rules->keys != NULL)
		check_algorithms(r, j);
}

static void check_group(struct config_report *r, struct config_jwt *j)
{
	const bool keys = config_setting_get_member(r->group, "keys") != NULL,
		   key = config_setting_get_member(r->group, "key") != NULL;

	if (config_setting_length(r->group) == 0)
		return;
	if (!jws_is_there())
		config_report_error(r, NULL,
				    "needs libjose, without which this ignyxd was built (Debian: "
				    "libjose-dev)");
	else if (keys == key)
		config_report_error(
			r, NULL,
			keys ? "has both \"keys\" and \"key\": leave one of them out"
			     : "needs \"keys\", the file of a JWK set, or \"key\", that "
			       "of one key");
	else if (j->keys_file != NULL || j->key_file != NULL)
		read_rules(r, j);
}

void jwt_check(struct config_report *access, const struct config_jwt *top, struct config_jwt *j)
{
	const config_setting_t *group =
		access != NULL ? config_setting_get_member(access->group, "jwt") : NULL;
	struct config_report r;
	char *label;

	if (group == NULL || !config_setting_is_group(group)) {
		j->rules = top->rules;
		return;
	}
	label = report_enter(access, "jwt", group, &r);
	check_group(&r, j);
	free(label);
}

void jwt_check_endpoint(struct config_report *r, const struct config_endpoint *e)
{
	const struct jwt_rules *rules = e->limits.access.jwt.rules;
	const config_setting_t *publish;

	if (rules == NULL)
		return;
	check_cookie(r, e);
	claims_check(r, "required", &rules->required, e);
	claims_check(r, "publish", &rules->publish, e);
	publish = config_setting_lookup((config_setting_t *)r->group, "access.jwt.publish");
	if (!e->has_room && publish != NULL)
		report_key(r, publish, "access",
			   "has a \"jwt\" with \"publish\", which is of rooms, and there are none "
			   "here");
}

static void end_file(void *file)
{
	struct jwk_file *f = file;

	jwk_free(&f->keys);
	free(f->name);
	free(f);
}

void jwt_free_all(struct snapshot *n)
{
	struct jwt_rules *rules;

	while ((rules = n->jwt_rules) != NULL) {
		n->jwt_rules = rules->next;
		claims_free(&rules->required);
		claims_free(&rules->publish);
		free(rules->told->label);
		free(rules->told);
		free(rules);
	}
	named_end(&n->jwk_files, end_file);
	named_end(&n->jwk_set_files, end_file);
}
