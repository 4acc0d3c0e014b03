/*
 * expiry.h - that a token expires while its connection is open.
 */
#ifndef SESSION_EXPIRY_H
#define SESSION_EXPIRY_H

#include <stdbool.h>

#include "proto/frame.h"

struct conn;
struct verdict;

/* Ahead of it, who gets envelopes is told so. */
enum { EXPIRY_TOLD_AHEAD = 60 }; /* seconds */

/* The tick has come that was noted with c's token: c is told, or closed. */
void expiry_come(struct conn *c);

/* Whether a text is a new token, {"ignyx":"token","token":TOKEN}, of somebody who has one. */
bool expiry_is_renewal(const struct conn *c, const struct ws_message *m);

/* Takes that in the place of the old one. False: it is not good, and c is to be closed as *v says. */
bool expiry_renew(struct conn *c, const struct ws_message *m, struct verdict *v);

#endif
