/*
 * jwk.c - see jwk.h.
 *
 * Whatever a key comes from, it is taken apart to its numbers, these are checked, and a JWK is made of
 * them that has nothing else: what libjose gets to see is ours, and its digest (RFC 7638) is that of the
 * key alone.
 */
#include "config/jwk.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/guard.h"
#include "proto/base64url.h"
#include "proto/json_memory.h"

#define BEGIN "-----BEGIN"

enum { NUMBER_MAX = JWK_SECRET_MAX };

/* The numbers of a key: n and e, x and y, or a secret. */
struct numbers {
	uint8_t a[NUMBER_MAX], b[NUMBER_MAX];
	size_t a_len, b_len;
};

/* A file while it is read. */
struct reading_keys {
	struct jwk_set *out;
	jwk_tell_fn *tell;
	void *arg;
	size_t number; /* of the key in its set, from 1; 0: it is the only one */
};

static const struct curve {
	enum jws_type type;
	const char *name, *group; /* RFC 7518 6.2.1.1, and OpenSSL's */
	unsigned size;
} curves[] = {
	{ JWS_P256, "P-256", "prime256v1", 32 },
	{ JWS_P384, "P-384", "secp384r1", 48 },
	{ JWS_P521, "P-521", "secp521r1", 66 },
};

enum { CURVES = sizeof(curves) / sizeof(*curves) };

/* What a key says may be a secret, and stays in memory that is free again. */
static void wipe(const json_t *jwk)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)jwk, name, value)
	{
		if (json_is_string(value))
			OPENSSL_cleanse((char *)json_string_value(value),
					json_string_length(value));
	}
}

static void say(const struct reading_keys *r, bool warning, const char *what)
{
	char text[256];

	if (r->number > 0)
		snprintf(text, sizeof(text), "the key %zu of \"keys\" %s", r->number, what);
	else
		snprintf(text, sizeof(text), "the key %s", what);
	r->tell(0, warning, text, r->arg);
}

/* --- from numbers to a key --- */

static const struct curve *curve_of(enum jws_type type)
{
	for (const struct curve *c = curves; c < curves + CURVES; c++)
		if (c->type == type)
			return c;
	return NULL;
}

static unsigned bits_of(const uint8_t *p, size_t len)
{
	unsigned bits = 8 * (unsigned)len;

	for (size_t i = 0; i < len && p[i] == 0; i++)
		bits -= 8;
	for (uint8_t top = bits > 0 ? p[len - bits / 8] : 0x80; !(top & 0x80); top <<= 1)
		bits--;
	return bits;
}

static const char *check_rsa(const struct numbers *n)
{
	const unsigned modulus = bits_of(n->a, n->a_len), exponent = bits_of(n->b, n->b_len);

	if (modulus < JWK_RSA_MIN || modulus > JWK_RSA_MAX)
		return "is of RSA and has less than 2048 or more than 4096 bits";
	if (n->a[0] == 0 || !(n->a[n->a_len - 1] & 1))
		return "is of RSA, and its \"n\" is no such number";
	if (exponent < 2 || exponent > JWK_RSA_EXPONENT_MAX || n->b[0] == 0 ||
	    !(n->b[n->b_len - 1] & 1))
		return "is of RSA, and its \"e\" is not an odd number of 2 to 32 bits";
	return NULL;
}

static bool is_on_curve(const struct curve *c, const struct numbers *n)
{
	uint8_t point[1 + 2 * 66] = { POINT_CONVERSION_UNCOMPRESSED };
	EVP_PKEY_CTX *ctx = alloc_checked(EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL));
	EVP_PKEY *key = NULL;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)c->group, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point,
						  1 + 2 * (size_t)c->size),
		OSSL_PARAM_construct_end(),
	};
	bool good;

	memcpy(point + 1, n->a, c->size);
	memcpy(point + 1 + c->size, n->b, c->size);
	good = EVP_PKEY_fromdata_init(ctx) == 1 &&
	       EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) == 1;
	EVP_PKEY_free(key);
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return good;
}

static const char *check_numbers(enum jws_type type, const struct numbers *n)
{
	const struct curve *c = curve_of(type);

	if (type == JWS_RSA)
		return check_rsa(n);
	if (type == JWS_SECRET)
		return n->a_len < jws_forms[JWS_HS256].hash
			       ? "is a secret of less than 32 bytes, too short for any algorithm"
			       : NULL;
	if (n->a_len != c->size || n->b_len != c->size || !is_on_curve(c, n))
		return "is of EC, and \"x\" and \"y\" are no point of its curve";
	return NULL;
}

