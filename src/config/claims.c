/*
 * claims.c - see claims.h.
 *
 * Two forms say the same: a group of names with values, in which a group within is a claim within, and,
 * for names that libconfig cannot write, a list of groups with `claim` and `value`.
 */
#include "config/claims.h"

#include <libconfig.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/config.h"
#include "config/errors.h"
#include "config/path.h"
#include "config/report.h"
#include "config/source.h"
#include "config/template.h"
#include "proto/utf8.h"

/* A setting while it is read. */
struct reading_rules {
	struct config_report *report;
	const char *key;
	struct claims_rules *out;
	const char *path[CLAIMS_NESTED_MAX + 1]; /* to where it is read */
	size_t depth;
};

/* --- placeholders --- */

static struct claims_placeholder *find_placeholder(const struct claims_rules *rules,
						   const char *name)
{
	struct claims_placeholder *p = rules->placeholders;

	while (p != NULL && strcmp(p->name, name) != 0)
		p = p->next;
	return p;
}

/* There are never more than a path can have: an endpoint is asked for each of them. */
static void note_placeholder(struct reading_rules *r, const config_setting_t *s, const char *name)
{
	struct claims_placeholder *p;

	if (find_placeholder(r->out, name) != NULL)
		return;
	if (r->out->placeholder_count == PATH_PLACEHOLDERS_MAX) {
		report_key(r->report, s, r->key,
			   "has \"{%s}\", and %d other placeholders already: no path has more; "
			   "\"{{%s}\" says it as it is",
			   name, PATH_PLACEHOLDERS_MAX, name);
		return;
	}
	p = alloc_zero(1, sizeof(*p));
	*p = (struct claims_placeholder){
		.name = alloc_string(name),
		.at = source_place(r->report->source, report_line(s)),
		.label = alloc_string(r->report->label),
		.next = r->out->placeholders,
	};
	r->out->placeholders = p;
	r->out->placeholder_count++;
}

/* --- a value --- */

/* NULL: reported. */
static json_t *read_float(struct reading_rules *r, const config_setting_t *s)
{
	const double v = config_setting_get_float(s);

	if (isfinite(v))
		return alloc_checked(json_real(v));
	report_key(r->report, s, r->key, "has a number that is too large");
	return NULL;
}

static json_t *as_json(struct reading_rules *r, const config_setting_t *s)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return alloc_checked(json_integer(config_setting_get_int64(s)));
	case CONFIG_TYPE_FLOAT:
		return read_float(r, s);
	default:
		return config_setting_get_bool(s) ? json_true() : json_false();
	}
}

static void add_text(struct reading_rules *r, const config_setting_t *s, struct claims_value *v)
{
	const char *text = config_setting_get_string(s);

	if (strlen(text) > CLAIMS_TEXT_MAX || !utf8_valid(text, strlen(text))) {
		report_key(r->report, s, r->key,
			   "has a value that is not UTF-8 of at most %d bytes", CLAIMS_TEXT_MAX);
		return;
	}
	template_parse_path(text, &v->text);
	if (v->text.count > CLAIMS_PLACEHOLDERS_MAX)
		report_key(r->report, s, r->key,
			   "has a value with more than the %d placeholders that are possible",
			   CLAIMS_PLACEHOLDERS_MAX);
	for (size_t i = 0; i < v->text.count && i < CLAIMS_PLACEHOLDERS_MAX; i++)
		note_placeholder(r, s, v->text.placeholders[i].name);
}

/* RFC 8693 4.2: its words have spaces between them. */
static bool is_of_words(const struct claims_rule *rule)
{
	return rule->path[1] == NULL && strcmp(rule->path[0], "scope") == 0;
}

static void check_words(struct reading_rules *r, const config_setting_t *s,
			const struct claims_rule *rule)
{
	if (is_of_words(rule) && strchr(config_setting_get_string(s), ' ') != NULL)
		report_key(r->report, s, r->key,
			   "has a value of \"scope\" with a space, which is between its words: "
			   "name one of these");
}

