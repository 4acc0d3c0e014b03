/*
 * noted.h - what is noted of a connection for those who ask later, see base/chronicle.h.
 *
 * It is noted whether it is logged or not, and when it happens, not when it is freed: a worker may
 * be killed in between. Times are those of the last tick, so none of this looks at a clock.
 */
#ifndef SESSION_NOTED_H
#define SESSION_NOTED_H

#include "base/reason.h"

struct conn;

/* It has become open; it was, and is dead. */
void noted_opened(const struct conn *c);
void noted_ended(const struct conn *c);

/*
 * It is not let in. status: of HTTP, 0: there is no answer. path: what was asked for, where no
 * endpoint stands for it, else NULL.
 */
void noted_refused(const struct conn *c, enum reason reason, int status, const char *path);

#endif
