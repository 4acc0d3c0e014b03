/*
 * entering.h - that one who was found good is let in: his admission, and his place in a room.
 */
#ifndef SESSION_ENTERING_H
#define SESSION_ENTERING_H

#include <stdbool.h>

#include "base/reason.h"

struct conn;
struct identity;

/* Makes c's admission to its endpoint by a path, as who (nobody: user NULL), with his texts. */
enum reason entering_admit(struct conn *c, const char *name, const struct identity *who, bool json);

/*
 * Makes him a member of his room, where there is one, so that nobody is told too late that there is none
 * for him; the second ends that, if it is.
 */
enum reason entering_join(struct conn *c);
void entering_leave(struct conn *c);

#endif
