/*
 * type.c - the types that a key may have: one row for each.
 *
 * For each type there is one way to read it from a setting and one to read it from
 * the text of a preset; both end in the same checks of range and length. A list or
 * a group has no preset, and what is in it is read by tables of its own.
 */
#include "config/type.h"

#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/as_json.h"
#include "config/errors.h"
#include "config/storage.h"
#include "config/strings.h"
#include "config/suggest.h"
#include "config/value.h"
#include "proto/utf8.h"

/* --- from text --- */

static bool bool_from_text(const struct config_key *k, const char *text, void *value)
{
	(void)k;
	*(bool *)value = strcmp(text, "true") == 0;
	return *(bool *)value || strcmp(text, "false") == 0;
}

static bool number_from_text(const struct config_key *k, const char *text, void *value)
{
	return type_of(k)->number(text, value);
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

static bool template_from_text(const struct config_key *k, const char *text, void *value)
{
	return text_from_text(k, text, &((struct config_template *)value)->written);
}

static bool choice_from_text(const struct config_key *k, const char *text, void *value)
{
	for (int i = 0; k->choices[i] != NULL; i++) {
		if (strcmp(k->choices[i], text) == 0) {
			*(int *)value = i + (int)k->min;
			return true;
		}
	}
	return false;
}

/* --- what is wrong --- */

static void report_wrong(const struct reading *rd, const config_setting_t *at, const char *must)
{
	char *given = report_given(at);

	report_key(rd->report, at, rd->key->name, "must be %s, not %s", must, given);
	free(given);
}

void type_report_expected(const struct reading *rd, const config_setting_t *at)
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
		type_report_expected(rd, rd->setting);
		return false;
	}
	*(bool *)value = config_setting_get_bool(rd->setting) != CONFIG_FALSE;
	return true;
}

static bool int_from_setting(const struct reading *rd, void *value)
{
	int type = config_setting_type(rd->setting);

	if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64) {
		type_report_expected(rd, rd->setting);
		return false;
	}
	*(int64_t *)value = config_setting_get_int64(rd->setting);
	return true;
}

static bool choice_from_setting(const struct reading *rd, void *value)
{
	if (rd->key->or_bool && config_setting_type(rd->setting) == CONFIG_TYPE_BOOL) {
		*(int *)value = config_setting_get_bool(rd->setting) != CONFIG_FALSE;
		return true;
	}
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
	type_report_expected(rd, rd->setting);
	return false;
}

static bool strings_from_setting(const struct reading *rd, void *value)
{
	int type = config_setting_type(rd->setting), n;
	char **list;

	if (type == CONFIG_TYPE_STRING && rd->key->or_string) {
		list = strings_new(1);
		list[0] = alloc_string(config_setting_get_string(rd->setting));
		*(char ***)value = list;
		return true;
	}
	if (type != CONFIG_TYPE_LIST && type != CONFIG_TYPE_ARRAY) {
		type_report_expected(rd, rd->setting);
		return false;
	}
	n = config_setting_length(rd->setting);
	if (n == 0) /* the same as none */
		return true;
	list = strings_new((size_t)n);
	*(char ***)value = list;
	for (int i = 0; i < n; i++) {
		const config_setting_t *s = config_setting_get_elem(rd->setting, (unsigned)i);

		if (config_setting_type(s) != CONFIG_TYPE_STRING) {
			type_report_expected(rd, s);
			return false;
		}
		list[i] = alloc_string(config_setting_get_string(s));
	}
	return true;
}

static bool json_from_setting(const struct reading *rd, void *value)
{
	struct config_template *t = value;

	return json_text(rd->setting, &t->written, rd->key->name, rd->report);
}