static void set_number(json_t *jwk, const char *name, const uint8_t *p, size_t len)
{
	char text[BASE64URL_CHARS(NUMBER_MAX) + 1];

	base64url_encode(p, len, text);
	json_object_set_new(jwk, name, alloc_checked(json_string(text)));
	OPENSSL_cleanse(text, sizeof(text));
}

static json_t *make_jwk(enum jws_type type, const struct numbers *n)
{
	const struct curve *c = curve_of(type);
	json_t *jwk = alloc_checked(json_object());

	json_object_set_new(jwk, "kty", json_string(c ? "EC" : type == JWS_RSA ? "RSA" : "oct"));
	if (c)
		json_object_set_new(jwk, "crv", json_string(c->name));
	set_number(jwk, c ? "x" : type == JWS_RSA ? "n" : "k", n->a, n->a_len);
	if (type != JWS_SECRET)
		set_number(jwk, c ? "y" : "e", n->b, n->b_len);
	return jwk;
}

static void note_print(struct jws_key *k)
{
	char *text = alloc_checked(json_dumps(k->jwk, JSON_COMPACT | JSON_SORT_KEYS));
	const size_t len = strlen(text);

	EVP_Digest(text, len, k->print, NULL, EVP_sha256(), NULL);
	alloc_free_secret(text, len);
}

/* Of the algorithms that go with the type; a secret is long enough for each of them. */
static unsigned algs_of(enum jws_type type, size_t size)
{
	unsigned algs = 0;

	for (int i = 0; i < JWS_ALGS; i++)
		if (jws_forms[i].type == type && (type != JWS_SECRET || size >= jws_forms[i].hash))
			algs |= 1U << i;
	return algs;
}

static struct jws_key *add_key(const struct reading_keys *r, enum jws_type type,
			       const struct numbers *n)
{
	const char *wrong = check_numbers(type, n);
	const struct curve *c = curve_of(type);
	struct jws_key *k;

	if (wrong) {
		say(r, false, wrong);
		return NULL;
	}
	k = &r->out->list[r->out->count++];
	*k = (struct jws_key){ .type = type,
			       .size = c ? c->size : (unsigned)n->a_len,
			       .algs = algs_of(type, n->a_len),
			       .jwk = make_jwk(type, n) };
	note_print(k);
	return k;
}

/* --- a set --- */

static const char *member(const json_t *jwk, const char *name)
{
	return json_string_value(json_object_get(jwk, name));
}

static bool read_number(const json_t *jwk, const char *name, uint8_t out[NUMBER_MAX], size_t *len)
{
	const char *text = member(jwk, name);
	ssize_t n =
		text ? base64url_decode((struct http_text){ text, strlen(text) }, out, NUMBER_MAX)
		     : -1;

	*len = n > 0 ? (size_t)n : 0;
	return n > 0;
}

static bool are_strings(const json_t *list)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one) if (!json_is_string(one)) return false;
	return json_is_array(list);
}

/* What is of another type says nothing, and a key that says nothing may be used for more. */
static const char *check_members(const json_t *jwk)
{
	static const struct {
		const char *name, *wrong;
	} strings[] = {
		{ "kty", "has a \"kty\" that is no string" },
		{ "crv", "has a \"crv\" that is no string" },
		{ "use", "has a \"use\" that is no string" },
		{ "alg", "has an \"alg\" that is no string" },
		{ "kid", "has a \"kid\" that is no string" },
	};
	const json_t *ops = json_object_get(jwk, "key_ops"), *j;

	for (size_t i = 0; i < sizeof(strings) / sizeof(*strings); i++)
		if ((j = json_object_get(jwk, strings[i].name)) != NULL && !json_is_string(j))
			return strings[i].wrong;
	return ops && !are_strings(ops) ? "has \"key_ops\" that are no list of strings" : NULL;
}

/* Whether it is there to check signatures with, as far as it says. */
static bool is_for_signatures(const json_t *jwk)
{
	const char *use = member(jwk, "use");
	const json_t *ops = json_object_get(jwk, "key_ops"), *op;
	size_t i;

	if (use && strcmp(use, "sig") != 0)
		return false;
	if (!ops)
		return true;
	json_array_foreach(ops, i,
			   op) if (strcmp(json_string_value(op), "verify") == 0) return true;
	return false;
}

