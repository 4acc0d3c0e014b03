/*
 * template.c - see template.h.
 *
 * In a text that is JSON a placeholder can only stand within a string: "{" in any other place is
 * followed by a quote, a space or "}". Nor can one be part of an escape. So its value is escaped, and
 * the text is JSON with any value as it is without.
 */
#include "config/template.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "config/alloc.h"
#include "config/config.h"
#include "config/parse.h"
#include "config/path.h"
#include "config/suggest.h"
#include "proto/json.h"
#include "proto/json_string.h"

/* --- what may be asked for --- */

struct known {
	enum template_value value;
	size_t most; /* bytes that it may have */
};

enum { OF_ALL = 3, KNOWN_MAX = PATH_PLACEHOLDERS_MAX + OF_ALL };

/* What an endpoint of a path knows, its own placeholders first: they hide those of all. */
struct names {
	struct known known[KNOWN_MAX];
	const char *written[KNOWN_MAX + 1]; /* with their braces; NULL-terminated */
	size_t count;
};

static void add_name(struct names *n, const char *p, size_t len, struct known k)
{
	n->written[n->count] = alloc_format("{%.*s}", (int)len, p);
	n->known[n->count++] = k;
}

static void collect(struct names *n, const struct config_endpoint *e)
{
	const char *path = e->path;
	struct path_segment s;

	*n = (struct names){ .count = 0 };
	while (path_has_placeholders(path) && path_next(&path, &s))
		if (s.kind != PATH_LITERAL)
			add_name(n, s.p, s.len,
				 (struct known){ TEMPLATE_OF_PATH, s.kind == PATH_REST
									   ? BUS_ROOM_NAME_MAX
									   : PATH_VALUE_MAX });
	add_name(n, "peer", 4, (struct known){ TEMPLATE_PEER, TEMPLATE_PEER_MAX });
	add_name(n, "conn", 4, (struct known){ TEMPLATE_CONN, TEMPLATE_CONN_MAX });
	if (access_names_users(&e->limits.access))
		add_name(n, "user", 4, (struct known){ TEMPLATE_USER, CONFIG_USER_MAX });
}

static void forget(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free((char *)n->written[i]);
}

/* written: with its braces. */
static const struct known *find(const struct names *n, const char *written)
{
	for (size_t i = 0; i < n->count; i++)
		if (strcmp(n->written[i], written) == 0)
			return &n->known[i];
	return NULL;
}

static void report_unknown(struct config_report *r, const struct config_key *k,
			   const struct names *n, const char *written)
{
	const char *nearest = suggest_nearest(written, n->written);
	char *list = suggest_list(n->written, "\"", "and");

	if (strcmp(written, "{user}") == 0)
		config_report_error(
			r, k->name,
			"has \"{user}\", and who the user of a connection is nobody "
			"knows unless \"access\" asks for it (\"tokens\", \"jwt\", "
			"\"users\", \"client_certificates\"), or \"path\" has a placeholder "
			"\"{user}\"; \"{{user}\" writes it as it is");
	else if (nearest != NULL)
		config_report_error(r, k->name,
				    "has an unknown placeholder \"%s\" (did you mean \"%s\"?); "
				    "\"{%s\" writes it as it is",
				    written, nearest, written);
	else
		config_report_error(
			r, k->name,
			"has an unknown placeholder \"%s\"; there are %s; \"{%s\" writes "
			"it as it is",
			written, list, written);
	free(list);
}

/* --- parsing --- */

struct parsing {
	struct config_report *report;
	const struct config_key *key;
	struct names names;
	struct config_template *t;
	size_t cap;
	size_t most; /* bytes that it may have with its values */
};

/* How long a placeholder is that begins at p, with its braces; 0: none does. */
static size_t placeholder_at(const char *p)
{
	size_t n = *p == '{' ? strspn(p + 1, "abcdefghijklmnopqrstuvwxyz_") : 0;

	return n > 0 && p[n + 1] == '}' ? n + 2 : 0;
}

static void put(struct config_template *t, const char *p, size_t len)
{
	memcpy(t->text.data + t->text.len, p, len);
	t->text.len += len;
}

static void add_placeholder(struct parsing *p, const char *at, size_t len)
{
	struct config_template *t = p->t;
	static const struct known of_a_path = { TEMPLATE_OF_PATH, BUS_ROOM_NAME_MAX };
	char *written = alloc_bytes(at, len);
	const struct known *k = p->key != NULL ? find(&p->names, written) : &of_a_path;

	if (k == NULL) {
		report_unknown(p->report, p->key, &p->names, written);
	} else {
		t->placeholders =
			alloc_grow(t->placeholders, t->count, &p->cap, sizeof(*t->placeholders));
		t->placeholders[t->count++] = (struct config_placeholder){
			.at = t->text.len,
			.value = k->value,
			.name = k->value == TEMPLATE_OF_PATH ? alloc_bytes(at + 1, len - 2) : NULL,
		};
		p->most += k->most;
	}
	free(written);
}

