/*
 * jwk.h - keys that signatures of tokens are checked with: a JWK set (RFC 7517), or one key in a file.
 *
 * Of a set what is not for this is passed over: keys to encrypt with, of kinds that are not known here,
 * as an issuer may put one in any day. What is of a kind that is known has to be right.
 */
#ifndef CONFIG_JWK_H
#define CONFIG_JWK_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/jws.h"

enum {
	JWK_KEYS_MAX = 64, /* of a set */
	JWK_SECRET_MAX = 1024, /* bytes */
	JWK_RSA_MIN = 2048, /* bits */
	JWK_RSA_MAX = 4096,
	JWK_RSA_EXPONENT_MAX = 32,
};

struct jwk_set {
	struct jws_key *list;
	size_t count;
};

/* Called with a line, from 1, or 0 for the file as a whole, and a sentence that begins with "the ...". */
typedef void jwk_tell_fn(unsigned line, bool warning, const char *what, void *arg);

/*
 * Reads a set, or the one key of a file: in PEM a public key or a certificate; what does not begin with
 * "-----BEGIN" is a secret, byte for byte, but for one line break at its end, unless it is a public key in
 * some other form. What is wrong is told; *out, zeroed, has what is right, for jwk_free.
 */
void jwk_read_set(const char *text, size_t len, struct jwk_set *out, jwk_tell_fn *tell, void *arg);
void jwk_read_key(const char *text, size_t len, struct jwk_set *out, jwk_tell_fn *tell, void *arg);
void jwk_free(struct jwk_set *s);

/*
 * A bit for each enum jws_alg that a key of this digest may be used for, which may be there more than once,
 * each time for other ones. 0: it is not among them.
 */
unsigned jwk_algs(const struct jwk_set *s, const uint8_t print[JWS_PRINT]);

/* Whether k, a key of one set, is in another for the same algorithms, by whatever names. */
bool jwk_has(const struct jwk_set *in, const struct jwk_set *of, const struct jws_key *k);

/* Whether the same keys are in both, for the same algorithms. */
bool jwk_same(const struct jwk_set *a, const struct jwk_set *b);

#endif
