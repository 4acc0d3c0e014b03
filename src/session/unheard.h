/*
 * unheard.h - messages of a client that are not taken, while its connection stays.
 */
#ifndef SESSION_UNHEARD_H
#define SESSION_UNHEARD_H

#include "base/reason.h"

struct conn;

/* Counts one of c's (NOT_ALLOWED, RATE_LIMITED). The first is in the log, the number in the entry at c's end. */
void unheard_message(struct conn *c, enum reason reason);

#endif