static void add_value(struct reading_rules *r, const config_setting_t *s, struct claims_rule *rule)
{
	struct claims_value *v;
	char *given;

	rule->values = alloc_grow(rule->values, rule->count, &rule->cap, sizeof(*rule->values));
	v = &rule->values[rule->count++];
	*v = (struct claims_value){ .json = NULL };
	if (config_setting_type(s) == CONFIG_TYPE_STRING) {
		check_words(r, s, rule);
		add_text(r, s, v);
	} else if (config_setting_is_scalar(s)) {
		v->json = as_json(r, s);
	} else {
		given = report_given(s);
		report_key(r->report, s, r->key,
			   "has to have strings, numbers and booleans as values, or a list of "
			   "them, not %s",
			   given);
		free(given);
	}
}

/* --- a rule --- */

static char *join(const char *const *path, size_t n)
{
	char *shown = alloc_string(path[0]), *longer;

	for (size_t i = 1; i < n; i++) {
		longer = alloc_format("%s.%s", shown, path[i]);
		free(shown);
		shown = longer;
	}
	return shown;
}

/* That there are too many is told where it happens. */
static bool count_values(struct reading_rules *r, const config_setting_t *s, size_t n)
{
	const size_t before = r->out->value_count;

	r->out->value_count += n;
	if (before <= CLAIMS_ALL_VALUES_MAX && before + n > CLAIMS_ALL_VALUES_MAX)
		report_key(r->report, s, r->key,
			   "has more than the %d values of all claims together that are possible",
			   CLAIMS_ALL_VALUES_MAX);
	return before + n <= CLAIMS_ALL_VALUES_MAX;
}

/* At r->path, which is not empty. */
static void add_rule(struct reading_rules *r, const config_setting_t *value)
{
	const int n = config_setting_is_scalar(value) ? 1 : config_setting_length(value);
	struct claims_rules *out = r->out;
	struct claims_rule *rule;

	if (out->count == CLAIMS_RULES_MAX || n == 0 || n > CLAIMS_VALUES_MAX) {
		report_key(r->report, value, r->key,
			   "has to have at most %d claims, each with 1 to %d values",
			   CLAIMS_RULES_MAX, CLAIMS_VALUES_MAX);
		return;
	}
	if (!count_values(r, value, (size_t)n))
		return;
	out->list = alloc_grow(out->list, out->count, &out->cap, sizeof(*out->list));
	rule = &out->list[out->count++];
	*rule = (struct claims_rule){ .path = alloc_zero(r->depth + 1, sizeof(*rule->path)),
				      .shown = join(r->path, r->depth) };
	for (size_t i = 0; i < r->depth; i++)
		rule->path[i] = alloc_string(r->path[i]);
	for (int i = 0; i < n; i++)
		add_value(r,
			  config_setting_is_scalar(value)
				  ? value
				  : config_setting_get_elem(value, (unsigned)i),
			  rule);
}

static bool descend(struct reading_rules *r, const config_setting_t *s, const char *name)
{
	if (r->depth == CLAIMS_NESTED_MAX) {
		report_key(r->report, s, r->key,
			   "has claims within each other; at most %d are possible",
			   CLAIMS_NESTED_MAX);
		return false;
	}
	r->path[r->depth++] = name;
	return true;
}

/* As deep as CLAIMS_NESTED_MAX. */
static void read_group(struct reading_rules *r, const config_setting_t *group)
{
	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);

		if (!descend(r, s, config_setting_name(s)))
			return;
		if (config_setting_is_group(s))
			read_group(r, s);
		else
			add_rule(r, s);
		r->depth--;
	}
}

/* --- a list --- */

/* A claim is a name, or a list of names, the outermost first. */
static bool read_claim(struct reading_rules *r, const config_setting_t *claim)
{
	const int n = claim == NULL                     ? 0
		      : config_setting_is_scalar(claim) ? 1
							: config_setting_length(claim);

	for (int i = 0; i < n; i++) {
		const config_setting_t *s = config_setting_is_scalar(claim)
						    ? claim
						    : config_setting_get_elem(claim, (unsigned)i);

		if (config_setting_type(s) != CONFIG_TYPE_STRING)
			return false;
		if (!descend(r, s, config_setting_get_string(s)))
			return true;
	}
	return n > 0;
}

