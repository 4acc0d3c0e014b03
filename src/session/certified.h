/*
 * certified.h - who comes by a certificate: client_certificates of `access`, see access.h.
 *
 * It is the one that TLS has found to be good, or a name that a proxy tells of one, which has ended TLS.
 */
#ifndef SESSION_CERTIFIED_H
#define SESSION_CERTIFIED_H

#include <stdbool.h>

#include "base/reason.h"

struct access_request;
struct config_access;
struct config_endpoint;
struct conn;
struct identity;

bool certified_is_wanted(const struct config_access *a);

/* Whether it has one of the names; that is *who, where nothing has said who it is. */
enum reason certified_check(const struct config_access *a, struct access_request *rq,
			    struct identity *who);

/* Whether the same person would come in by it now. who: NULL: nobody knows. */
bool certified_holds(const struct config_endpoint *e, const struct conn *c,
		     const struct identity *who);

/* Whether c has shown one that is revoked now, or one between it and its authority is. */
bool certified_is_revoked(const struct conn *c);

#endif
