/*
 * json.c - a setting of any shape as JSON.
 *
 * The separators are jansson's own, ", " and ": ", which is also how the guide
 * writes its example. A float is written with 15 digits, which is what it
 * surely has (0.1 and not 0.10000000000000001), or more if it takes more to
 * bring it back.
 */
#include "config/json.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/config.h"

struct conversion {
	struct config_report *report;
	const char *key;
	int precision; /* digits that every float so far needs */
};

static json_t *convert(struct conversion *c, const config_setting_t *s);

static int digits_needed(double v)
{
	char text[64];

	for (int digits = 15; digits < 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			return digits;
	}
	return 17;
}

static json_t *convert_float(struct conversion *c, const config_setting_t *s)
{
	double v = config_setting_get_float(s);
	int digits;

	if (!isfinite(v))
		return json_null(); /* reported when the tokens were looked at */
	digits = digits_needed(v);
	if (digits > c->precision)
		c->precision = digits;
	return json_real(v);
}

static json_t *convert_string(struct conversion *c, const config_setting_t *s)
{
	json_t *j = json_string(config_setting_get_string(s));

	if (j == NULL)
		report_key(c->report, s, c->key, "has text that is not UTF-8");
	return j;
}

static json_t *convert_group(struct conversion *c, const config_setting_t *s)
{
	json_t *object = json_object();

	for (int i = 0; i < config_setting_length(s); i++) {
		const config_setting_t *member = config_setting_get_elem(s, (unsigned)i);
		json_t *value = convert(c, member);

		/* takes the reference, also when it fails */
		if (json_object_set_new(object, config_setting_name(member), value) < 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

static json_t *convert_list(struct conversion *c, const config_setting_t *s)
{
	json_t *array = json_array();

	for (int i = 0; i < config_setting_length(s); i++) {
		json_t *value = convert(c, config_setting_get_elem(s, (unsigned)i));

		if (json_array_append_new(array, value) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

/* Recursion is bounded: lexcheck.c refuses what is nested too deeply. */
static json_t *convert(struct conversion *c, const config_setting_t *s)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_GROUP:
		return convert_group(c, s);
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return json_integer(config_setting_get_int64(s));
	case CONFIG_TYPE_FLOAT:
		return convert_float(c, s);
	case CONFIG_TYPE_STRING:
		return convert_string(c, s);
	case CONFIG_TYPE_BOOL:
		return json_boolean(config_setting_get_bool(s));
	default:
		return convert_list(c, s);
	}
}

bool json_text(const config_setting_t *s, struct config_text *out, const char *key,
	       struct config_report *r)
{
	struct conversion c = { .report = r, .key = key, .precision = 15 };
	size_t before = config_errors_count(r->errors);
	json_t *j = convert(&c, s);
	char *text = NULL;

	if (j != NULL)
		text = json_dumps(j, JSON_ENCODE_ANY | JSON_REAL_PRECISION(c.precision));
	json_decref(j);
	if (text != NULL)
		*out = (struct config_text){ alloc_string(text), strlen(text) };
	else if (config_errors_count(r->errors) == before)
		report_key(r, s, key, "cannot be written as JSON");
	free(text);
	return out->data != NULL;
}