static void read_element(struct reading_rules *r, const config_setting_t *s)
{
	const config_setting_t *claim = NULL, *value = NULL;

	if (config_setting_is_group(s) && config_setting_length(s) == 2) {
		claim = config_setting_get_member(s, "claim");
		value = config_setting_get_member(s, "value");
	}
	if (value == NULL || config_setting_is_group(value) || !read_claim(r, claim))
		report_key(r->report, s, r->key,
			   "has to be a group of claims, { room = \"{room}\"; }, or a list such as "
			   "( { claim = \"https://example.com/role\"; value = \"a\"; } )");
	else
		add_rule(r, value);
	r->depth = 0;
}

void claims_read(struct config_report *r, const char *key, struct claims_rules *out)
{
	const config_setting_t *s = config_setting_get_member(r->group, key);
	struct reading_rules rules = { .report = r, .key = key, .out = out };

	if (s == NULL)
		return;
	if (config_setting_is_group(s)) {
		read_group(&rules, s);
	} else if (config_setting_is_list(s)) {
		for (int i = 0; i < config_setting_length(s); i++)
			read_element(&rules, config_setting_get_elem(s, (unsigned)i));
	} else {
		read_element(&rules, s);
	}
}

static void free_rule(struct claims_rule *rule)
{
	for (size_t i = 0; i < rule->count; i++) {
		json_decref(rule->values[i].json);
		template_free(&rule->values[i].text);
	}
	for (char **p = rule->path; *p != NULL; p++)
		free(*p);
	free(rule->path);
	free(rule->shown);
	free(rule->values);
}

static void free_placeholders(struct claims_rules *rules)
{
	struct claims_placeholder *p;

	while ((p = rules->placeholders) != NULL) {
		rules->placeholders = p->next;
		free(p->name);
		free(p->label);
		free(p);
	}
}

void claims_free(struct claims_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++)
		free_rule(&rules->list[i]);
	free(rules->list);
	free_placeholders(rules);
}

/* --- of an endpoint --- */

/* What many endpoints have from the top is told of the first of them. */
void claims_check(struct config_report *r, const char *key, const struct claims_rules *rules,
		  const struct config_endpoint *e)
{
	for (struct claims_placeholder *p = rules->placeholders; p != NULL; p = p->next) {
		if (p->told || template_path_has(e, p->name))
			continue;
		p->told = true;
		errors_add(r->errors, false, p->at,
			   "%s: \"%s\" has a value with \"{%s}\", a placeholder that the path "
			   "\"%s\" does not have; \"{{%s}\" says it as it is",
			   p->label, key, p->name, e->path, p->name);
	}
}

/* --- at work --- */

static const json_t *find_claim(const json_t *claims, char *const *path)
{
	for (; *path != NULL && claims != NULL; path++)
		claims = json_object_get(claims, *path);
	return claims;
}

static bool has_text(struct elements_look *look, const struct config_template *text,
		     const struct template_values *values)
{
	static char out[CLAIMS_TEXT_MAX + CLAIMS_PLACEHOLDERS_MAX * BUS_ROOM_NAME_MAX];
	const size_t len = template_size(text, values);

	template_write(text, values, out);
	return elements_have_text(look, out, len);
}

static bool is_kept(const struct claims_rule *rule, const json_t *claims,
		    const struct template_values *values, struct elements_look *look)
{
	const json_t *claim = find_claim(claims, rule->path);

	if (claim == NULL)
		return false;
	elements_take(look, claim, is_of_words(rule) ? ELEMENTS_WORDS : ELEMENTS_PATTERNS);
	for (size_t i = 0; i < rule->count && !look->too_much; i++) {
		const struct claims_value *v = &rule->values[i];

		if (v->json != NULL ? elements_have_value(look, v->json)
				    : has_text(look, &v->text, values))
			return true;
	}
	return false;
}

const struct claims_rule *claims_broken(const struct claims_rules *rules, const json_t *claims,
					const struct config_endpoint *e, const char *name,
					struct elements_look *look)
{
	const struct template_values values = { .endpoint = e, .name = name };

	for (size_t i = 0; i < rules->count; i++)
		if (!is_kept(&rules->list[i], claims, &values, look))
			return &rules->list[i];
	return NULL;
}