/* False: it is of none that is known here. */
static bool find_type(const json_t *jwk, enum jws_type *type)
{
	const char *kty = member(jwk, "kty"), *crv = member(jwk, "crv");

	if (kty && strcmp(kty, "oct") == 0) {
		*type = JWS_SECRET;
		return true;
	}
	if (kty && strcmp(kty, "RSA") == 0) {
		*type = JWS_RSA;
		return true;
	}
	for (const struct curve *c = curves; c < curves + CURVES; c++) {
		if (kty && crv && strcmp(kty, "EC") == 0 && strcmp(crv, c->name) == 0) {
			*type = c->type;
			return true;
		}
	}
	return false;
}

static const char *read_numbers(const json_t *jwk, enum jws_type type, struct numbers *n)
{
	static const char *const wrong = "has no numbers in base64url without padding where its "
					 "type has them";
	const bool is_curve = curve_of(type) != NULL;

	n->b_len = 0;
	if (!read_number(jwk, is_curve ? "x" : type == JWS_RSA ? "n" : "k", n->a, &n->a_len))
		return wrong;
	if (type != JWS_SECRET && !read_number(jwk, is_curve ? "y" : "e", n->b, &n->b_len))
		return wrong;
	return NULL;
}

static bool has_kid(const struct reading_keys *r, enum jws_type type, const char *kid)
{
	for (size_t i = 0; i < r->out->count; i++) {
		const struct jws_key *k = &r->out->list[i];

		if (k->type == type && k->kid && strcmp(k->kid, kid) == 0)
			return true;
	}
	return false;
}

/* Its numbers are right; what else it says about itself. */
static void complete(const struct reading_keys *r, const json_t *jwk, struct jws_key *k)
{
	const char *kid = member(jwk, "kid"), *alg = member(jwk, "alg");

	if (kid)
		k->kid = alloc_string(kid);
	if (alg && jws_alg_find(alg) != JWS_ALGS)
		k->algs &= 1U << jws_alg_find(alg);
	if (k->algs == 0)
		say(r, false,
		    "has an \"alg\" that is not one of its type, or for which it is too "
		    "short");
	if (k->type != JWS_SECRET && json_object_get(jwk, "d"))
		say(r, true, "is a private one: the public part is all that is needed here");
}

static void read_jwk(const struct reading_keys *r, const json_t *jwk)
{
	const char *kid = member(jwk, "kid"), *alg = member(jwk, "alg"), *wrong;
	struct numbers n;
	enum jws_type type;
	struct jws_key *k;

	if (!json_is_object(jwk)) {
		say(r, false, "is no object");
	} else if ((wrong = check_members(jwk)) != NULL) {
		say(r, false, wrong);
	} else if (!is_for_signatures(jwk)) {
		return;
	} else if (!find_type(jwk, &type) || (alg && jws_alg_find(alg) == JWS_ALGS)) {
		say(r, true, "is of a kind that is not known here, and passed over");
	} else if (kid && has_kid(r, type, kid)) {
		say(r, false, "has the \"kid\" of one of its type before it");
	} else if ((wrong = read_numbers(jwk, type, &n)) != NULL) {
		say(r, false, wrong);
	} else {
		k = add_key(r, type, &n);
		if (k)
			complete(r, jwk, k);
	}
	OPENSSL_cleanse(&n, sizeof(n));
}

static void read_keys(struct reading_keys *r, const json_t *keys)
{
	const json_t *jwk;
	size_t i;

	if (json_array_size(keys) > JWK_KEYS_MAX) {
		r->tell(0, false, "the set has more than the 64 keys that are possible", r->arg);
		return;
	}
	r->out->list = alloc_zero(json_array_size(keys) + 1, sizeof(*r->out->list));
	json_array_foreach(keys, i, jwk)
	{
		r->number = i + 1;
		read_jwk(r, jwk);
	}
}

static void forget_set(json_t *set, const json_t *keys)
{
	const json_t *jwk;
	size_t i;

	wipe(set);
	json_array_foreach(keys, i, jwk) wipe(jwk);
	json_decref(set);
}

void jwk_read_set(const char *text, size_t len, struct jwk_set *out, jwk_tell_fn *tell, void *arg)
{
	struct reading_keys r = { .out = out, .tell = tell, .arg = arg };
	json_error_t e;
	const json_t *keys;
	json_t *set;

	set = json_memory_read(text, len, JSON_REJECT_DUPLICATES, &e);
	if (!set && errno == ENOMEM)
		alloc_checked(NULL);
	keys = json_object_get(set, "keys");
	if (!set)
		tell(e.line > 0 ? (unsigned)e.line : 0, false,
		     "the file is no JSON from here on, or has a name twice", arg);
	else if (!json_is_array(keys))
		tell(0, false, "the file is no JWK set: { \"keys\": [ ... ] }", arg);
	else
		read_keys(&r, keys);
	forget_set(set, keys);
}

