/*
 * fill.c - the rows of a table at work.
 *
 * For each type of key there is one way to read it from a setting and one to
 * read it from the text of a preset; both end in the same checks of range and
 * length. A wrong key is reported and then takes its default, so that one mistake
 * is one error and the checks that follow see sound values.
 */
#include "config/fill.h"

#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/errors.h"
#include "config/json.h"
#include "config/source.h"
#include "config/storage.h"
#include "config/suggest.h"
#include "config/value.h"
#include "proto/utf8.h"

typedef bool text_reader(const struct config_key *k, const char *text, void *value);

/* One key while it is being read. */
struct reading {
	struct config_report *report;
	const struct config_key *key;
	const config_setting_t *setting;
};

struct type {
	const char *expected; /* what the value "must be" */
	text_reader *from_text;
	/* NULL: it is written as a string, for from_text. Reports. */
	bool (*from_setting)(const struct reading *rd, void *value);
};

static const struct type *type_of(const struct config_key *k);

static void *value_of(const struct config_key *k, void *object)
{
	return (char *)object + k->offset;
}

/* --- from text --- */

static bool bool_from_text(const struct config_key *k, const char *text, void *value)
{
	(void)k;
	*(bool *)value = strcmp(text, "true") == 0;
	return *(bool *)value || strcmp(text, "false") == 0;
}

static bool number_from_text(const struct config_key *k, const char *text, void *value)
{
	static bool (*const readers[])(const char *, int64_t *) = {
		[CONFIG_INT] = value_int,
		[CONFIG_DURATION] = value_duration,
		[CONFIG_SIZE] = value_size,
		[CONFIG_MODE] = value_mode,
	};

	return readers[k->type](text, value);
}

static bool string_from_text(const struct config_key *k, const char *text, void *value)
{
	(void)k;
	*(char **)value = alloc_string(text);
	return true;
}

static bool text_from_text(const struct config_key *k, const char *text, void *value)
{
	(void)k;
	*(struct config_text *)value = (struct config_text){ alloc_string(text), strlen(text) };
	return true;
}

static bool choice_from_text(const struct config_key *k, const char *text, void *value)
{
	for (int i = 0; k->choices[i] != NULL; i++) {
		if (strcmp(k->choices[i], text) == 0) {
			*(int *)value = i;
			return true;
		}
	}
	return false;
}

/* Lists and groups have no preset. */
static bool none_from_text(const struct config_key *k, const char *text, void *value)
{
	(void)k;
	(void)text;
	(void)value;
	return false;
}

/* --- what is wrong --- */

static void report_wrong(const struct reading *rd, const config_setting_t *at, const char *must)
{
	char *given = report_given(at);

	report_key(rd->report, at, rd->key->name, "must be %s, not %s", must, given);
	free(given);
}

static void report_expected(const struct reading *rd, const config_setting_t *at)
{
	report_wrong(rd, at, type_of(rd->key)->expected);
}

static void report_choice(const struct reading *rd)
{
	char *words = suggest_list(rd->key->choices, "\"", "or");

	report_wrong(rd, rd->setting, words);
	free(words);
}

/* --- from a setting --- */

static bool bool_from_setting(const struct reading *rd, void *value)
{
	if (config_setting_type(rd->setting) != CONFIG_TYPE_BOOL) {
		report_expected(rd, rd->setting);
		return false;
	}
	*(bool *)value = config_setting_get_bool(rd->setting) != CONFIG_FALSE;
	return true;
}

static bool int_from_setting(const struct reading *rd, void *value)
{
	int type = config_setting_type(rd->setting);

	if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64) {
		report_expected(rd, rd->setting);
		return false;
	}
	*(int64_t *)value = config_setting_get_int64(rd->setting);
	return true;
}

static bool choice_from_setting(const struct reading *rd, void *value)
{
	if (config_setting_type(rd->setting) == CONFIG_TYPE_STRING &&
	    choice_from_text(rd->key, config_setting_get_string(rd->setting), value))
		return true;
	report_choice(rd);
	return false;
}

static bool string_from_setting(const struct reading *rd, void *value)
{
	const struct type *t = type_of(rd->key);

	if (config_setting_type(rd->setting) == CONFIG_TYPE_STRING &&
	    t->from_text(rd->key, config_setting_get_string(rd->setting), value))
		return true;
	report_expected(rd, rd->setting);
	return false;
}