static bool message_from_setting(const struct reading *rd, void *value)
{
	if (config_setting_type(rd->setting) != CONFIG_TYPE_STRING)
		return json_from_setting(rd, value);
	return template_from_text(rd->key, config_setting_get_string(rd->setting), value);
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
	type_of(k)->format(k->min, min, sizeof(min));
	type_of(k)->format(k->max, max, sizeof(max));
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

static bool check_template(const struct reading *rd, const void *value)
{
	return check_text(rd, &((const struct config_template *)value)->written);
}

static bool check_string(const struct reading *rd, const void *value)
{
	return check_length(rd, strlen(*(char *const *)value), "bytes");
}

static bool check_strings(const struct reading *rd, const void *value)
{
	(void)value;
	if (config_setting_is_scalar(rd->setting))
		return true;
	return check_length(rd, (size_t)config_setting_length(rd->setting), "elements");
}

/* --- the table --- */

static const struct type types[] = {
	[CONFIG_BOOL] = { .expected = "true or false",
			  .from_text = bool_from_text,
			  .from_setting = bool_from_setting,
			  .storage = &storage_flag },
	[CONFIG_INT] = { .expected = "a whole number",
			 .from_text = number_from_text,
			 .from_setting = int_from_setting,
			 .check = check_range,
			 .number = value_int,
			 .format = value_format_int,
			 .storage = &storage_number },
	[CONFIG_DURATION] = { .expected = "a duration in quotes such as \"250ms\", \"30s\", "
					  "\"5m\" or \"1h\"",
			      .from_text = number_from_text,
			      .from_setting = string_from_setting,
			      .check = check_range,
			      .number = value_duration,
			      .format = value_format_duration,
			      .storage = &storage_number },
	[CONFIG_SIZE] = { .expected = "a size in quotes such as \"512\", \"64K\" or \"1M\"",
			  .from_text = number_from_text,
			  .from_setting = string_from_setting,
			  .check = check_range,
			  .number = value_size,
			  .format = value_format_size,
			  .storage = &storage_number },
	[CONFIG_RATE] = { .expected = "a rate in quotes such as \"20/s\", \"100/m\" or \"5/h\", at "
				      "most \"1000000/s\"",
			  .from_text = number_from_text,
			  .from_setting = string_from_setting,
			  .number = value_rate,
			  .format = value_format_rate,
			  .storage = &storage_number },
	[CONFIG_TIMES] = { .expected =
				   "so many in a while, in quotes, such as \"10/s\", \"100/m\" or "
				   "\"5/h\", at most 1000000",
			   .from_text = number_from_text,
			   .from_setting = string_from_setting,
			   .number = value_times,
			   .format = value_format_times,
			   .storage = &storage_number },
	[CONFIG_MODE] = { .expected = "a file mode in quotes such as \"0660\"",
			  .from_text = number_from_text,
			  .from_setting = string_from_setting,
			  .check = check_range,
			  .number = value_mode,
			  .format = value_format_mode,
			  .storage = &storage_number },
	[CONFIG_STRING] = { .expected = "a string",
			    .from_text = string_from_text,
			    .from_setting = string_from_setting,
			    .check = check_string,
			    .storage = &storage_string },
	[CONFIG_TEXT] = { .expected = "a string",
			  .from_text = text_from_text,
			  .from_setting = string_from_setting,
			  .check = check_text,
			  .storage = &storage_text },
	[CONFIG_CHOICE] = { .expected = "one of a few words",
			    .from_text = choice_from_text,
			    .from_setting = choice_from_setting,
			    .storage = &storage_choice },
	[CONFIG_STRINGS] = { .expected = "a list of strings such as (\"a\", \"b\")",
			     .from_setting = strings_from_setting,
			     .check = check_strings,
			     .storage = &storage_strings },
	[CONFIG_TEMPLATE] = { .expected = "a string",
			      .from_text = template_from_text,
			      .from_setting = string_from_setting,
			      .check = check_template,
			      .storage = &storage_template },
	[CONFIG_JSON] = { .expected = "any value",
			  .from_text = template_from_text,
			  .from_setting = json_from_setting,
			  .check = check_template,
			  .storage = &storage_template },
	[CONFIG_MESSAGE] = { .expected = "any value",
			     .from_text = template_from_text,
			     .from_setting = message_from_setting,
			     .check = check_template,
			     .storage = &storage_template },
	[CONFIG_GROUP] = { .expected = "a group: { ... }", .storage = &storage_group },
	[CONFIG_GROUPS] = { .expected = "a list of groups: ( { ... }, { ... } )",
			    .storage = &storage_groups },
};

const struct type *type_of(const struct config_key *k)
{
	return &types[k->type];
}
