/*
 * users.c - see users.h.
 *
 * What differs between two files is told as of tokens: for that a line is its name and a hash of all of
 * it.
 *
 * Hashes may cost more or less, and each attempt for one who is there the same. So has each for one who is
 * not: which cost is his is drawn by a hash of his name and the cost itself, the highest of which wins, and
 * changes with a reload only where that cost is gone or a new one wins.
 */
#include "config/users.h"

#include <crypt.h>
#include <openssl/evp.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "base/secret.h"
#include "config/alloc.h"
#include "config/crypted.h"

_Static_assert((int)CONFIG_CRYPTED_MAX >= (int)CRYPTED_MAX, "a hash has space");

/* A file while it is read. */
struct reading_users {
	struct config_users *out;
	void *names; /* of those that there are: a tsearch tree */
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct config_user *)a)->name, ((const struct config_user *)b)->name);
}

/* Of the user at count; it is kept. */
static bool is_known(struct reading_users *f)
{
	struct config_user *u = &f->out->list[f->out->count];

	return *(struct config_user **)alloc_checked(tsearch(u, &f->names, by_name)) != u;
}

static bool read_name(const char *p, size_t len, char *out)
{
	if (len == 0 || len > CONFIG_USER_MAX || memchr(p, '\0', len) != NULL || p[0] == ' ' ||
	    p[len - 1] == ' ')
		return false;
	memcpy(out, p, len);
	return printable_whole(out, len);
}

static void digest(const char *p, const char *end, uint8_t out[CONFIG_TOKEN_HASH])
{
	if (EVP_Digest(p, (size_t)(end - p), out, NULL, EVP_sha256(), NULL) != 1)
		alloc_checked(NULL);
}

static const char *take_line(const char *p, const char *end, void *into)
{
	struct reading_users *f = into;
	struct config_user u = { .name = "" };
	const char *colon = memchr(p, ':', (size_t)(end - p)), *hash, *wrong;

	if (colon == NULL)
		return "has to be NAME:HASH, as \"ignyxctl password NAME\" prints it";
	hash = colon + 1;
	if (!read_name(p, (size_t)(colon - p), u.name))
		return "has a NAME that is not of 1 to 128 bytes of UTF-8 without control "
		       "characters, or begins or ends with a space";
	wrong = crypted_check(hash, (size_t)(end - hash));
	if (wrong != NULL)
		return wrong;
	memcpy(u.hash, hash, (size_t)(end - hash));
	if (crypt_checksalt(u.hash) == CRYPT_SALT_INVALID)
		return "has a HASH of a kind that crypt(3) does not know on this machine";
	if (f->out->count == CONFIG_ACCESS_USERS_MAX)
		return "is one more than the 10000 that are possible";
	digest(p, end, u.line);
	f->out->list[f->out->count] = u;
	if (is_known(f))
		return "has the NAME of a line before it";
	f->out->count++;
	return NULL;
}

static int by_line(const void *a, const void *b)
{
	return memcmp(((const struct config_token *)a)->hash,
		      ((const struct config_token *)b)->hash, CONFIG_TOKEN_HASH);
}

static void list_lines(struct config_users *all)
{
	struct config_tokens *t = &all->lines;

	t->list = alloc_zero(all->count + 1, sizeof(*t->list));
	t->count = all->count;
	for (size_t i = 0; i < all->count; i++) {
		memcpy(t->list[i].name, all->list[i].name, sizeof(t->list[i].name));
		memcpy(t->list[i].hash, all->list[i].line, CONFIG_TOKEN_HASH);
	}
	qsort(t->list, t->count, sizeof(*t->list), by_line);
}

static bool costs_the_same(const struct config_user *a, const struct config_user *b)
{
	size_t n = crypted_cost(a->hash);

	return n == crypted_cost(b->hash) && memcmp(a->hash, b->hash, n) == 0;
}

static void note_cost(struct config_users *all, const struct config_user *u)
{
	size_t i = 0;

	while (i < all->cost_count && !costs_the_same(all->costs[i], u))
		i++;
	if (i == all->cost_count && i < CONFIG_COSTS_MAX)
		all->costs[all->cost_count++] = u;
}

static void keep_node(void *user)
{
	(void)user;
}

void users_parse(const char *text, size_t len, struct config_users *out, lines_wrong_fn *wrong,
		 void *arg)
{
	struct reading_users f = { .out = out };

	*out = (struct config_users){ .count = 0 };
	out->list =
		alloc_zero(lines_count(text, len, CONFIG_ACCESS_USERS_MAX) + 1, sizeof(*out->list));
	lines_read(text, len, take_line, &f, wrong, arg);
	tdestroy(f.names, keep_node);
	qsort(out->list, out->count, sizeof(*out->list), by_name);
	list_lines(out);
	for (size_t i = 0; i < out->count; i++)
		note_cost(out, &out->list[i]);
}

void users_free(struct config_users *all)
{
	free(all->list);
	free(all->lines.list);
}

const struct config_user *users_find(const struct config_users *all, const char *name)
{
	struct config_user key;
	const size_t len = strlen(name);

	if (len > CONFIG_USER_MAX)
		return NULL;
	memcpy(key.name, name, len + 1);
	return all->count > 0 ? bsearch(&key, all->list, all->count, sizeof(*all->list), by_name)
			      : NULL;
}

/* As drawn for a name and a cost. */
static bool draw(const struct config_user *u, const char *name, uint8_t out[EVP_MAX_MD_SIZE])
{
	uint8_t text[SECRET_LEN + CONFIG_CRYPTED_MAX + 1 + CONFIG_USER_MAX];
	size_t cost = crypted_cost(u->hash), len = strnlen(name, CONFIG_USER_MAX);

	memcpy(text, secret_bytes(), SECRET_LEN);
	memcpy(text + SECRET_LEN, u->hash, cost);
	text[SECRET_LEN + cost] = ':';
	memcpy(text + SECRET_LEN + cost + 1, name, len);
	return EVP_Digest(text, SECRET_LEN + cost + 1 + len, out, NULL, EVP_sha256(), NULL) == 1;
}

const struct config_user *users_stand_in(const struct config_users *all, const char *name)
{
	uint8_t drawn[EVP_MAX_MD_SIZE], highest[EVP_MAX_MD_SIZE];
	const struct config_user *u = NULL;

	if (all->cost_count == 1)
		return all->costs[0];
	for (size_t i = 0; i < all->cost_count; i++) {
		if (!draw(all->costs[i], name, drawn))
			return all->costs[0];
		if (u != NULL && memcmp(drawn, highest, CONFIG_TOKEN_HASH) <= 0)
			continue;
		memcpy(highest, drawn, CONFIG_TOKEN_HASH);
		u = all->costs[i];
	}
	return u;
}