static bool strings_from_setting(const struct reading *rd, void *value)
{
	int type = config_setting_type(rd->setting), n;
	char **list;

	if (type != CONFIG_TYPE_LIST && type != CONFIG_TYPE_ARRAY) {
		report_expected(rd, rd->setting);
		return false;
	}
	n = config_setting_length(rd->setting);
	if (n == 0) /* the same as none */
		return true;
	list = alloc_zero((size_t)n + 1, sizeof(*list));
	*(char ***)value = list;
	for (int i = 0; i < n; i++) {
		const config_setting_t *s = config_setting_get_elem(rd->setting, (unsigned)i);

		if (config_setting_type(s) != CONFIG_TYPE_STRING) {
			report_expected(rd, s);
			return false;
		}
		list[i] = alloc_string(config_setting_get_string(s));
	}
	return true;
}

static bool json_from_setting(const struct reading *rd, void *value)
{
	return json_text(rd->setting, value, rd->key->name, rd->report);
}

static bool message_from_setting(const struct reading *rd, void *value)
{
	if (config_setting_type(rd->setting) != CONFIG_TYPE_STRING)
		return json_from_setting(rd, value);
	return text_from_text(rd->key, config_setting_get_string(rd->setting), value);
}

static bool groups_from_setting(const struct reading *rd, void *value)
{
	(void)value;
	if (config_setting_type(rd->setting) == CONFIG_TYPE_LIST)
		return true;
	report_expected(rd, rd->setting);
	return false;
}

/* Its members are read by its own table. */
static bool group_from_setting(const struct reading *rd, void *value)
{
	(void)value;
	if (config_setting_is_group(rd->setting))
		return true;
	report_expected(rd, rd->setting);
	return false;
}

static const struct type types[] = {
	[CONFIG_BOOL] = { "true or false", bool_from_text, bool_from_setting },
	[CONFIG_INT] = { "a whole number", number_from_text, int_from_setting },
	[CONFIG_DURATION] = { "a duration in quotes such as \"250ms\", \"30s\", \"5m\" or \"1h\"",
			      number_from_text, string_from_setting },
	[CONFIG_SIZE] = { "a size in quotes such as \"512\", \"64K\" or \"1M\"", number_from_text,
			  string_from_setting },
	[CONFIG_STRING] = { "a string", string_from_text, string_from_setting },
	[CONFIG_TEXT] = { "a string", text_from_text, string_from_setting },
	[CONFIG_CHOICE] = { "one of a few words", choice_from_text, choice_from_setting },
	[CONFIG_STRINGS] = { "a list of strings such as (\"a\", \"b\")", none_from_text,
			     strings_from_setting },
	[CONFIG_JSON] = { "any value", text_from_text, json_from_setting },
	[CONFIG_MESSAGE] = { "any value", text_from_text, message_from_setting },
	[CONFIG_MODE] = { "a file mode in quotes such as \"0660\"", number_from_text,
			  string_from_setting },
	[CONFIG_GROUP] = { "a group: { ... }", none_from_text, group_from_setting },
	[CONFIG_GROUPS] = { "a list of groups: ( { ... }, { ... } )", none_from_text,
			    groups_from_setting },
};

static const struct type *type_of(const struct config_key *k)
{
	return &types[k->type];
}

/* --- range and length --- */

static bool check_range(const struct reading *rd, const void *value)
{
	const struct config_key *k = rd->key;
	int64_t v = *(const int64_t *)value;
	char min[48], max[48], *given;

	/* a number that libconfig cut is reported already, and its value is not what is written */
	if (k->type == CONFIG_INT &&
	    errors_scanned_at(rd->report->errors, report_line(rd->setting)))
		return false;
	if (k->min == k->max || (v >= k->min && v <= k->max))
		return true;
	value_format(k->type, k->min, min, sizeof(min));
	value_format(k->type, k->max, max, sizeof(max));
	given = k->type == CONFIG_INT
			? alloc_format("%lld", (long long)v)
			: alloc_format("\"%s\"", config_setting_get_string(rd->setting));
	report_key(rd->report, rd->setting, k->name, "must be from %s to %s, not %s", min, max,
		   given);
	free(given);
	return false;
}

static bool check_length(const struct reading *rd, size_t len, const char *unit)
{
	const struct config_key *k = rd->key;

	if (len < (size_t)k->min) {
		report_key(rd->report, rd->setting, k->name, "must not be empty");
		return false;
	}
	if (k->max != 0 && len > (size_t)k->max) {
		report_key(rd->report, rd->setting, k->name, "must have at most %lld %s, not %zu",
			   (long long)k->max, unit, len);
		return false;
	}
	return true;
}

static bool check_text(const struct reading *rd, const void *value)
{
	const struct config_text *t = value;

	if (!utf8_valid(t->data, t->len)) {
		report_key(rd->report, rd->setting, rd->key->name, "must be UTF-8");
		return false;
	}
	return check_length(rd, t->len, "bytes");
}

static bool check_string(const struct reading *rd, const void *value)
{
	return check_length(rd, strlen(*(char *const *)value), "bytes");
}

