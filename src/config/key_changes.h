/*
 * key_changes.h - how what a file of keys of `jwt` holds differs from what it held, as a plan shows it.
 */
#ifndef CONFIG_KEY_CHANGES_H
#define CONFIG_KEY_CHANGES_H

#include <jansson.h>
#include <stdbool.h>

struct jwk_set;

/* One for each pair that was asked for. */
struct key_change {
	const struct jwk_set *old, *new; /* NULL: there was, or is, none */
	bool same;
	json_t *gone, *come; /* what they are called; NULL where they are the same */
	bool told; /* the caller's */
	struct key_change *next;
};

/* The change from one to the other, made at the first call; it lives as long as *all. */
struct key_change *key_changes_find(struct key_change **all, const struct jwk_set *old,
				    const struct jwk_set *new);
void key_changes_free(struct key_change *all);

#endif
