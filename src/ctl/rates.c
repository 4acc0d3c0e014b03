/*
 * rates.c - see rates.h.
 */
#include "ctl/rates.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/trouble.h"

static void add_to_row(json_t *row, const json_t *before, const struct rate *list, double seconds)
{
	for (; list->name; list++) {
		const json_t *now = json_object_get(row, list->counter);
		const json_t *then = json_object_get(before, list->counter);
		double grown = json_number_value(now) - json_number_value(then);

		if (json_is_number(now) && json_is_number(then) && grown >= 0 && seconds > 0)
			json_object_set_new(row, list->name, json_real(grown / seconds));
	}
}

void rates_add(struct rates *r, json_t *rows, const char *key, const struct rate *list, double now)
{
	json_t *seen = trouble_if_null(json_object()), *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		const char *name = json_string_value(json_object_get(row, key));

		if (!name)
			continue;
		add_to_row(row, json_object_get(r->before, name), list, now - r->at);
		json_object_set(seen, name, row);
	}
	rates_free(r);
	r->before = seen;
	r->at = now;
}

void rates_free(struct rates *r)
{
	json_decref(r->before);
	*r = (struct rates){ 0 };
}

static int compare(const void *a, const void *b, void *key)
{
	const json_t *x = json_object_get(*(json_t *const *)a, key);
	const json_t *y = json_object_get(*(json_t *const *)b, key);

	if (json_is_string(x) && json_is_string(y))
		return strcmp(json_string_value(x), json_string_value(y));
	return (json_number_value(x) < json_number_value(y)) -
	       (json_number_value(x) > json_number_value(y));
}

/* Rows that are equal stay as they were, so that they do not jump from one look to the next. */
void rates_sort(json_t *rows, const char *key)
{
	size_t n = json_array_size(rows);
	json_t **list = trouble_if_null(calloc(n + 1, sizeof(json_t *)));

	for (size_t i = 0; i < n; i++)
		list[i] = json_incref(json_array_get(rows, i));
	/* glibc's is a merge sort, unless there is no memory for it */
	qsort_r(list, n, sizeof(json_t *), compare, (void *)key);
	for (size_t i = 0; i < n; i++)
		json_array_set_new(rows, i, list[i]);
	free(list);
}
