/*
 * jws.h - JSON Web Signatures in compact form (RFC 7515), as JSON Web Tokens (RFC 7519) come.
 *
 * A token is a stranger's up to jws_verify: it is read in steps, of which each is cheap until that one.
 * Which key is asked, and for which algorithms, is up to the caller, never to the token: of its header
 * "alg" and "kid" are looked at, and keys that come in it (jwk, x5c) or by it (jku, x5u) are not.
 */
#ifndef PROTO_JWS_H
#define PROTO_JWS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/http.h"

enum {
	JWS_TOKEN_MAX = 16 * 1024, /* bytes of a token */
	JWS_HEADER_MAX = 2 * 1024, /* bytes of its header, decoded */
	JWS_PRINT = 32,
};

/* As of RFC 7518 3.1. "none" is not among them, nor is EdDSA, which libjose does not have. */
enum jws_alg {
	JWS_HS256,
	JWS_HS384,
	JWS_HS512,
	JWS_RS256,
	JWS_RS384,
	JWS_RS512,
	JWS_PS256,
	JWS_PS384,
	JWS_PS512,
	JWS_ES256,
	JWS_ES384,
	JWS_ES512,
	JWS_ALGS
};

/* The kind of key that an algorithm goes with: each of ES with its own curve. */
enum jws_type { JWS_SECRET, JWS_RSA, JWS_P256, JWS_P384, JWS_P521 };

struct jws_form {
	const char *name;
	enum jws_type type;
	unsigned hash; /* bytes of it: a secret has no fewer */
	uint32_t cost; /* nanoseconds that a look at one signature takes at most */
};

extern const struct jws_form jws_forms[JWS_ALGS];

/* The algorithm of a name. JWS_ALGS: there is none. */
enum jws_alg jws_alg_find(const char *name);

/* A key to check signatures with. */
struct jws_key {
	enum jws_type type;
	unsigned size; /* bytes of a secret, of the modulus, of half a signature of ES */
	unsigned algs; /* a bit for each enum jws_alg that it may be used for */
	char *kid; /* its name; NULL: it has none */
	json_t *jwk; /* the key, and nothing else of it (RFC 7517) */
	uint8_t print[JWS_PRINT]; /* a digest of the key: that of another one is another */
};

/* A token that was taken apart; views of it. */
struct jws {
	struct http_text head, payload, signature;
	enum jws_alg alg;
	size_t signature_len; /* bytes */
	json_t *header;
};

/* What is said of a token when there was no memory to look at it: nothing is known to be wrong with it. */
extern const char jws_no_memory[];

/*
 * Takes a token apart: three parts of base64url, a header that is one JSON object, an "alg" that there
 * is, and no "crit", of which nothing is understood. NULL: *out has it, for jws_end. Else what is
 * wrong: "it ...", without a byte of the token, or jws_no_memory.
 */
const char *jws_read(struct http_text token, struct jws *out) __attribute__((warn_unused_result));
void jws_end(struct jws *s);

/* Its "kid". NULL: it has none. */
const char *jws_kid(const struct jws *s);

/* Whether k may be what it was signed with: by its algorithm and the size of its signature. */
bool jws_fits(const struct jws *s, const struct jws_key *k);

/*
 * Whether it was signed with k, which fits. It takes as long as the algorithm's cost says. False with errno
 * ENOMEM: there was no memory to find out.
 */
bool jws_verify(const struct jws *s, const struct jws_key *k);

/* Whether this daemon was built with what checks signatures. */
bool jws_is_there(void);

/*
 * What it says, to be asked when its signature is known to be good: one JSON object, in which no name
 * is there twice. NULL: it is none, and *why says so, or is jws_no_memory. The caller ends it with json_decref.
 */
json_t *jws_claims(const struct jws *s, const char **why);

#endif
