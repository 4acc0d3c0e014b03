/*
 * jws.c - see jws.h.
 *
 * What is decoded lies in one piece of static memory while it is read: a token asks for no memory by
 * its length.
 */
#include "proto/jws.h"

#include <errno.h>
#include <string.h>

#include "proto/base64url.h"
#include "proto/json_memory.h"

/* Costs are those of libjose 11 with OpenSSL 3.0, doubled; of RSA with 4096 bits. */
const struct jws_form jws_forms[JWS_ALGS] = {
	[JWS_HS256] = { "HS256", JWS_SECRET, 32, 10000 },
	[JWS_HS384] = { "HS384", JWS_SECRET, 48, 10000 },
	[JWS_HS512] = { "HS512", JWS_SECRET, 64, 10000 },
	[JWS_RS256] = { "RS256", JWS_RSA, 32, 160000 },
	[JWS_RS384] = { "RS384", JWS_RSA, 48, 160000 },
	[JWS_RS512] = { "RS512", JWS_RSA, 64, 160000 },
	[JWS_PS256] = { "PS256", JWS_RSA, 32, 160000 },
	[JWS_PS384] = { "PS384", JWS_RSA, 48, 160000 },
	[JWS_PS512] = { "PS512", JWS_RSA, 64, 160000 },
	[JWS_ES256] = { "ES256", JWS_P256, 32, 180000 },
	[JWS_ES384] = { "ES384", JWS_P384, 48, 1600000 },
	[JWS_ES512] = { "ES512", JWS_P521, 64, 1100000 },
};

const char jws_no_memory[] = "there was no memory to look at it";

static uint8_t decoded[BASE64URL_BYTES(JWS_TOKEN_MAX)];

enum jws_alg jws_alg_find(const char *name)
{
	int i = 0;

	while (i < JWS_ALGS && strcmp(jws_forms[i].name, name) != 0)
		i++;
	return (enum jws_alg)i;
}

/* Takes what is ahead of the next dot off *rest. False: there is none. */
static bool split(struct http_text *rest, struct http_text *part)
{
	const char *dot = memchr(rest->p, '.', rest->len);

	if (!dot)
		return false;
	*part = (struct http_text){ rest->p, (size_t)(dot - rest->p) };
	rest->p += part->len + 1;
	rest->len -= part->len + 1;
	return true;
}

/*
 * The JSON object in len bytes of `decoded`. NULL: they are none, or have a name twice, as *why says, or
 * *why is changed: there is no memory. jansson refuses what is nested more deeply than 2048, and numbers
 * that it has no type for.
 */
static json_t *read_object(size_t len, const char **why)
{
	json_t *j = json_memory_read(decoded, len, JSON_REJECT_DUPLICATES, NULL);

	if (!j && errno == ENOMEM)
		*why = jws_no_memory;
	else if (json_is_object(j))
		return j;
	json_decref(j);
	return NULL;
}

static const char *read_header(struct jws *s, size_t len)
{
	const char *alg, *why = "its header is not one JSON object";

	s->header = read_object(len, &why);
	if (!s->header)
		return why;
	alg = json_string_value(json_object_get(s->header, "alg"));
	s->alg = alg ? jws_alg_find(alg) : JWS_ALGS;
	if (s->alg == JWS_ALGS)
		return "its \"alg\" is none that there is";
	if (json_object_get(s->header, "crit"))
		return "its header has \"crit\", of which nothing is understood";
	if (json_object_get(s->header, "kid") && !jws_kid(s))
		return "its \"kid\" is no string";
	return NULL;
}

static const char *take_apart(struct http_text rest, struct jws *s)
{
	ssize_t len;

	if (rest.len > JWS_TOKEN_MAX)
		return "it is longer than 16 KiB";
	if (!split(&rest, &s->head) || !split(&rest, &s->payload))
		return "it has no three parts with dots between them";
	s->signature = rest;
	len = base64url_decode(s->signature, decoded, sizeof(decoded));
	if (len < 0 || base64url_decode(s->payload, decoded, sizeof(decoded)) < 0)
		return "it is not base64url without padding";
	s->signature_len = (size_t)len;
	len = base64url_decode(s->head, decoded, sizeof(decoded));
	if (len < 0)
		return "it is not base64url without padding";
	return len > JWS_HEADER_MAX ? "its header is longer than 2 KiB"
				    : read_header(s, (size_t)len);
}

const char *jws_read(struct http_text token, struct jws *out)
{
	const char *why;

	*out = (struct jws){ .alg = JWS_ALGS };
	why = take_apart(token, out);
	if (why)
		jws_end(out);
	return why;
}

void jws_end(struct jws *s)
{
	json_decref(s->header);
	s->header = NULL;
}

const char *jws_kid(const struct jws *s)
{
	return json_string_value(json_object_get(s->header, "kid"));
}

bool jws_fits(const struct jws *s, const struct jws_key *k)
{
	const struct jws_form *f = &jws_forms[s->alg];
	size_t len;

	if (k->type != f->type || !(k->algs & 1U << s->alg))
		return false;
	len = f->type == JWS_SECRET ? f->hash : f->type == JWS_RSA ? k->size : 2 * (size_t)k->size;
	return s->signature_len == len;
}

json_t *jws_claims(const struct jws *s, const char **why)
{
	const ssize_t len = base64url_decode(s->payload, decoded, sizeof(decoded));

	*why = "what it says is not one JSON object with each name once";
	return len >= 0 ? read_object((size_t)len, why) : NULL;
}
