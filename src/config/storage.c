/*
 * storage.c - how the values of keys lie in memory.
 *
 * Types that mean different things have the same form: sizes and durations are
 * numbers. An endpoint copies from the defaults at the top, a reload compares old
 * with new, and a snapshot ends; all by the form of a row, so that a new key needs
 * no code for any of it.
 */
#include "config/storage.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/strings.h"
#include "config/template.h"

#define PLAIN_STORAGE(name, type)                                                                  \
	static void name##_copy(const struct config_key *k, void *to, const void *from)            \
	{                                                                                          \
		(void)k;                                                                           \
		*(type *)to = *(const type *)from;                                                 \
	}                                                                                          \
	static bool name##_equal(const struct config_key *k, const void *a, const void *b)         \
	{                                                                                          \
		(void)k;                                                                           \
		return *(const type *)a == *(const type *)b;                                       \
	}                                                                                          \
	const struct storage storage_##name = { name##_copy, NULL, name##_equal }

PLAIN_STORAGE(flag, bool);
PLAIN_STORAGE(number, int64_t);
PLAIN_STORAGE(choice, int);

static void string_copy(const struct config_key *k, void *to, const void *from)
{
	const char *s = *(char *const *)from;

	(void)k;
	*(char **)to = s != NULL ? alloc_string(s) : NULL;
}

static void string_release(const struct config_key *k, void *value)
{
	(void)k;
	free(*(char **)value);
}

static bool same_string(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool string_equal(const struct config_key *k, const void *a, const void *b)
{
	(void)k;
	return same_string(*(char *const *)a, *(char *const *)b);
}

static void text_copy(const struct config_key *k, void *to, const void *from)
{
	struct config_text t = *(const struct config_text *)from;

	(void)k;
	if (t.data != NULL)
		t.data = alloc_bytes(t.data, t.len);
	*(struct config_text *)to = t;
}

static void text_release(const struct config_key *k, void *value)
{
	(void)k;
	free(((struct config_text *)value)->data);
}

static bool text_equal(const struct config_key *k, const void *a, const void *b)
{
	const struct config_text *x = a, *y = b;

	(void)k;
	if (x->data == NULL || y->data == NULL)
		return x->data == y->data;
	return x->len == y->len && memcmp(x->data, y->data, x->len) == 0;
}

/*
 * What was written; it is not parsed yet. It is lent by the object above, which is of the same snapshot:
 * ten thousand endpoints may have the same long text.
 */
static void template_copy(const struct config_key *k, void *to, const void *from)
{
	const struct config_template *t = from;

	(void)k;
	*(struct config_template *)to =
		(struct config_template){ .written = t->written, .lent = t->written.data != NULL };
}

static void template_release(const struct config_key *k, void *value)
{
	(void)k;
	template_free(value);
}

/* There is one list, however many have it from the object above. */
static void strings_copy(const struct config_key *k, void *to, const void *from)
{
	(void)k;
	*(char ***)to = strings_share(*(char **const *)from);
}

static void strings_release(const struct config_key *k, void *value)
{
	(void)k;
	strings_drop(*(char ***)value);
}

static bool strings_equal(const struct config_key *k, const void *a, const void *b)
{
	char *const *x = *(char *const *const *)a, *const *y = *(char *const *const *)b;

	(void)k;
	if (x == y || x == NULL || y == NULL)
		return x == y;
	for (; *x != NULL && same_string(*x, *y); x++)
		y++;
	return same_string(*x, *y);
}

const struct storage storage_string = { string_copy, string_release, string_equal };
const struct storage storage_text = { text_copy, text_release, text_equal };
/* They are the same if the same was written, for that is what comes first. */
const struct storage storage_template = { template_copy, template_release, text_equal };
const struct storage storage_strings = { strings_copy, strings_release, strings_equal };
