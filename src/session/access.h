/*
 * access.h - whether a client may use an endpoint: from where it comes, and who it is.
 */
#ifndef SESSION_ACCESS_H
#define SESSION_ACCESS_H

#include <stdbool.h>

#include "base/reason.h"

struct config_access;
struct config_endpoint;
struct conn;
struct http_head;
struct identity;
struct upgrade;

/* Whether anybody has to say who he is. */
bool access_asks(const struct config_access *a);

/* By its address, as far as that is known: BAD_NETWORK, or NONE. */
enum reason access_by_network(const struct config_access *a, const struct conn *c);

/* Who asks to be let in, and what he has to show. */
struct access_request {
	struct conn *c;
	const struct upgrade *up;
	const struct http_head *head;
	const char *name; /* the path that he came by (config_route) */
	/* Why he is not, where there is more to say than the reason does, else NULL; and the same for the log */
	const char *why, *detail;
	bool late; /* of NO_CREDENTIALS: a token may come in the first message, and nothing else is missing */
};

/*
 * By what its request has to show: all that a asks for, or any of it. *who: who it is, with views of
 * the snapshot of a and of the request, and what is its own (jwt); user NULL: nobody asks. Else why it is
 * none of those who may come in: where one thing would do it is the bad one of those that were shown, if
 * there is one. That may have to be found out elsewhere, and then c waits for it from here on (awaiting_is).
 */
enum reason access_by_credential(const struct config_access *a, struct access_request *rq,
				 struct identity *who);

/*
 * Whether a path that led to e (config_route) is for this user (NULL: nobody knows): one with a
 * placeholder {user} is for that user alone.
 */
bool access_path_is_own(const struct config_endpoint *e, const char *name, const char *user);

/* Whether one that is open would be let in to e, too. Its origin has been judged. */
bool access_holds(const struct config_endpoint *e, const struct conn *c);

#endif
