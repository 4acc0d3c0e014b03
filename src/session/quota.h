/*
 * quota.h - how many connections an address, a user, an endpoint has, over all workers.
 *
 * Of an address and of a user there are two limits each: at the top it is all of their connections
 * that count, in an endpoint those to that endpoint, and both hold. What counts as one address is
 * said by the settings (network.h); unix sockets have none, and are not counted so. Nor is as a
 * user's who has not said who he is.
 */
#ifndef SESSION_QUOTA_H
#define SESSION_QUOTA_H

#include <stdbool.h>

#include "base/reason.h"

struct conn;

/*
 * Counts c, whose endpoint, client and user are known, where there is a limit. REASON_NONE, or why
 * it may not be: then it is not counted anywhere. Where the table has no place for it, it may, and
 * is not counted; the log tells of that.
 */
enum reason quota_take(struct conn *c);

/*
 * Behind quota_take, when nothing else is against it: where c was let in over a limit of its user, as
 * over_user has it, whichever worker has the oldest of that one's connections is asked to let it go.
 * False: none of them can be asked, and c may not be.
 */
bool quota_replace(struct conn *c);

/*
 * The next connection of this worker that is to go so, which does not count as its user's any more. NULL:
 * there is none.
 */
struct conn *quota_next_to_go(void);

/* c, which was open, is on its way out: it is the first that makes place for another one. */
void quota_leaves(struct conn *c);

/* Takes it out again where it was counted. */
void quota_give_back(struct conn *c);

/*
 * A reload: c, which is open or ending, is counted now where there is a limit, whatever that is, and
 * nowhere else, as the settings of now name its address and its endpoint.
 */
void quota_recount(struct conn *c);

#endif
