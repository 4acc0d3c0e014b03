/* JSON Web Signatures: RFC 7515's examples, and what is none. Keys are read as from a file. */
// links: base proto bus config
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/jwk.h"
#include "proto/base64url.h"
#include "proto/jws.h"

/* RFC 7515, appendix A.1 to A.3 */
#define PAYLOAD                                                                                    \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0" \
	"cn"                                                                                       \
	"VlfQ"
#define HS256_HEAD "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
#define HS256_SIGNATURE "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define HS256 HS256_HEAD "." PAYLOAD "." HS256_SIGNATURE
#define HS256_K                                                                                    \
	"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
#define HS256_KEY "{ \"kty\": \"oct\", \"kid\": \"h\", \"k\": \"" HS256_K "\" }"
#define RS256                                                                                      \
	"eyJhbGciOiJSUzI1NiJ9." PAYLOAD                                                            \
	".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"   \
	"O8W"                                                                                      \
	"2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_"                                   \
	"nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSj"                                                      \
	"tQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-"                                   \
	"eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh"                                                      \
	"6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
#define RSA_N                                                                                      \
	"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-"                    \
	"4qPCJrcS2mJPMEzP1Pt0B"                                                                    \
	"m4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-"               \
	"bSf63kpaSHSXndS5"                                                                         \
	"z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_"       \
	"I5IhlJH7"                                                                                 \
	"aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
#define RS256_KEY                                                                                  \
	"{ \"kty\": \"RSA\", \"kid\": \"r\", \"use\": \"sig\", \"n\": \"" RSA_N                    \
	"\", \"e\": \"AQAB\" }"
#define ES256                                                                                      \
	"eyJhbGciOiJFUzI1NiJ9." PAYLOAD                                                            \
	".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
#define P256_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define P256_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define ES256_KEY                                                                                  \
	"{ \"kty\": \"EC\", \"crv\": \"P-256\", \"x\": \"" P256_X "\", \"y\": \"" P256_Y "\" }"
#define SET(keys) "{ \"keys\": [ " keys " ] }"

static struct jwk_set set;
static char told[4][192];
static unsigned lines[4];
static int count, warnings;

static void note(unsigned line, bool warning, const char *what, void *arg)
{
	(void)arg;
	warnings += warning;
	if (count < 4) {
		snprintf(told[count], sizeof(told[count]), "%s", what);
		lines[count] = line;
	}
	count++;
}

typedef void read_fn(const char *text, size_t len, struct jwk_set *out, jwk_tell_fn *tell,
		     void *arg);

/* Of a copy of just that size, so that a sanitizer sees what is read behind it. */
static size_t read_bytes(read_fn *fn, const char *text, size_t len)
{
	char *copy = malloc(len + !len);

	memcpy(copy, text, len);
	jwk_free(&set);
	count = warnings = 0;
	fn(copy, len, &set, note, NULL);
	free(copy);
	return set.count;
}

static size_t read_set(const char *text)
{
	return read_bytes(jwk_read_set, text, strlen(text));
}

static size_t read_key(const char *text)
{
	return read_bytes(jwk_read_key, text, strlen(text));
}

static void wrong(size_t n, const char *what)
{
	assert_int_equal(n, 0);
	assert_int_equal(count, 1);
	if (strstr(told[0], what) == NULL)
		print_error("%s\n", told[0]);
	assert_non_null(strstr(told[0], what));
}

static int forget(void **state)
{
	(void)state;
	jwk_free(&set);
	return 0;
}

/* --- base64url --- */

static ssize_t decode(const char *text, uint8_t *out, size_t size)
{
	return base64url_decode((struct http_text){ text, strlen(text) }, out, size);
}

