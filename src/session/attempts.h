/*
 * attempts.h - how often an address asks to be let in, and how often in vain, over all workers.
 *
 * A unix socket has no address, and nothing of this is for its clients.
 */
#ifndef SESSION_ATTEMPTS_H
#define SESSION_ATTEMPTS_H

#include <stdbool.h>

#include "base/reason.h"

struct conn;
struct refusal;

/* A request of c's has come whole. False: it is one too many (connection_rate_per_address), as *why says. */
bool attempts_request(const struct conn *c, struct refusal *why);

/*
 * Whether c, whose endpoint asks who it is, is listened to. False: its address has failed too often
 * (auth_failures, auth_penalty), as *why says: before anything of what it shows is looked at.
 */
bool attempts_are_heard(const struct conn *c, struct refusal *why);

/* It was refused for that, which counts where it has shown a credential that is no good. */
void attempts_refused(const struct conn *c, enum reason r);

/*
 * Whether a refusal for that is to be kept among those that are told of later (noted.h): of what one
 * address does in a flood a few are, so that those of others stay.
 */
bool attempts_are_kept(enum reason r);

#endif
