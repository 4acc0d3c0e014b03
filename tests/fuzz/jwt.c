/*
 * JSON Web Tokens: the input is one as it comes, and a header and claims, with a line feed between them,
 * that are signed here.
 *
 * Invariants: a token that nobody has signed is refused; one that is good has a user that may be shown, an
 * algorithm that may be used and the key; one that is not has a reason, and a text without a character
 * that would be escaped. What is kept of a good one is judged the same again.
 */
#include <math.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/printable.h"
#include "behaviour.h"
#include "config/jwt.h"
#include "fuzz.h"
#include "proto/base64url.h"

#define SECRET "0123456789abcdef0123456789abcdef"

static const char settings[] =
	"listen = ( { address = \"127.0.0.1\"; port = 8080; } );\n"
	"endpoints = ( { path = \"/c/{room}\"; behaviour = \"room\"; access = { jwt = {\n"
	"key = \"/proc/self/fd/%d\"; algorithms = ( \"HS256\" ); audience = \"chat\"; leeway = "
	"\"1s\";\n"
	"required = { room = \"{room}\"; scope = ( \"say\", 7, true ); in = { a = \"{{room}\"; }; "
	"};\n"
	"publish = ( { claim = \"https://x/\"; value = \"x-{room}\"; } ); }; }; } );\n";

static int write_file(const char *text)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	fuzz_require(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	return fd;
}

static const struct config_endpoint *endpoint(void)
{
	static struct config *c;
	struct config_errors *e;
	struct config_source *s;
	char text[sizeof(settings) + 16], path[64];

	if (c)
		return &c->endpoints[0];
	e = config_errors_new();
	snprintf(text, sizeof(text), settings, write_file(SECRET));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", write_file(text));
	s = config_load(path, e);
	fuzz_require(s != NULL);
	c = config_parse(s, behaviours, 1, e);
	fuzz_require(c != NULL);
	config_source_free(s);
	config_errors_free(e);
	return &c->endpoints[0];
}

static void check_refused(const struct jwt_verdict *v)
{
	fuzz_require(v->reason == REASON_BAD_TOKEN || v->reason == REASON_TOKEN_EXPIRED ||
		     v->reason == REASON_WRONG_AUDIENCE || v->reason == REASON_NOT_ALLOWED);
	fuzz_require(*v->why && printable_whole(v->why, strlen(v->why)));
}

static void check_again(const struct jwt_verdict *v)
{
	const struct config_endpoint *e = endpoint();
	json_t *kept = jwt_claims_asked(&e->limits.access.jwt, v->claims), *again;
	char *text = json_dumps(kept, JSON_COMPACT);
	struct jwt_verdict w;

	again = json_loads(text, 0, NULL);
	fuzz_require(again != NULL);
	jwt_judge_claims(e, "/c/lobby", again, 1e9, &w);
	fuzz_require(w.reason == REASON_NONE && strcmp(w.user, v->user) == 0);
	fuzz_require(w.publishes == v->publishes && w.expires == v->expires);
	free(text);
	json_decref(kept);
	json_decref(again);
}

static enum reason judge(const char *token, size_t len)
{
	struct jwt_verdict v;

	jwt_judge(endpoint(), "/c/lobby", (struct http_text){ token, len }, 1e9, &v);
	if (v.reason != REASON_NONE) {
		check_refused(&v);
	} else {
		fuzz_require(*v.user && strlen(v.user) <= CONFIG_USER_MAX &&
			     printable_whole(v.user, strlen(v.user)));
		fuzz_require(v.alg == JWS_HS256 && v.key && v.claims && v.expires > 1e9);
		check_again(&v);
	}
	json_decref(v.claims);
	return v.reason;
}

static char *put_part(char *out, const uint8_t *p, size_t len)
{
	base64url_encode(p, len, out);
	return out + strlen(out);
}

/* What is signed is read to its end, whatever it is. */
static void sign_and_judge(const uint8_t *data, size_t size)
{
	const uint8_t *line = memchr(data, '\n', size), *end = data + size;
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned mac_len;
	char *token, *p;

	if (!line)
		return;
	token = malloc(4 * size + 128);
	p = put_part(token, data, (size_t)(line - data));
	*p++ = '.';
	p = put_part(p, line + 1, (size_t)(end - line - 1));
	HMAC(EVP_sha256(), SECRET, strlen(SECRET), (uint8_t *)token, (size_t)(p - token), mac,
	     &mac_len);
	*p++ = '.';
	p = put_part(p, mac, mac_len);
	if (judge(token, (size_t)(p - token)) == REASON_NONE) {
		/* and with another signature it is none */
		p[-2] = p[-2] == 'A' ? 'B' : 'A';
		fuzz_require(judge(token, (size_t)(p - token)) == REASON_BAD_TOKEN);
	}
	free(token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = calloc(1, size + !size);

	if (size > 0)
		memcpy(copy, data, size);
	judge(copy, size);
	free(copy);
	sign_and_judge(data, size);
	return 0;
}
