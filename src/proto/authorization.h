/*
 * authorization.h - the credentials of a request (RFC 9110 11.6.2).
 */
#ifndef PROTO_AUTHORIZATION_H
#define PROTO_AUTHORIZATION_H

#include <stdbool.h>

#include "proto/http.h"

/*
 * The token of a value `Bearer TOKEN` (RFC 6750 2.1), a view of it; whatever that is, it may be none
 * that is known. False: the value is of another scheme.
 */
bool authorization_bearer(struct http_text value, struct http_text *token);

/* Bytes of a user and a password that are taken; nobody has longer ones. */
enum { AUTHORIZATION_USER_MAX = 128, AUTHORIZATION_PASSWORD_MAX = 256 };

struct authorization_basic {
	char user[AUTHORIZATION_USER_MAX + 1]; /* without ':' */
	char password[AUTHORIZATION_PASSWORD_MAX + 1];
};

enum authorization_found { AUTHORIZATION_OTHER, AUTHORIZATION_BAD, AUTHORIZATION_GOOD };

/*
 * The user and password of a value `Basic CREDENTIALS` (RFC 7617 2), as text without NULs in it, and to be
 * cleared by the caller. OTHER: the value is of another scheme. BAD: it is no base64, what is in it has no
 * ':', or has a NUL or more bytes than are taken: then *out is cleared.
 */
enum authorization_found authorization_basic(struct http_text value,
					     struct authorization_basic *out);

#endif
