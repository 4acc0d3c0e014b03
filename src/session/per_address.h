/*
 * per_address.h - how many connections an address has, over all workers.
 *
 * There are two limits of that name: at the top it is all of an address's connections that count,
 * in an endpoint those to that endpoint, and both hold. IPv6 addresses count by their /64; unix
 * sockets have no address, and are not counted.
 */
#ifndef SESSION_PER_ADDRESS_H
#define SESSION_PER_ADDRESS_H

#include "base/reason.h"

struct conn;

/*
 * Counts c, whose endpoint and whose client are known, where there is a limit. REASON_NONE, or why
 * it may not be: then it is not counted anywhere.
 */
enum reason per_address_count(struct conn *c);

/* Takes it out again where it was counted. */
void per_address_forget(struct conn *c);

/*
 * A reload: c, which is open or ending, is counted now where there is a limit, whatever that is, and
 * nowhere else.
 */
void per_address_recount(struct conn *c);

#endif