static bool check_strings(const struct reading *rd, const void *value)
{
	(void)value;
	return check_length(rd, (size_t)config_setting_length(rd->setting), "elements");
}

static bool check(const struct reading *rd, const void *value)
{
	static bool (*const checks[])(const struct reading *, const void *) = {
		[CONFIG_INT] = check_range,       [CONFIG_DURATION] = check_range,
		[CONFIG_SIZE] = check_range,      [CONFIG_MODE] = check_range,
		[CONFIG_STRING] = check_string,   [CONFIG_TEXT] = check_text,
		[CONFIG_JSON] = check_text,       [CONFIG_MESSAGE] = check_text,
		[CONFIG_STRINGS] = check_strings, [CONFIG_GROUP] = NULL,
		[CONFIG_GROUPS] = NULL,
	};

	return checks[rd->key->type] == NULL || checks[rd->key->type](rd, value);
}

/* --- a row, a table --- */

static void release(const struct config_key *k, void *value)
{
	const struct storage *s = storage_of(k->type);

	if (s->release != NULL)
		s->release(value);
}

bool fill_preset(const struct config_key *k, void *object)
{
	return k->preset == NULL || type_of(k)->from_text(k, k->preset, value_of(k, object));
}

static bool read_setting(const struct reading *rd, void *value)
{
	static const union {
		int64_t number;
		void *pointer;
		struct config_text text;
	} none;

	if (type_of(rd->key)->from_setting(rd, value) && check(rd, value))
		return true;
	release(rd->key, value);
	storage_of(rd->key->type)->copy(value, &none);
	return false;
}

/* The object of a CONFIG_GROUP row. */
static struct key_object group_of(const struct config_key *k, void *object)
{
	return (struct key_object){ k->group, value_of(k, object) };
}

/* The same group one level up, if there is one. */
static const struct key_object *group_above(const struct config_key *k,
					    const struct key_object *above, struct key_object *out)
{
	const struct config_key *up = above != NULL ? key_find(above->keys, k->name) : NULL;

	if (up == NULL)
		return NULL;
	*out = group_of(up, above->object);
	return out;
}

static void fill_default(const struct config_key *k, void *object, const struct key_object *above)
{
	const struct config_key *up = above != NULL ? key_find(above->keys, k->name) : NULL;
	struct key_object upper;

	if (k->type == CONFIG_GROUP) {
		const struct key_object *from = group_above(k, above, &upper);

		for (const struct config_key *m = k->group; m->name != NULL; m++)
			fill_default(m, value_of(k, object), from);
	} else if (up != NULL) {
		storage_of(k->type)->copy(value_of(k, object), value_of(up, above->object));
	} else {
		fill_preset(k, object);
	}
}

/* What is not in the group comes from the same group above, member by member. */
static void fill_group(const struct reading *rd, void *object, const struct key_object *above)
{
	struct config_report sub;
	struct key_object upper;
	char *label = report_enter(rd->report, rd->key->name, rd->setting, &sub);

	fill_object(&sub, group_of(rd->key, object), group_above(rd->key, above, &upper));
	free(label);
}

void fill_object(struct config_report *r, struct key_object o, const struct key_object *above)
{
	for (const struct config_key *k = o.keys; k != NULL && k->name != NULL; k++) {
		struct reading rd = { r, k, config_setting_get_member(r->group, k->name) };

		if (rd.setting != NULL && read_setting(&rd, value_of(k, o.object))) {
			if (k->type == CONFIG_GROUP)
				fill_group(&rd, o.object, above);
			continue;
		}
		/* a missing list is reported by who reads it, with an example */
		if (rd.setting == NULL && k->required && k->type != CONFIG_GROUPS)
			report_error(r, r->group, "missing setting \"%s\"", k->name);
		fill_default(k, o.object, above);
	}
}

void fill_free(struct key_object o)
{
	for (const struct config_key *k = o.keys; k != NULL && k->name != NULL; k++) {
		if (k->type == CONFIG_GROUP)
			fill_free(group_of(k, o.object));
		else
			release(k, value_of(k, o.object));
	}
}

bool fill_same(const struct config_key *k, const void *a, const void *b)
{
	for (; k != NULL && k->name != NULL; k++) {
		if (!fill_equal(k, a, b))
			return false;
	}
	return true;
}

bool fill_equal(const struct config_key *k, const void *a, const void *b)
{
	const char *x = (const char *)a + k->offset, *y = (const char *)b + k->offset;

	return k->type == CONFIG_GROUP ? fill_same(k->group, x, y)
				       : storage_of(k->type)->equal(x, y);
}

const struct config_key *key_find(const struct config_key *keys, const char *name)
{
	for (; keys != NULL && keys->name != NULL; keys++) {
		if (strcmp(keys->name, name) == 0)
			return keys;
	}
	return NULL;
}
