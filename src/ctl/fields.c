/*
 * fields.c - see fields.h.
 */
#include "ctl/fields.h"

/* The value; NULL where it is missing, null, or not of a type that ok is true for. */
static const json_t *field(struct fields *f, const char *key, bool (*ok)(const json_t *))
{
	const json_t *value = json_object_get(f->object, key);

	if (!value || json_is_null(value))
		return NULL;
	if (ok(value))
		return value;
	if (!f->wrong)
		f->wrong = key;
	return NULL;
}

static bool is_text(const json_t *value)
{
	return json_is_string(value);
}

static bool is_number(const json_t *value)
{
	return json_is_number(value);
}

static bool is_truth(const json_t *value)
{
	return json_is_boolean(value);
}

static bool is_object(const json_t *value)
{
	return json_is_object(value);
}

static bool is_array(const json_t *value)
{
	return json_is_array(value);
}

const char *fields_text(struct fields *f, const char *key)
{
	return json_string_value(field(f, key, is_text));
}

const json_t *fields_object(struct fields *f, const char *key)
{
	return field(f, key, is_object);
}

const json_t *fields_array(struct fields *f, const char *key)
{
	return field(f, key, is_array);
}

double fields_number(struct fields *f, const char *key)
{
	return json_number_value(field(f, key, is_number));
}

bool fields_true(struct fields *f, const char *key)
{
	return json_is_true(field(f, key, is_truth));
}
