/*
 * Files of keys that tokens are signed with: a JWK set, and one key.
 *
 * Invariants: each key is of a size that may be, and goes with algorithms of its type alone, or that is told;
 * a set is the same as itself; what is told is a sentence that may be shown.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "config/jwk.h"
#include "fuzz.h"

static void note(unsigned line, bool warning, const char *what, void *arg)
{
	unsigned *errors = arg;

	(void)line;
	fuzz_require(strncmp(what, "the ", 4) == 0 && printable_whole(what, strlen(what)));
	*errors += !warning;
}

static void check_key(const struct jws_key *k, unsigned errors)
{
	fuzz_require(k->algs != 0 || errors > 0);
	for (int i = 0; i < JWS_ALGS; i++)
		if (k->algs & 1U << i)
			fuzz_require(jws_forms[i].type == k->type);
	if (k->type == JWS_SECRET)
		fuzz_require(k->size >= 32 && k->size <= JWK_SECRET_MAX);
	if (k->type == JWS_RSA)
		fuzz_require(k->size >= JWK_RSA_MIN / 8 && k->size <= JWK_RSA_MAX / 8);
	fuzz_require(json_is_object(k->jwk));
}

typedef void read_fn(const char *text, size_t len, struct jwk_set *out, jwk_tell_fn *tell,
		     void *arg);

static void read_as(read_fn *fn, const uint8_t *data, size_t size, size_t most)
{
	char *copy = malloc(size + !size);
	struct jwk_set set = { 0 };
	unsigned errors = 0;

	if (size > 0)
		memcpy(copy, data, size);
	fn(copy, size, &set, note, &errors);
	free(copy);
	fuzz_require(set.count <= most);
	for (size_t i = 0; i < set.count; i++) {
		check_key(&set.list[i], errors);
		fuzz_require((jwk_algs(&set, set.list[i].print) & set.list[i].algs) ==
			     set.list[i].algs);
	}
	fuzz_require(jwk_same(&set, &set));
	jwk_free(&set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_as(jwk_read_set, data, size, JWK_KEYS_MAX);
	read_as(jwk_read_key, data, size, 1);
	return 0;
}
