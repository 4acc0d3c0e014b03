/*
 * upgrade.h - the opening handshake, server side (RFC 6455 4.2).
 *
 * upgrade_parse finds out what a request wants; the caller looks up the
 * endpoint by up.path and decides; then one of the writers below makes the answer.
 */
#ifndef PROTO_UPGRADE_H
#define PROTO_UPGRADE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/reason.h"
#include "proto/http.h"
#include "proto/refusal.h"

enum {
	UPGRADE_RESPONSE_MAX = 1024, /* bytes that any answer fits in */
	UPGRADE_PATH_MAX = 1024, /* bytes of a decoded path; longer: 404 by the caller */
	UPGRADE_KEY_LEN = 24,
	UPGRADE_SUBPROTOCOL_MAX = 128, /* bytes of a name; the configuration has no longer one */
};

struct upgrade {
	char path[UPGRADE_PATH_MAX + 1]; /* percent-decoded, without the query, NUL-terminated */
	struct http_text raw; /* the same as it came; of no use where path is "" */
	bool get, head; /* the method */
	bool websocket; /* asks for an upgrade to WebSocket */
	bool version13;
	char key[UPGRADE_KEY_LEN + 1];
	struct http_text host; /* that it asks for, with a port where it has one; p NULL: none */
	struct http_text origin, authorization; /* p NULL: none */
};

/*
 * Reads a whole head into *up. Returns 0, or -1 with *why, which is answered with 400. A plain
 * GET is no error here: up->websocket is false. The views in *up live as long as those in *h.
 */
int upgrade_parse(const struct http_head *h, struct upgrade *up, struct refusal *why)
	__attribute__((warn_unused_result));

/* The same of the request line alone, where that has come and the rest has not: path and method. */
int upgrade_parse_line(const struct http_head *h, struct upgrade *up, struct refusal *why)
	__attribute__((warn_unused_result));

/*
 * Decodes a target's path, up to its query. One that is too long becomes "", which no endpoint
 * has. Returns 0, or -1 with *why.
 */
int upgrade_decode_path(struct http_text t, char out[UPGRADE_PATH_MAX + 1], struct refusal *why)
	__attribute__((warn_unused_result));

/*
 * Path and method of a head that is not whole, or is malformed. The method is known by the space
 * behind it; up->path is "" as long as the first line has not come, or if that has none. A path
 * that cannot be decoded is left as it came.
 */
void upgrade_peek(const char *bytes, size_t len, struct upgrade *up);

/*
 * The refusal that method, Upgrade and version call for on an endpoint:
 * METHOD_NOT_ALLOWED, UPGRADE_REQUIRED, or REASON_NONE.
 */
enum reason upgrade_check(const struct upgrade *up);

/* The HTTP status of a refusal, 400..503. */
int upgrade_status(enum reason r);

/*
 * The first subprotocol of the client's list that is also in offered (NULL-
 * terminated; NULL: none is). NULL: none in common.
 */
const char *upgrade_subprotocol(const struct http_head *h, const char *const *offered);

/*
 * Writes the 101 response. subprotocol: at most UPGRADE_SUBPROTOCOL_MAX bytes, or
 * NULL; extensions: whole header lines, at most 256 bytes, or "". out has
 * UPGRADE_RESPONSE_MAX bytes. Returns the length; a NUL follows.
 */
size_t upgrade_write_accept(char *out, const struct upgrade *up, const char *subprotocol,
			    const char *extensions);

/*
 * Writes a refusal that closes: status, reason word and text, and what the
 * status calls for (Allow, Upgrade and Sec-WebSocket-Version, Retry-After).
 * now is the time for the Date header, seconds since the epoch; no_body for
 * HEAD. out has UPGRADE_RESPONSE_MAX bytes. Returns the length.
 */
size_t upgrade_write_refusal(char *out, const struct refusal *why, long long now, bool no_body);

/* The same of the answer to a health check: 200, or 503 for who serves no more. */
size_t upgrade_write_health(char *out, bool serves, long long now, bool no_body);

#endif
