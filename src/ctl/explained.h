/*
 * explained.h - what is wrong with a JSON Web Token, by a configuration and its keys: offline.
 */
#ifndef CTL_EXPLAINED_H
#define CTL_EXPLAINED_H

struct arguments;

/* token check FILE: the daemon's program says it. Returns the exit status. */
int explained_token(const struct arguments *a);

#endif