static void test_base64url(void **state)
{
	static const struct {
		const char *text, *bytes;
		size_t len;
	} good[] = { { "", "", 0 },          { "Zg", "f", 1 },        { "Zm8", "fo", 2 },
		     { "Zm9v", "foo", 3 },   { "Zm9vYg", "foob", 4 }, { "-_-_", "\xfb\xff\xbf", 3 },
		     { "AAAA", "\0\0\0", 3 } };
	static const char *const bad[] = { "Z",    "Zg=",    "Zg==", "Zh",    "Zm9",     "Zm9v Zg",
					   "+/+/", "Zm9v\n", "Zm.v", "Zm9vY", "\xc3\xa4" };
	uint8_t out[8];
	char text[16];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(decode(good[i].text, out, sizeof(out)), good[i].len);
		assert_memory_equal(out, good[i].bytes, good[i].len);
		base64url_encode(out, good[i].len, text);
		assert_string_equal(text, good[i].text);
		assert_int_equal(strlen(text), BASE64URL_CHARS(good[i].len));
		if (good[i].len > 0)
			assert_int_equal(decode(good[i].text, out, good[i].len - 1), -1);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(decode(bad[i], out, sizeof(out)), -1);
}

/* --- tokens --- */

/* Of a copy of just that size. */
static const char *read_token(const char *text, struct jws *s, char **copy)
{
	const size_t len = strlen(text);

	*copy = malloc(len + !len);
	memcpy(*copy, text, len);
	return jws_read((struct http_text){ *copy, len }, s);
}

static bool verify(const char *text)
{
	struct jws s;
	char *copy;
	bool good = false;

	if (!read_token(text, &s, &copy))
		for (size_t i = 0; i < set.count && !good; i++)
			good = jws_fits(&s, &set.list[i]) && jws_verify(&s, &set.list[i]);
	jws_end(&s);
	free(copy);
	return good;
}

static void test_examples(void **state)
{
	static const char *const tokens[] = { HS256, RS256, ES256 };
	const char *why;
	struct jws s;
	json_t *claims;
	char *copy;

	(void)state;
	assert_int_equal(read_set(SET(HS256_KEY ", " RS256_KEY ", " ES256_KEY)), 3);
	assert_int_equal(count, 0);
	for (size_t i = 0; i < sizeof(tokens) / sizeof(*tokens); i++) {
		char changed[1024];

		assert_true(verify(tokens[i]));
		/* each character counts, wherever it is */
		for (size_t at = 0; at < strlen(tokens[i]); at += 7) {
			snprintf(changed, sizeof(changed), "%s", tokens[i]);
			changed[at] = changed[at] == 'A' ? 'E' : 'A';
			assert_false(verify(changed));
		}
	}
	assert_null(read_token(HS256, &s, &copy));
	assert_int_equal(s.alg, JWS_HS256);
	assert_null(jws_kid(&s));
	claims = jws_claims(&s, &why);
	assert_string_equal(json_string_value(json_object_get(claims, "iss")), "joe");
	json_decref(claims);
	jws_end(&s);
	free(copy);
}

static void encode(const char *text, char *out)
{
	base64url_encode((const uint8_t *)text, strlen(text), out);
}

static const char *read_header(const char *header)
{
	static char text[8192];
	char head[6000];
	struct jws s;
	const char *why;
	char *copy;

	encode(header, head);
	snprintf(text, sizeof(text), "%s.%s.%s", head, PAYLOAD, HS256_SIGNATURE);
	why = read_token(text, &s, &copy);
	jws_end(&s);
	free(copy);
	return why;
}

