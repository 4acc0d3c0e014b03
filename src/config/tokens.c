/*
 * tokens.c - see tokens.h.
 *
 * They lie in the order of their hashes. Where there are few, as those of the admin interface always are,
 * each of them is compared to its end, so that the time tells nothing at all. Of ten thousand one is
 * found in fourteen looks; how long these take tells how far the hash of what was sent agrees with one
 * that there is, which is nothing to go by: nobody can make a token to a hash, and one of 256 bits of
 * chance is not guessed.
 */
#include "config/tokens.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "config/alloc.h"

enum { WORDS_MOST = 3 };

struct word {
	const char *p;
	size_t len;
};

/* In the order of enum config_scope. */
static const char *const scopes[] = { "read", "publish", "manage" };

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The first words of a line; returns how many there are, WORDS_MOST + 1 for any more. */
static size_t split(const char *p, const char *end, struct word words[WORDS_MOST])
{
	size_t n = 0;

	for (;;) {
		const char *from;

		while (p < end && is_space(*p))
			p++;
		if (p == end || n > WORDS_MOST)
			return n;
		for (from = p; p < end && !is_space(*p);)
			p++;
		if (n < WORDS_MOST)
			words[n] = (struct word){ from, (size_t)(p - from) };
		n++;
	}
}

static bool is_ascii(const char *name)
{
	for (; *name != '\0'; name++)
		if (*name < '!' || *name > '~')
			return false;
	return true;
}

static bool is_printable(const char *name)
{
	return printable_whole(name, strlen(name));
}

/* A file of lines: NAME, perhaps SCOPE, and HASH. */
struct tokens_form {
	size_t most, name_most;
	bool scoped;
	bool (*is_name)(const char *name);
	const char *bad_line, *bad_name, *too_many;
};

const struct tokens_form tokens_of_admin = {
	.most = CONFIG_TOKENS_MAX,
	.name_most = CONFIG_TOKEN_NAME_MAX,
	.scoped = true,
	.is_name = is_ascii,
	.bad_line = "has to be NAME SCOPE HASH, as \"ignyxctl token make\" prints it",
	.bad_name = "has a NAME that is not of 1 to 64 letters, digits and signs",
	.too_many = "is one more than the 256 that are possible",
};

const struct tokens_form tokens_of_access = {
	.most = CONFIG_ACCESS_TOKENS_MAX,
	.name_most = CONFIG_USER_MAX,
	.is_name = is_printable,
	.bad_line = "has to be NAME HASH, as \"ignyxctl token make NAME\" prints it",
	.bad_name = "has a NAME that is not of 1 to 128 bytes of UTF-8 without control characters",
	.too_many = "is one more than the 10000 that are possible",
};

static bool read_scope(const struct word *w, enum config_scope *scope)
{
	for (size_t i = 0; i < sizeof(scopes) / sizeof(*scopes); i++) {
		if (w->len != strlen(scopes[i]) || memcmp(w->p, scopes[i], w->len) != 0)
			continue;
		*scope = (enum config_scope)i;
		return true;
	}
	return false;
}

static int digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

