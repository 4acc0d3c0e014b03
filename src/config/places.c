/*
 * places.c - see places.h.
 *
 * The object of a table has no place for this: it has a value, whoever gave it. An endpoint is
 * moved when all are there, so what is noted goes by the number of the element and not by where it
 * is in memory. Tables are shared, but not within one element.
 */
#include "config/places.h"

#include <stdint.h>
#include <stdlib.h>

#include "config/alloc.h"

void places_note(struct places *p, const struct place *place)
{
	p->all = alloc_grow(p->all, p->count, &p->cap, sizeof(*p->all));
	p->all[p->count++] = *place;
}

static int compare(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	uintptr_t key = (uintptr_t)x->key, other = (uintptr_t)y->key;

	if (x->element != y->element)
		return x->element < y->element ? -1 : 1;
	return (key > other) - (key < other);
}

void places_sort(struct places *p)
{
	if (p->count > 0)
		qsort(p->all, p->count, sizeof(*p->all), compare);
}

const struct place *places_find(const struct places *p, unsigned element,
				const struct config_key *k)
{
	const struct place wanted = { .key = k, .element = element };

	if (p->count == 0)
		return NULL;
	return bsearch(&wanted, p->all, p->count, sizeof(*p->all), compare);
}

void places_free(struct places *p)
{
	free(p->all);
}