static void test_headers(void **state)
{
	static const char *const bad[] = {
		"{}",
		"[]",
		"",
		"{\"alg\":\"none\"}",
		"{\"alg\":\"NONE\"}",
		"{\"alg\":\"hs256\"}",
		"{\"alg\":\"EdDSA\"}",
		"{\"alg\":256}",
		"{\"alg\":[\"HS256\"]}",
		"{\"alg\":\"HS256\",\"alg\":\"HS256\"}",
		"{\"alg\":\"HS256\",\"crit\":[\"exp\"]}",
		"{\"alg\":\"HS256\",\"crit\":[]}",
		"{\"alg\":\"HS256\",\"crit\":null}",
		"{\"alg\":\"HS256\",\"b64\":false,\"crit\":[\"b64\"]}",
		"{\"alg\":\"HS256\",\"kid\":7}",
		"{\"alg\":\"HS256\"} {}",
		"{\"alg\":\"HS256\\u0000\"}",
		"{\"alg\":\"HS256\",\"x\":1e400}",
		"{\"alg\":\"HS256\",\"x\":\"\xff\"}",
	};

	(void)state;
	assert_null(read_header("{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"\xc3\xa4\"}"));
	assert_null(read_header(
		"{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\"},\"jku\":\"x\",\"x5c\":[]}"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_non_null(read_header(bad[i]));
}

static void test_deep_and_long(void **state)
{
	char text[JWS_TOKEN_MAX + 64], deep[JWS_HEADER_MAX + 2];
	struct jws s;

	(void)state;
	memset(deep, ' ', sizeof(deep));
	memcpy(deep, "{\"alg\":\"HS256\"}", 15);
	deep[JWS_HEADER_MAX] = '\0';
	assert_null(read_header(deep));
	deep[JWS_HEADER_MAX] = ' ';
	deep[JWS_HEADER_MAX + 1] = '\0';
	assert_non_null(strstr(read_header(deep), "longer than 2 KiB"));
	memset(deep, '[', JWS_HEADER_MAX);
	deep[JWS_HEADER_MAX] = '\0';
	assert_non_null(read_header(deep));
	memset(text, 'A', sizeof(text));
	memcpy(text, HS256_HEAD ".", sizeof(HS256_HEAD));
	memcpy(text + JWS_TOKEN_MAX - sizeof(HS256_SIGNATURE), "." HS256_SIGNATURE,
	       sizeof(HS256_SIGNATURE));
	assert_null(jws_read((struct http_text){ text, JWS_TOKEN_MAX }, &s));
	jws_end(&s);
	assert_non_null(strstr(jws_read((struct http_text){ text, JWS_TOKEN_MAX + 1 }, &s),
			       "longer than 16 KiB"));
}

static void test_no_token(void **state)
{
	static const char *const bad[] = {
		"",
		".",
		"..",
		"...",
		HS256_HEAD,
		HS256_HEAD "." PAYLOAD,
		HS256_HEAD "." PAYLOAD "." HS256_SIGNATURE ".",
		HS256_HEAD "." PAYLOAD "." HS256_SIGNATURE "=",
		HS256_HEAD "." PAYLOAD "==." HS256_SIGNATURE,
		" " HS256,
		HS256 " ",
		"." PAYLOAD "." HS256_SIGNATURE,
		/* a token that is encrypted has five parts */
		HS256_HEAD "." PAYLOAD "." PAYLOAD "." PAYLOAD "." HS256_SIGNATURE,
	};
	struct jws s;
	char *copy;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_non_null(read_token(bad[i], &s, &copy));
		assert_null(s.header);
		free(copy);
	}
}

static void test_claims(void **state)
{
	static const char *const bad[] = { "",
					   "[]",
					   "7",
					   "{\"a\":1,\"a\":2}",
					   "{\"a\":{\"b\":1,\"b\":1}}",
					   "{\"exp\":1e400}",
					   "{\"exp\":99999999999999999999}",
					   "{\"a\":\"\\u0000\"}",
					   "{\"a\":1}x",
					   "{'a':1}" };
	const char *why = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char text[128];
		struct jws s = { .payload = { text, 0 } };

		encode(bad[i], text);
		s.payload.len = strlen(text);
		assert_null(jws_claims(&s, &why));
		assert_non_null(why);
	}
}

/* A key of another type, or of another algorithm's length, is not even asked. */
static void test_fits(void **state)
{
	struct jws s = { .alg = JWS_HS256, .signature_len = 32 };

	(void)state;
	assert_int_equal(read_set(SET(HS256_KEY ", " RS256_KEY ", " ES256_KEY)), 3);
	assert_true(jws_fits(&s, &set.list[0]));
	assert_false(jws_fits(&s, &set.list[1]));
	assert_false(jws_fits(&s, &set.list[2]));
	s.signature_len = 31;
	assert_false(jws_fits(&s, &set.list[0]));
	s = (struct jws){ .alg = JWS_RS256, .signature_len = 256 };
	assert_false(jws_fits(&s, &set.list[0]));
	assert_true(jws_fits(&s, &set.list[1]));
	s.signature_len = 257;
	assert_false(jws_fits(&s, &set.list[1]));
	s = (struct jws){ .alg = JWS_ES256, .signature_len = 64 };
	assert_true(jws_fits(&s, &set.list[2]));
	s.alg = JWS_ES384;
	assert_false(jws_fits(&s, &set.list[2]));
}

