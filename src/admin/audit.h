/*
 * audit.h - what the log has of those who ask: who did what, and who was not let in.
 */
#ifndef ADMIN_AUDIT_H
#define ADMIN_AUDIT_H

#include "admin/caller.h"

struct request;

/* Something is done for who asks, because of that right. */
void audit_done(const struct request *r, enum right right);

/* A stranger was sent away. Anybody can cause that: it is counted, and some are logged. */
void audit_stranger(const struct request *r);

/* The same of one that was not read to its end, by the descriptor of its connection. */
void audit_cut(int fd);

/* -1: no memory. */
int audit_begin(void);
void audit_end(void);

#endif
