/*
 * as_json.c - a setting of any shape as JSON.
 *
 * The separators are jansson's own, ", " and ": ", which is also how the guide
 * writes its example. A float is written with as many digits as it takes to bring it
 * back, each with its own: beside one that needs 17 another is still 7.6, and not
 * 7.5999999999999996. jansson has one number of digits for a text, so it writes
 * strings and numbers one by one.
 */
#include "config/as_json.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "config/alloc.h"
#include "config/config.h"

struct conversion {
	struct config_report *report;
	const char *key;
	struct buffer out;
};

static bool convert(struct conversion *c, const config_setting_t *s);

static bool put(struct conversion *c, const char *text)
{
	return buffer_append(&c->out, text, strlen(text));
}

/* Takes j over. */
static bool put_scalar(struct conversion *c, json_t *j, int digits)
{
	char *text = json_dumps(j, JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
	bool good = text != NULL && put(c, text);

	free(text);
	json_decref(j);
	return good;
}

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

static bool convert_float(struct conversion *c, const config_setting_t *s)
{
	double v = config_setting_get_float(s);

	if (!isfinite(v))
		return put(c, "null"); /* reported when the tokens were looked at */
	return put_scalar(c, json_real(v), digits_needed(v));
}

static bool convert_string(struct conversion *c, const config_setting_t *s)
{
	json_t *j = json_string(config_setting_get_string(s));

	if (j == NULL)
		report_key(c->report, s, c->key, "has text that is not UTF-8");
	return j != NULL && put_scalar(c, j, 0);
}

/* A group, or a list: its members with what stands around and between them. */
static bool convert_members(struct conversion *c, const config_setting_t *s, bool named)
{
	if (!put(c, named ? "{" : "["))
		return false;
	for (int i = 0; i < config_setting_length(s); i++) {
		const config_setting_t *member = config_setting_get_elem(s, (unsigned)i);

		if (i > 0 && !put(c, ", "))
			return false;
		if (named &&
		    !(put_scalar(c, json_string(config_setting_name(member)), 0) && put(c, ": ")))
			return false;
		if (!convert(c, member))
			return false;
	}
	return put(c, named ? "}" : "]");
}

/* Recursion is bounded: lexcheck.c refuses what is nested too deeply. */
static bool convert(struct conversion *c, const config_setting_t *s)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_GROUP:
		return convert_members(c, s, true);
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return put_scalar(c, json_integer(config_setting_get_int64(s)), 0);
	case CONFIG_TYPE_FLOAT:
		return convert_float(c, s);
	case CONFIG_TYPE_STRING:
		return convert_string(c, s);
	case CONFIG_TYPE_BOOL:
		return put(c, config_setting_get_bool(s) ? "true" : "false");
	default:
		return convert_members(c, s, false);
	}
}

bool json_text(const config_setting_t *s, struct config_text *out, const char *key,
	       struct config_report *r)
{
	struct conversion c = { .report = r, .key = key };
	size_t before = config_errors_count(r->errors);

	if (convert(&c, s))
		*out = (struct config_text){ alloc_bytes(c.out.p, c.out.len), c.out.len };
	else if (config_errors_count(r->errors) == before)
		report_key(r, s, key, "cannot be written as JSON");
	buffer_free(&c.out);
	return out->data != NULL;
}
