/*
 * plan_access.c - see plan_access.h.
 *
 * Of many endpoints that have the same file it is told once what in it is another; that it is another
 * file is a setting that differs.
 */
#include "config/plan_access.h"

#include <string.h>

#include "config/fill.h"
#include "config/jwt.h"
#include "config/key_changes.h"
#include "config/tables.h"
#include "config/token_changes.h"

static const struct config_tokens *lines_of(const struct config_users *u)
{
	return u != NULL ? &u->lines : NULL;
}

static const struct jwk_set *keys_of(const struct config_jwt *j)
{
	return j->rules != NULL ? j->rules->keys : NULL;
}

struct access_changes plan_access(struct plan *p, const struct config_endpoint *a,
				  const struct config_endpoint *b)
{
	const struct config_access *old = &a->limits.access, *new = &b->limits.access;

	return (struct access_changes){
		.tokens = file_changes_find(&p->file_changes, &token_changes, old->tokens,
					    new->tokens),
		.users = file_changes_find(&p->file_changes, &token_changes, lines_of(old->users),
					   lines_of(new->users)),
		.keys = file_changes_find(&p->file_changes, &key_changes, keys_of(&old->jwt),
					  keys_of(&new->jwt)),
		.old = old,
		.new = new,
	};
}

bool plan_access_same(const struct access_changes *c)
{
	return c->tokens->same && c->users->same && c->keys->same;
}

/* Of who is connected an origin is not asked for again, and of a file it is what is in it that counts. */
static bool is_of_the_past(const struct config_key *access)
{
	static const char *const names[] = { "origins", "tokens", "users" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(access->name, names[i]) == 0)
			return true;
	return false;
}

bool plan_access_bars(const struct access_changes *c)
{
	const struct config_key *access = key_find(table_endpoint.keys, "access");

	for (const struct config_key *k = access->group->keys; k->name != NULL; k++)
		if (!is_of_the_past(k) && !fill_equal(k, c->old, c->new))
			return true;
	return !plan_access_same(c);
}

static bool same_name(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void tell(struct plan_item *item, const char *key, struct file_change *c, bool same_file)
{
	if (c->gone == NULL || c->told || !same_file)
		return;
	plan_add_value(item, key, json_incref(c->gone), json_incref(c->come));
	c->told = true;
}

void plan_access_tell(const struct access_changes *c, struct plan_item *item)
{
	const struct config_access *old = c->old, *new = c->new;

	tell(item, "access.tokens", c->tokens, same_name(old->tokens_file, new->tokens_file));
	tell(item, "access.users", c->users, same_name(old->users_file, new->users_file));
	tell(item, new->jwt.keys_file != NULL ? "access.jwt.keys" : "access.jwt.key", c->keys,
	     same_name(old->jwt.keys_file, new->jwt.keys_file) &&
		     same_name(old->jwt.key_file, new->jwt.key_file));
}
