/*
 * storage.c - how the values of keys lie in memory.
 *
 * Twelve types of keys share six forms. An endpoint copies from the defaults
 * at the top, a reload compares old with new, and a snapshot ends; all by row,
 * so that a new key needs no code for any of it.
 */
#include "config/storage.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"

#define PLAIN_STORAGE(name, type)                                                                  \
	static void name##_copy(void *to, const void *from)                                        \
	{                                                                                          \
		*(type *)to = *(const type *)from;                                                 \
	}                                                                                          \
	static bool name##_equal(const void *a, const void *b)                                     \
	{                                                                                          \
		return *(const type *)a == *(const type *)b;                                       \
	}                                                                                          \
	static const struct storage name##_storage = { name##_copy, NULL, name##_equal }

PLAIN_STORAGE(flag, bool);
PLAIN_STORAGE(number, int64_t);
PLAIN_STORAGE(choice, int);

static void string_copy(void *to, const void *from)
{
	const char *s = *(char *const *)from;

	*(char **)to = s != NULL ? alloc_string(s) : NULL;
}

static void string_release(void *value)
{
	free(*(char **)value);
}

static bool same_string(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool string_equal(const void *a, const void *b)
{
	return same_string(*(char *const *)a, *(char *const *)b);
}

static void text_copy(void *to, const void *from)
{
	struct config_text t = *(const struct config_text *)from;

	if (t.data != NULL)
		t.data = alloc_bytes(t.data, t.len);
	*(struct config_text *)to = t;
}

static void text_release(void *value)
{
	free(((struct config_text *)value)->data);
}

static bool text_equal(const void *a, const void *b)
{
	const struct config_text *x = a, *y = b;

	if (x->data == NULL || y->data == NULL)
		return x->data == y->data;
	return x->len == y->len && memcmp(x->data, y->data, x->len) == 0;
}

static void list_copy(void *to, const void *from)
{
	char *const *list = *(char *const *const *)from;
	size_t n = 0;
	char **copy;

	*(char ***)to = NULL;
	if (list == NULL)
		return;
	while (list[n] != NULL)
		n++;
	copy = alloc_zero(n + 1, sizeof(*copy));
	for (size_t i = 0; i < n; i++)
		copy[i] = alloc_string(list[i]);
	*(char ***)to = copy;
}

static void list_release(void *value)
{
	char **list = *(char ***)value;

	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		free(list[i]);
	free(list);
}

static bool list_equal(const void *a, const void *b)
{
	char *const *x = *(char *const *const *)a, *const *y = *(char *const *const *)b;

	if (x == NULL || y == NULL)
		return x == y;
	for (; *x != NULL && same_string(*x, *y); x++)
		y++;
	return same_string(*x, *y);
}

static void nothing_copy(void *to, const void *from)
{
	(void)to;
	(void)from;
}

static bool nothing_equal(const void *a, const void *b)
{
	(void)a;
	(void)b;
	return true;
}

const struct storage *storage_of(enum config_type type)
{
	static const struct storage string = { string_copy, string_release, string_equal };
	static const struct storage text = { text_copy, text_release, text_equal };
	static const struct storage list = { list_copy, list_release, list_equal };
	static const struct storage nothing = { nothing_copy, NULL, nothing_equal };
	static const struct storage *const storages[] = {
		[CONFIG_BOOL] = &flag_storage,
		[CONFIG_INT] = &number_storage,
		[CONFIG_DURATION] = &number_storage,
		[CONFIG_SIZE] = &number_storage,
		[CONFIG_STRING] = &string,
		[CONFIG_TEXT] = &text,
		[CONFIG_CHOICE] = &choice_storage,
		[CONFIG_STRINGS] = &list,
		[CONFIG_JSON] = &text,
		[CONFIG_MESSAGE] = &text,
		[CONFIG_MODE] = &number_storage,
		[CONFIG_GROUP] = &nothing, /* its rows have theirs */
		[CONFIG_GROUPS] = &nothing,
	};

	return storages[type];
}
