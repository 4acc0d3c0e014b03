/*
 * authorization.c - see authorization.h.
 */
#include "proto/authorization.h"

#include <string.h>
#include <strings.h>

#include "base/base64.h"

/* Schemes are compared without case, and one space or more follows (RFC 9110 11.4). */
static bool has_scheme(struct http_text value, const char *scheme, struct http_text *rest)
{
	size_t n = strlen(scheme);

	if (value.len <= n || strncasecmp(value.p, scheme, n) != 0 || value.p[n] != ' ')
		return false;
	while (n < value.len && value.p[n] == ' ')
		n++;
	*rest = (struct http_text){ value.p + n, value.len - n };
	return true;
}

bool authorization_bearer(struct http_text value, struct http_text *token)
{
	return has_scheme(value, "Bearer", token);
}

/* Both in base64: a longer one has too much of either. */
enum { BASIC_MAX = (AUTHORIZATION_USER_MAX + 1 + AUTHORIZATION_PASSWORD_MAX + 2) / 3 * 4 };

static bool keep(char *out, size_t most, const char *p, size_t n)
{
	if (n > most || memchr(p, '\0', n))
		return false;
	memcpy(out, p, n);
	return true;
}

/* A user has no ':', a password may. */
static bool split(const char *text, size_t len, struct authorization_basic *out)
{
	const char *colon = memchr(text, ':', len);
	size_t user = colon ? (size_t)(colon - text) : 0;

	return colon && keep(out->user, AUTHORIZATION_USER_MAX, text, user) &&
	       keep(out->password, AUTHORIZATION_PASSWORD_MAX, colon + 1, len - user - 1);
}

enum authorization_found authorization_basic(struct http_text value,
					     struct authorization_basic *out)
{
	char text[BASIC_MAX];
	struct http_text encoded;
	long n = -1;
	bool good;

	memset(out, 0, sizeof(*out));
	if (!has_scheme(value, "Basic", &encoded))
		return AUTHORIZATION_OTHER;
	if (encoded.len <= sizeof(text)) {
		memcpy(text, encoded.p, encoded.len);
		n = base64_decode(text, encoded.len);
	}
	good = n >= 0 && split(text, (size_t)n, out);
	explicit_bzero(text, sizeof(text));
	if (!good)
		explicit_bzero(out, sizeof(*out));
	return good ? AUTHORIZATION_GOOD : AUTHORIZATION_BAD;
}
