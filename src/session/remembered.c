/*
 * remembered.c - see remembered.h.
 *
 * A table of sets, of which a mark's own bytes say its own: they are as good as random, and nobody chooses
 * them. Where its set is full the oldest in it goes.
 */
#include "session/remembered.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "config/config.h"
#include "proto/authorization.h"
#include "session/session.h"

enum { WAYS = 8, SETS = REMEMBERED_MOST / WAYS, TICKS = REMEMBERED_FOR / SESSION_TICK };

struct entry {
	uint8_t mark[REMEMBERED_MARK];
	uint32_t since; /* tick */
	bool used;
};

static struct entry (*sets)[WAYS]; /* NULL: nothing is remembered */

bool remembered_mark(const uint8_t *line, const char *user, const char *password,
		     uint8_t mark[REMEMBERED_MARK])
{
	uint8_t text[CONFIG_TOKEN_HASH + AUTHORIZATION_USER_MAX + 1 + AUTHORIZATION_PASSWORD_MAX];
	const size_t name = strnlen(user, AUTHORIZATION_USER_MAX),
		     len = strnlen(password, AUTHORIZATION_PASSWORD_MAX);
	bool made;

	memcpy(text, line, CONFIG_TOKEN_HASH);
	memcpy(text + CONFIG_TOKEN_HASH, user, name);
	text[CONFIG_TOKEN_HASH + name] = '\0';
	memcpy(text + CONFIG_TOKEN_HASH + name + 1, password, len);
	made = HMAC(EVP_sha256(), secret_bytes(), SECRET_LEN, text,
		    CONFIG_TOKEN_HASH + name + 1 + len, mark, NULL) != NULL;
	explicit_bzero(text, sizeof(text));
	return made;
}

static struct entry *set_of(const uint8_t mark[REMEMBERED_MARK])
{
	return sets[(mark[0] << 8 | mark[1]) % SETS];
}

static uint32_t age_of(const struct entry *e)
{
	return e->used ? session.now - e->since : UINT32_MAX;
}

static struct entry *find(const uint8_t mark[REMEMBERED_MARK])
{
	struct entry *set = set_of(mark);

	for (int i = 0; i < WAYS; i++)
		if (set[i].used && CRYPTO_memcmp(set[i].mark, mark, REMEMBERED_MARK) == 0)
			return &set[i];
	return NULL;
}

static struct entry *oldest(struct entry *set)
{
	struct entry *old = set;

	for (int i = 1; i < WAYS; i++)
		if (age_of(&set[i]) > age_of(old))
			old = &set[i];
	return old;
}

void remembered_add(const uint8_t mark[REMEMBERED_MARK])
{
	struct entry *e;

	if (!sets)
		sets = calloc(SETS, sizeof(*sets));
	if (!sets)
		return;
	e = find(mark);
	if (!e)
		e = oldest(set_of(mark));
	memcpy(e->mark, mark, REMEMBERED_MARK);
	e->since = session.now;
	e->used = true;
}

bool remembered_has(const uint8_t mark[REMEMBERED_MARK])
{
	struct entry *e = sets ? find(mark) : NULL;

	if (e && age_of(e) >= TICKS)
		e->used = false;
	return e && e->used;
}

void remembered_fini(void)
{
	free(sets);
	sets = NULL;
}
