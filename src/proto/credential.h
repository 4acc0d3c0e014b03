/*
 * credential.h - where a token may be in a request that cannot have an Authorization header, as those of
 * pages in browsers.
 *
 * Each finds a view of the first one that there is; false: there is none. Whatever it is, it may be
 * none that is known.
 */
#ifndef PROTO_CREDENTIAL_H
#define PROTO_CREDENTIAL_H

#include <stdbool.h>

#include "proto/http.h"

/* The value of a cookie (RFC 6265 4.2), without the quotes that it may have. */
bool credential_cookie(const struct http_head *h, const char *name, struct http_text *value);

/* What is behind a prefix in the list of subprotocols. */
bool credential_subprotocol(const struct http_head *h, const char *prefix, struct http_text *value);

/* A parameter of the query of a target, as it is written. */
bool credential_query(struct http_text target, const char *name, struct http_text *value);

#endif