static void go_through(struct parsing *p)
{
	const char *at = p->t->written.data, *end = at + p->t->written.len;
	size_t len;

	while (at < end) {
		if ((len = placeholder_at(at)) > 0) {
			add_placeholder(p, at, len);
		} else if (*at == '{' && (len = placeholder_at(at + 1)) > 0) {
			put(p->t, at + 1, len);
			len++;
		} else {
			put(p->t, at, len = 1);
		}
		at += len;
	}
	p->most += p->t->text.len;
}

static void check_bounds(const struct parsing *p)
{
	if (p->t->count > TEMPLATE_PLACEHOLDERS_MAX)
		config_report_error(p->report, p->key->name,
				    "has %zu placeholders; at most %d are possible", p->t->count,
				    TEMPLATE_PLACEHOLDERS_MAX);
	else if (p->key->type == CONFIG_TEMPLATE && p->most > TEMPLATE_KEPT_MAX)
		config_report_error(p->report, p->key->name,
				    "may have %zu bytes with the longest values of its "
				    "placeholders; at most %d are possible",
				    p->most, TEMPLATE_KEPT_MAX);
}

/* What is put ahead of messages is no JSON, whatever it looks like. */
static bool is_json(const struct config_key *k, const struct config_text *t)
{
	struct json_value value;
	struct json_error error;

	return k->type != CONFIG_TEMPLATE &&
	       json_find((const uint8_t *)t->data, t->len, "", &value, &error);
}

void template_parse(struct config_report *r, const struct config_key *k,
		    const struct config_endpoint *e, struct config_template *t)
{
	struct parsing p = { .report = r, .key = k, .t = t };

	if (t->written.data == NULL)
		return;
	t->text.data = alloc_zero(1, t->written.len + 1);
	collect(&p.names, e);
	go_through(&p);
	t->json = t->count > 0 && is_json(k, &t->written);
	check_bounds(&p);
	forget(&p.names);
}

void template_parse_path(const char *text, struct config_template *t)
{
	struct parsing p = { .t = t };

	t->written = (struct config_text){ alloc_string(text), strlen(text) };
	t->text.data = alloc_zero(1, t->written.len + 1);
	go_through(&p);
}

bool template_path_has(const struct config_endpoint *e, const char *name)
{
	const char *path = e->path;
	struct path_segment s;

	while (path_has_placeholders(path) && path_next(&path, &s))
		if (s.kind != PATH_LITERAL && s.len == strlen(name) &&
		    memcmp(s.p, name, s.len) == 0)
			return true;
	return false;
}

void template_free(struct config_template *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->placeholders[i].name);
	free(t->placeholders);
	free(t->text.data);
	if (!t->lent)
		free(t->written.data);
}

/* --- writing --- */

static struct http_text value_of(const struct config_placeholder *p,
				 const struct template_values *v)
{
	const char *const texts[] = { [TEMPLATE_PEER] = v->peer,
				      [TEMPLATE_CONN] = v->conn,
				      [TEMPLATE_USER] = v->user ? v->user : "" };
	struct http_text value = { "", 0 };

	if (p->value == TEMPLATE_OF_PATH)
		config_route_value(v->endpoint, v->name, p->name, &value);
	else
		value = (struct http_text){ texts[p->value], strlen(texts[p->value]) };
	return value;
}

size_t template_size(const struct config_template *t, const struct template_values *v)
{
	size_t size = t->text.len;

	for (size_t i = 0; i < t->count; i++) {
		struct http_text value = value_of(&t->placeholders[i], v);

		size += t->json ? json_escaped_size(value.p, value.len) : value.len;
	}
	return size;
}

void template_write(const struct config_template *t, const struct template_values *v, char *out)
{
	uint8_t *to = (uint8_t *)out;
	size_t from = 0;

	for (size_t i = 0; i < t->count; i++) {
		const struct config_placeholder *p = &t->placeholders[i];
		struct http_text value = value_of(p, v);

		to = bytes_copy(to, t->text.data + from, p->at - from);
		from = p->at;
		to = t->json ? json_escape(to, value.p, value.len)
			     : bytes_copy(to, value.p, value.len);
	}
	bytes_copy(to, t->text.data + from, t->text.len - from);
}
