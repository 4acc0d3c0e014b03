/*
 * account.h - how much memory this process keeps for its peers: what is to be sent to them, what
 * has come in part, what waits. Who takes such memory says so, by what it asked for.
 */
#ifndef BASE_ACCOUNT_H
#define BASE_ACCOUNT_H

#include <stddef.h>

/* Bytes. Only to be read but by the following. */
extern size_t account_bytes;

static inline void account_take(size_t n)
{
	account_bytes += n;
}

static inline void account_give(size_t n)
{
	account_bytes -= n;
}

#endif
