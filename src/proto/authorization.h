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

#endif