/* --- keys --- */

static void test_sets(void **state)
{
	(void)state;
	wrong(read_set(""), "no JSON");
	wrong(read_set("{"), "no JSON");
	wrong(read_set("[]"), "no JWK set");
	wrong(read_set("{ \"keys\": {} }"), "no JWK set");
	wrong(read_set("{ \"keys\": [], \"keys\": [] }"), "has a name twice");
	wrong(read_set("{\n\"keys\": [ \n,"), "no JSON");
	assert_int_equal(lines[0], 3);
	wrong(read_set(SET("7")), "the key 1 of \"keys\" is no object");
	assert_int_equal(read_set(SET("")), 0);
	assert_int_equal(count, 0);
	/* what is not for us is passed over, and said where it might have been meant */
	assert_int_equal(read_set(SET("{ \"kty\": \"RSA\", \"use\": \"enc\" }, { \"kty\": \"RSA\", "
				      "\"key_ops\": [ \"encrypt\" ] }")),
			 0);
	assert_int_equal(count, 0);
	assert_int_equal(read_set(SET("{ \"kty\": \"OKP\", \"crv\": \"Ed25519\" }, "
				      "{ \"kty\": \"EC\", \"crv\": \"secp256k1\" }, " ES256_KEY)),
			 1);
	assert_int_equal(count, 2);
	assert_int_equal(warnings, 2);
	assert_int_equal(
		read_set(SET("{ \"kty\": \"oct\", \"k\": \"" HS256_K "\", \"alg\": \"A128KW\" }")),
		0);
	assert_int_equal(warnings, 1);
}

static void test_wrong_keys(void **state)
{
	(void)state;
	wrong(read_set(SET("{ \"kty\": \"oct\" }")), "no numbers");
	wrong(read_set(SET("{ \"kty\": \"oct\", \"k\": \"AAAA\" }")), "less than 32 bytes");
	wrong(read_set(SET("{ \"kty\": \"oct\", \"k\": \"" HS256_K "=\" }")), "no numbers");
	wrong(read_set(SET("{ \"kty\": \"RSA\", \"n\": \"" RSA_N "\" }")), "no numbers");
	wrong(read_set(SET("{ \"kty\": \"RSA\", \"n\": \"" RSA_N "\", \"e\": \"AQ\" }")), "\"e\"");
	wrong(read_set(SET("{ \"kty\": \"RSA\", \"n\": \"" RSA_N "\", \"e\": \"AQAC\" }")),
	      "\"e\"");
	wrong(read_set(SET("{ \"kty\": \"RSA\", \"n\": \"" RSA_N "\", \"e\": \"AQAAAAAB\" }")),
	      "\"e\"");
	wrong(read_set(SET("{ \"kty\": \"RSA\", \"n\": \"" P256_X "\", \"e\": \"AQAB\" }")),
	      "less than 2048");
	wrong(read_set(SET("{ \"kty\": \"RSA\", \"n\": \"" RSA_N RSA_N RSA_N
			   "\", \"e\": \"AQAB\" }")),
	      "");
	wrong(read_set(SET("{ \"kty\": \"EC\", \"crv\": \"P-256\", \"x\": \"" P256_Y
			   "\", \"y\": \"" P256_X "\" }")),
	      "no point");
	wrong(read_set(SET("{ \"kty\": \"EC\", \"crv\": \"P-256\", \"x\": \"" P256_X
			   "AA\", \"y\": \"" P256_Y "\" }")),
	      "");
	assert_int_equal(
		read_set(SET(ES256_KEY ", { \"kty\": \"EC\", \"crv\": \"P-384\", \"x\": \"" P256_X
				       "\", \"y\": \"" P256_Y "\" }")),
		1);
	assert_non_null(strstr(told[0], "the key 2 of \"keys\" is of EC"));
	/* the same name: which one is meant? of another type it is said by that */
	assert_int_equal(read_set(SET(HS256_KEY ", " HS256_KEY)), 1);
	assert_non_null(strstr(told[0], "\"kid\" of one of its type"));
	assert_int_equal(
		read_set(SET(HS256_KEY ", { \"kty\": \"RSA\", \"kid\": \"h\", \"n\": \"" RSA_N
				       "\", \"e\": \"AQAB\" }")),
		2);
	assert_int_equal(count, 0);
	assert_int_equal(
		read_set(SET("{ \"kty\": \"oct\", \"alg\": \"RS256\", \"k\": \"" HS256_K "\" }")),
		1);
	assert_non_null(strstr(told[0], "\"alg\" that is not one of its type"));
	assert_int_equal(set.list[0].algs, 0);
}

