/*
 * who.c - whom a list of those who are present tells: their names, and their order.
 *
 * A list may have thousands, and is made in one turn of a worker's loop. So users are in the order of
 * hashes of their names, and names are compared where these are the same; nobody is taken for another.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mix.h"
#include "base/printable.h"
#include "bus/bus_internal.h"

/* Whether it is what a user may be called, whoever wrote it. */
static bool is_name(const char *user, size_t len)
{
	char text[BUS_USER_MAX + 1];

	memcpy(text, user, len);
	text[len] = '\0';
	return printable_whole(text, len);
}

/* Keyed, for clients may choose what they are called: names with one hash are not to be had at will. */
static uint64_t hash(const struct bus *b, const char *user, size_t len)
{
	uint64_t sum = b->key[0] + len;

	for (size_t at = 0; at < len; at += sizeof(sum)) {
		uint64_t word = 0;

		memcpy(&word, user + at, len - at < sizeof(word) ? len - at : sizeof(word));
		sum = mix64(sum ^ word) + b->key[1];
	}
	return sum;
}

void bus_who_name(const struct bus *b, struct bus_present *p)
{
	for (size_t i = 0; i < p->count; i++) {
		struct bus_who *who = &p->who[i];

		if (!who->user)
			continue;
		if (is_name(who->user, who->user_len))
			who->key = hash(b, who->user, who->user_len);
		else
			*who = (struct bus_who){ .key = who->key };
	}
}

int bus_who_compare(const void *a, const void *b)
{
	const struct bus_who *x = a, *y = b;

	if (!x->user != !y->user)
		return x->user ? 1 : -1;
	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	if (!x->user)
		return 0;
	if (x->user_len != y->user_len)
		return x->user_len < y->user_len ? -1 : 1;
	return memcmp(x->user, y->user, x->user_len);
}

void bus_who_sort(struct bus_present *p)
{
	size_t count = 0;

	if (p->count > 0)
		qsort(p->who, p->count, sizeof(*p->who), bus_who_compare);
	p->users = 0;
	for (size_t i = 0; i < p->count; i++) {
		if (i > 0 && bus_who_compare(&p->who[i], &p->who[count - 1]) == 0)
			continue;
		p->users += p->who[i].user != NULL;
		p->who[count++] = p->who[i];
	}
	p->count = count;
}
