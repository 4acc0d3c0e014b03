/*
 * shown.c - see show.h.
 *
 * For each type there is one way to show it, beside those to read it in type.c. Who sees the
 * outcome may be allowed to see less than the file: so what is secret is left out here, where every
 * value comes by, and not by those who print it.
 */
#include "config/shown.h"

#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/errors.h"
#include "config/type.h"
#include "proto/utf8.h"

static const char HIDDEN[] = "***";

static const char *text_at(const void *value)
{
	return *(char *const *)value;
}

/*
 * Where the password of a URL begins and ends, whose "://" is behind from; NULL: it has none. An "@"
 * in the path is none that ends it.
 */
static const char *find_password(const char *from, const char **end)
{
	while ((from = strstr(from, "://")) != NULL) {
		const char *at = NULL, *colon;

		from += 3;
		for (const char *p = from; *p != '\0' && strchr("/?# ,", *p) == NULL; p++)
			at = *p == '@' ? p : at;
		colon = at != NULL ? memchr(from, ':', (size_t)(at - from)) : NULL;
		if (colon != NULL) {
			*end = at;
			return colon + 1;
		}
	}
	return NULL;
}

static char *without_passwords(const char *s)
{
	char *out = alloc_string(""), *whole;
	const char *end, *password;

	while ((password = find_password(s, &end)) != NULL) {
		char *longer = alloc_format("%s%.*s%s", out, (int)(password - s), s, HIDDEN);

		free(out);
		out = longer;
		s = end;
	}
	whole = alloc_format("%s%s", out, s);
	free(out);
	return whole;
}

json_t *show_string(const char *s)
{
	char *text = without_passwords(s);
	json_t *j;

	if (!utf8_valid(text, strlen(text)))
		text = errors_printable(text);
	j = json_string(text);
	free(text);
	return j;
}

static json_t *show_bool(const struct config_key *k, const void *value)
{
	(void)k;
	return json_boolean(*(const bool *)value);
}

static json_t *show_int(const struct config_key *k, const void *value)
{
	(void)k;
	return json_integer(*(const int64_t *)value);
}

/* As it would be written, but for the quotes. */
static json_t *show_quoted(const struct config_key *k, const void *value)
{
	char text[64];

	type_of(k)->format(*(const int64_t *)value, text, sizeof(text));
	return json_stringn(text + 1, strlen(text) - 2);
}

static json_t *show_text(const struct config_key *k, const void *value)
{
	(void)k;
	return text_at(value) != NULL ? show_string(text_at(value)) : json_null();
}

static json_t *show_choice(const struct config_key *k, const void *value)
{
	return json_string(k->choices[*(const int *)value - k->min]);
}

static json_t *show_strings(const struct config_key *k, const void *value)
{
	char *const *list = *(char *const *const *)value;
	json_t *j = json_array();

	(void)k;
	for (; list != NULL && *list != NULL; list++)
		json_array_append_new(j, show_string(*list));
	return j;
}

static json_t *show_rows(const struct config_key *k, const void *object)
{
	json_t *j = json_object();

	for (; k != NULL && k->name != NULL; k++)
		json_object_set_new(j, k->name, show_value(k, object));
	return j;
}

static json_t *show_group(const struct config_key *k, const void *value)
{
	return show_rows(k->group->keys, value);
}

/* How many there are stands elsewhere in the holder than the array. */
static json_t *show_groups(const struct config_key *k, const void *value)
{
	const char *holder = (const char *)value - k->offset, *array;
	size_t count;
	json_t *j = json_array();

	memcpy(&count, holder + k->list->count, sizeof(count));
	memcpy(&array, value, sizeof(array));
	for (size_t i = 0; i < count; i++)
		json_array_append_new(j, show_rows(k->group->keys, array + i * k->list->size));
	return j;
}

static json_t *(*const shown[])(const struct config_key *k, const void *value) = {
	[CONFIG_BOOL] = show_bool,       [CONFIG_INT] = show_int,
	[CONFIG_DURATION] = show_quoted, [CONFIG_SIZE] = show_quoted,
	[CONFIG_RATE] = show_quoted,     [CONFIG_TIMES] = show_quoted,
	[CONFIG_MODE] = show_quoted,     [CONFIG_STRING] = show_text,
	[CONFIG_TEXT] = show_text,       [CONFIG_TEMPLATE] = show_text,
	[CONFIG_JSON] = show_text,       [CONFIG_MESSAGE] = show_text,
	[CONFIG_CHOICE] = show_choice,   [CONFIG_STRINGS] = show_strings,
	[CONFIG_GROUP] = show_group,     [CONFIG_GROUPS] = show_groups,
};

json_t *show_value(const struct config_key *k, const void *object)
{
	if (k->secret)
		return json_string(HIDDEN);
	return shown[k->type](k, (const char *)object + k->offset);
}