/* A member of another type says nothing, and is no reason to use the key for more. */
static void test_members_of_another_type(void **state)
{
	static const char *const bad[] = {
		"\"alg\": [ \"HS256\" ]",
		"\"alg\": null",
		"\"use\": 1",
		"\"use\": [ \"enc\" ]",
		"\"kid\": 7",
		"\"kid\": null",
		"\"key_ops\": \"encrypt\"",
		"\"key_ops\": {}",
		"\"key_ops\": [ \"verify\", 1 ]",
		"\"crv\": 256",
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(text, sizeof(text),
			 SET("{ \"kty\": \"oct\", \"k\": \"" HS256_K "\", %s }"), bad[i]);
		wrong(read_set(text), "string");
	}
	wrong(read_set(SET("{ \"kty\": 1 }")), "\"kty\" that is no string");
	assert_int_equal(read_set(SET("{ \"kty\": \"oct\", \"key_ops\": [ \"verify\" ], "
				      "\"k\": \"" HS256_K "\" }")),
			 1);
}

/* The same key may be there for two algorithms. */
static void test_one_key_twice(void **state)
{
#define RSA_AS(alg)                                                                                \
	"{ \"kty\": \"RSA\", \"alg\": \"" alg "\", \"n\": \"" RSA_N "\", \"e\": \"AQAB\" }"
	struct jwk_set both, one;

	(void)state;
	assert_int_equal(read_set(SET(RSA_AS("RS256") ", " RSA_AS("PS256"))), 2);
	assert_int_equal(jwk_algs(&set, set.list[0].print), 1U << JWS_RS256 | 1U << JWS_PS256);
	both = set;
	set = (struct jwk_set){ 0 };
	assert_int_equal(read_set(SET(RSA_AS("RS256"))), 1);
	one = set;
	set = (struct jwk_set){ 0 };
	assert_false(jwk_same(&both, &one));
	assert_false(jwk_has(&one, &both, &both.list[0]));
	assert_int_equal(read_set(SET(RSA_AS("PS256") ", " RSA_AS("RS256"))), 2);
	assert_true(jwk_same(&both, &set));
	assert_int_equal(read_set(SET(RSA_AS("PS256"))), 1);
	assert_false(jwk_same(&one, &set));
	assert_int_equal(jwk_algs(&set, (const uint8_t *)RSA_N), 0);
	jwk_free(&both);
	jwk_free(&one);
#undef RSA_AS
}

static void test_too_many(void **state)
{
	char *text = malloc(65 * sizeof(ES256_KEY) + 64), *p = text;

	(void)state;
	p += sprintf(p, "{ \"keys\": [ ");
	for (int i = 0; i < 65; i++)
		p += sprintf(p, "%s" ES256_KEY, i > 0 ? "," : "");
	sprintf(p, " ] }");
	wrong(read_set(text), "more than the 64 keys");
	free(text);
}

#define SECRET "0123456789abcdef0123456789abcdef"