/* --- one key --- */

static bool take_number(const EVP_PKEY *key, const char *name, size_t size, uint8_t *out,
			size_t *len)
{
	BIGNUM *n = NULL;
	bool good = EVP_PKEY_get_bn_param(key, name, &n) == 1 && BN_num_bytes(n) <= NUMBER_MAX;

	*len = good ? size ? size : (size_t)BN_num_bytes(n) : 0;
	good = good && BN_bn2binpad(n, out, (int)*len) >= 0;
	BN_free(n);
	return good;
}

static void read_rsa(const struct reading_keys *r, const EVP_PKEY *key)
{
	struct numbers n;

	if (take_number(key, OSSL_PKEY_PARAM_RSA_N, 0, n.a, &n.a_len) &&
	    take_number(key, OSSL_PKEY_PARAM_RSA_E, 0, n.b, &n.b_len) && n.a_len > 0 && n.b_len > 0)
		add_key(r, JWS_RSA, &n);
	else
		say(r, false, "is of RSA and has less than 2048 or more than 4096 bits");
}

static void read_ec(const struct reading_keys *r, const EVP_PKEY *key)
{
	char group[64] = "";
	struct numbers n;

	EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group), NULL);
	for (const struct curve *c = curves; c < curves + CURVES; c++) {
		if (strcmp(group, c->group) == 0 &&
		    take_number(key, OSSL_PKEY_PARAM_EC_PUB_X, c->size, n.a, &n.a_len) &&
		    take_number(key, OSSL_PKEY_PARAM_EC_PUB_Y, c->size, n.b, &n.b_len)) {
			add_key(r, c->type, &n);
			return;
		}
	}
	say(r, false, "is of a curve that is none of P-256, P-384 and P-521");
}

static EVP_PKEY *read_pem(const char *text, size_t len)
{
	BIO *in = alloc_checked(BIO_new_mem_buf(text, (int)len));
	EVP_PKEY *key = PEM_read_bio_PUBKEY(in, NULL, guard_no_passphrase, NULL);
	X509 *x = NULL;

	if (!key && BIO_reset(in) == 1 &&
	    (x = PEM_read_bio_X509(in, NULL, guard_no_passphrase, NULL)) != NULL)
		key = X509_get_pubkey(x);
	X509_free(x);
	BIO_free(in);
	ERR_clear_error();
	return key;
}

static void read_public(const struct reading_keys *r, const char *text, size_t len)
{
	EVP_PKEY *key = read_pem(text, len);

	if (!key && memmem(text, len, "PRIVATE KEY-----", 16))
		say(r, false,
		    "is a private one: \"openssl pkey -pubout -in FILE\" prints the public "
		    "part, which is needed here");
	else if (!key)
		say(r, false, "is no public key, nor a certificate, in PEM");
	else if (EVP_PKEY_is_a(key, "RSA"))
		read_rsa(r, key);
	else if (EVP_PKEY_is_a(key, "EC"))
		read_ec(r, key);
	else
		say(r, false, "is of a type that is neither RSA nor EC");
	EVP_PKEY_free(key);
}

static bool has_pem(const char *text, size_t len)
{
	return memmem(text, len, BEGIN, strlen(BEGIN)) != NULL;
}

/* With two bytes for each character, as some editors write it. */
static bool has_wide_pem(const char *text, size_t len)
{
	static const char wide[] = "-\0-\0-\0-\0-\0B\0E\0G\0I\0N";

	return memmem(text, len, wide, sizeof(wide) - 1) != NULL;
}

static bool is_der(const uint8_t *p, size_t len)
{
	const uint8_t *at = p;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)len);
	X509 *x = NULL;

	at = p;
	if (!key)
		x = d2i_X509(NULL, &at, (long)len);
	EVP_PKEY_free(key);
	X509_free(x);
	ERR_clear_error();
	return key || x;
}

static bool has_der(const char *text, size_t len)
{
	return is_der((const uint8_t *)text, len);
}

/* What is between the lines of PEM, as some issuers show their keys. */
static bool has_base64(const char *text, size_t len)
{
	EVP_ENCODE_CTX *ctx = alloc_checked(EVP_ENCODE_CTX_new());
	uint8_t *out = alloc_zero(1, len + 64);
	int n = 0, more = 0;
	bool good;

	EVP_DecodeInit(ctx);
	good = EVP_DecodeUpdate(ctx, out, &n, (const uint8_t *)text, (int)len) >= 0 &&
	       EVP_DecodeFinal(ctx, out + n, &more) == 1 && is_der(out, (size_t)(n + more));
	EVP_ENCODE_CTX_free(ctx);
	alloc_free_secret(out, len + 64);
	return good;
}