static bool read_hash(const struct word *w, uint8_t hash[CONFIG_TOKEN_HASH])
{
	if (w->len != 2 * CONFIG_TOKEN_HASH)
		return false;
	for (size_t i = 0; i < CONFIG_TOKEN_HASH; i++) {
		int high = digit(w->p[2 * i]), low = digit(w->p[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		hash[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static int by_hash(const void *a, const void *b)
{
	return memcmp(((const struct config_token *)a)->hash,
		      ((const struct config_token *)b)->hash, CONFIG_TOKEN_HASH);
}

/* A file while it is read. */
struct reading_tokens {
	const struct tokens_form *form;
	struct config_tokens *out;
	void *hashes; /* of those that there are: a tsearch tree */
};

/* Of the token at count; it is kept. */
static bool is_known(struct reading_tokens *f)
{
	struct config_token *t = &f->out->list[f->out->count];

	return *(struct config_token **)alloc_checked(tsearch(t, &f->hashes, by_hash)) != t;
}

static bool read_name(const struct tokens_form *form, const struct word *w, char *out)
{
	if (w->len > form->name_most || memchr(w->p, '\0', w->len) != NULL)
		return false;
	memcpy(out, w->p, w->len);
	return form->is_name(out);
}

static const char *take_line(const char *p, const char *end, void *into)
{
	struct reading_tokens *f = into;
	const struct tokens_form *form = f->form;
	struct config_token t = { .scope = SCOPE_READ };
	struct word words[WORDS_MOST] = { { "", 0 } };
	size_t n = split(p, end, words);

	if (n != (form->scoped ? 3 : 2))
		return form->bad_line;
	if (!read_name(form, &words[0], t.name))
		return form->bad_name;
	if (form->scoped && !read_scope(&words[1], &t.scope))
		return "has a SCOPE that is none of read, publish and manage";
	if (!read_hash(&words[n - 1], t.hash))
		return "has a HASH that is not of 64 digits 0 to f: a line with it is made by "
		       "\"ignyxctl token make\"";
	if (f->out->count == form->most)
		return form->too_many;
	f->out->list[f->out->count] = t;
	if (is_known(f))
		return "has the HASH of a line before it";
	f->out->count++;
	return NULL;
}

static void keep_node(void *token)
{
	(void)token;
}

void tokens_parse(const char *text, size_t len, const struct tokens_form *form,
		  struct config_tokens *out, lines_wrong_fn *wrong, void *arg)
{
	struct reading_tokens f = { .form = form, .out = out };

	out->count = 0;
	out->list = alloc_zero(lines_count(text, len, form->most) + 1, sizeof(*out->list));
	lines_read(text, len, take_line, &f, wrong, arg);
	tdestroy(f.hashes, keep_node);
	qsort(out->list, out->count, sizeof(*out->list), by_hash);
}

const struct config_token *tokens_find_hash(const struct config_tokens *all,
					    const uint8_t hash[CONFIG_TOKEN_HASH])
{
	struct config_token key;

	if (all->count == 0)
		return NULL;
	memcpy(key.hash, hash, CONFIG_TOKEN_HASH);
	return bsearch(&key, all->list, all->count, sizeof(*all->list), by_hash);
}

/* In the same time, whichever it is, and if it is none. */
static const struct config_token *find_in_all(const struct config_tokens *all,
					      const uint8_t hash[CONFIG_TOKEN_HASH])
{
	size_t found = all->count;

	for (size_t i = 0; i < all->count; i++) {
		const bool same = CRYPTO_memcmp(all->list[i].hash, hash, CONFIG_TOKEN_HASH) == 0;

		found = same ? i : found;
	}
	return found < all->count ? &all->list[found] : NULL;
}

const struct config_token *tokens_find(const struct config_tokens *all, struct http_text token)
{
	const struct config_token *found = NULL;
	uint8_t hash[EVP_MAX_MD_SIZE];

	if (EVP_Digest(token.p, token.len, hash, NULL, EVP_sha256(), NULL) == 1)
		found = all->count <= CONFIG_TOKENS_MAX ? find_in_all(all, hash)
							: tokens_find_hash(all, hash);
	OPENSSL_cleanse(hash, sizeof(hash));
	return found;
}

static bool is_same(const struct config_token *a, const struct config_token *b)
{
	return strcmp(a->name, b->name) == 0 && a->scope == b->scope && by_hash(a, b) == 0;
}

bool tokens_have(const struct config_tokens *all, const struct config_token *t)
{
	const struct config_token *found = tokens_find_hash(all, t->hash);

	return found != NULL && is_same(found, t);
}

bool tokens_same(const struct config_tokens *a, const struct config_tokens *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!is_same(&a->list[i], &b->list[i]))
			return false;
	return true;
}