static void test_secrets(void **state)
{
	char most[JWK_SECRET_MAX + 3];
	uint8_t print[JWS_PRINT];

	(void)state;
	assert_int_equal(read_key(SECRET), 1);
	assert_int_equal(set.list[0].size, 32);
	assert_int_equal(set.list[0].algs, 1U << JWS_HS256);
	memcpy(print, set.list[0].print, JWS_PRINT);
	/* one line break at its end is an editor's, two are not */
	assert_int_equal(read_key(SECRET "\n"), 1);
	assert_memory_equal(set.list[0].print, print, JWS_PRINT);
	assert_int_equal(read_key(SECRET "\n\n"), 1);
	assert_int_equal(set.list[0].size, 33);
	assert_int_equal(read_bytes(jwk_read_key, SECRET "\0\0", 34), 1);
	assert_int_equal(set.list[0].size, 34);
	assert_int_equal(read_key(SECRET SECRET), 1);
	assert_int_equal(set.list[0].algs, 1U << JWS_HS256 | 1U << JWS_HS384 | 1U << JWS_HS512);
	wrong(read_key(""), "less than 32 bytes");
	wrong(read_key("0123456789abcdef0123456789abcde\n"), "less than 32 bytes");
	memset(most, 'x', sizeof(most));
	most[JWK_SECRET_MAX] = '\n';
	assert_int_equal(read_bytes(jwk_read_key, most, JWK_SECRET_MAX + 1), 1);
	wrong(read_bytes(jwk_read_key, most, JWK_SECRET_MAX + 2), "more than 1024 bytes");
	wrong(read_key("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
	      "no public key");
	wrong(read_key("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
	      "is a private one");
}

/* Public keys that are not read as such: everybody would know the secret. */
static void test_no_secrets(void **state)
{
#define BASE64                                                                                     \
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"                       \
	"6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
#define PEM "-----BEGIN PUBLIC KEY-----\n" BASE64 "-----END PUBLIC KEY-----\n"
	char wide[2 * sizeof(PEM)] = "\xff\xfe";
	uint8_t der[128];
	ssize_t len;

	(void)state;
	assert_int_equal(read_key(PEM), 1);
	assert_int_equal(set.list[0].type, JWS_P256);
	wrong(read_key("\n" PEM), "does not begin with \"-----BEGIN\"");
	wrong(read_key("\xef\xbb\xbf" PEM), "does not begin with \"-----BEGIN\"");
	wrong(read_key("# ours\n" PEM), "does not begin with \"-----BEGIN\"");
	wrong(read_key(" -----BEGIN"), "does not begin with \"-----BEGIN\"");
	for (size_t i = 0; i < sizeof(PEM) - 1; i++)
		wide[2 + 2 * i] = PEM[i];
	wrong(read_bytes(jwk_read_key, wide, sizeof(wide)), "two bytes for each character");
	wrong(read_key(BASE64), "is base64 of a public key");
	len = base64url_decode(
		(struct http_text){ "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMz"
				    "V76e8Tus9uPHvRVEXH8UTNG72bfocs3-257rn0s2ldbqkLJK2KRiMohYjlrQ",
				    122 },
		der, sizeof(der));
	assert_int_equal(len, 91);
	wrong(read_bytes(jwk_read_key, (char *)der, (size_t)len), "is in DER");
	wrong(read_key(ES256_KEY), "is JSON Web Keys");
	wrong(read_key(SET(RS256_KEY)), "is JSON Web Keys");
	wrong(read_key("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAB me@example.org"), "a form of ssh");
	/* a secret of letters is one */
	assert_int_equal(read_key("{ \"key\": \"of nobody, and yet a secret\" }"), 1);
	assert_int_equal(read_key("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoxMjM0NTY="), 1);
#undef PEM
#undef BASE64
}

/* Nobody is asked at the terminal: there is none, and a library would wait for it. */
static void test_encrypted(void **state)
{
	(void)state;
	wrong(read_key("-----BEGIN PUBLIC KEY-----\nProc-Type: 4,ENCRYPTED\n"
		       "DEK-Info: AES-128-CBC,0123456789ABCDEF0123456789ABCDEF\n\n"
		       "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
		       "-----END PUBLIC KEY-----\n"),
	      "no public key");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64url),
		cmocka_unit_test_teardown(test_examples, forget),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_deep_and_long),
		cmocka_unit_test(test_no_token),
		cmocka_unit_test(test_claims),
		cmocka_unit_test_teardown(test_fits, forget),
		cmocka_unit_test_teardown(test_sets, forget),
		cmocka_unit_test_teardown(test_wrong_keys, forget),
		cmocka_unit_test_teardown(test_too_many, forget),
		cmocka_unit_test_teardown(test_secrets, forget),
		cmocka_unit_test_teardown(test_no_secrets, forget),
		cmocka_unit_test_teardown(test_encrypted, forget),
		cmocka_unit_test_teardown(test_members_of_another_type, forget),
		cmocka_unit_test_teardown(test_one_key_twice, forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