static bool has_ssh(const char *text, size_t len)
{
	return memmem(text, len, "ssh-rsa ", 8) || memmem(text, len, "ecdsa-sha2-", 11) ||
	       memmem(text, len, "---- BEGIN", 10);
}

static bool has_json(const char *text, size_t len)
{
	json_t *j = json_memory_read(text, len, 0, NULL);
	const bool is_key = json_object_get(j, "kty") || json_object_get(j, "keys");

	if (!j && errno == ENOMEM)
		alloc_checked(NULL);
	wipe(j);
	json_decref(j);
	return is_key;
}

/* Public keys in forms in which they are not read: taken for secrets they would be known to everybody. */
static const struct {
	bool (*is)(const char *text, size_t len);
	const char *wrong;
} no_secrets[] = {
	{ has_pem, "does not begin with \"" BEGIN "\", and has that further on: take out what is "
		   "ahead of it, be it an empty line or a byte order mark" },
	{ has_wide_pem, "is in PEM with two bytes for each character: save the file as UTF-8" },
	{ has_json, "is JSON Web Keys: name the file as \"keys\", one key as "
		    "{ \"keys\": [ ... ] }" },
	{ has_der, "is in DER: \"openssl pkey -pubin -inform DER -in FILE\", or \"openssl x509 "
		   "-inform DER -in FILE\", prints it in PEM, which is needed here" },
	{ has_base64, "is base64 of a public key: put \"" BEGIN " PUBLIC KEY-----\" and \"-----END "
		      "PUBLIC KEY-----\" in lines around it" },
	{ has_ssh, "is in a form of ssh: \"ssh-keygen -e -m PKCS8 -f FILE\" prints it in PEM, "
		   "which is needed here" },
};

/* NULL: it may be a secret. */
static const char *why_no_secret(const char *text, size_t len)
{
	for (size_t i = 0; i < sizeof(no_secrets) / sizeof(*no_secrets); i++)
		if (no_secrets[i].is(text, len))
			return no_secrets[i].wrong;
	return NULL;
}

static void read_secret(const struct reading_keys *r, const char *text, size_t len)
{
	const char *wrong = why_no_secret(text, len);
	struct numbers n = { .a_len = len };

	if (wrong) {
		say(r, false, wrong);
		return;
	}
	if (len > JWK_SECRET_MAX) {
		say(r, false,
		    "is a secret of more than 1024 bytes; one in PEM begins with "
		    "\"" BEGIN "\"");
		return;
	}
	memcpy(n.a, text, len);
	add_key(r, JWS_SECRET, &n);
	OPENSSL_cleanse(&n, sizeof(n));
}

void jwk_read_key(const char *text, size_t len, struct jwk_set *out, jwk_tell_fn *tell, void *arg)
{
	const struct reading_keys r = { .out = out, .tell = tell, .arg = arg };

	out->list = alloc_zero(1, sizeof(*out->list));
	if (len >= strlen(BEGIN) && memcmp(text, BEGIN, strlen(BEGIN)) == 0)
		read_public(&r, text, len);
	else
		read_secret(&r, text, len > 0 && text[len - 1] == '\n' ? len - 1 : len);
}

/* --- all of them --- */

void jwk_free(struct jwk_set *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free(s->list[i].kid);
		wipe(s->list[i].jwk);
		json_decref(s->list[i].jwk);
	}
	free(s->list);
	*s = (struct jwk_set){ 0 };
}

unsigned jwk_algs(const struct jwk_set *s, const uint8_t print[JWS_PRINT])
{
	unsigned algs = 0;

	for (size_t i = 0; i < s->count; i++)
		if (memcmp(s->list[i].print, print, JWS_PRINT) == 0)
			algs |= s->list[i].algs;
	return algs;
}

bool jwk_has(const struct jwk_set *in, const struct jwk_set *of, const struct jws_key *k)
{
	return jwk_algs(in, k->print) == jwk_algs(of, k->print);
}

static bool has_all(const struct jwk_set *of, const struct jwk_set *in)
{
	for (size_t i = 0; i < of->count; i++)
		if (!jwk_has(in, of, &of->list[i]))
			return false;
	return true;
}

bool jwk_same(const struct jwk_set *a, const struct jwk_set *b)
{
	return has_all(a, b) && has_all(b, a);
}
