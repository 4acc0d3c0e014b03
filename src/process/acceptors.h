/*
 * acceptors.h - where this worker accepts: on its slot's own sockets, and on those of slots that it
 * has adopted.
 *
 * Three words: a listener is an address in the configuration, a socket what is open for it in one
 * slot, an acceptor what takes connections off a socket.
 */
#ifndef PROCESS_ACCEPTORS_H
#define PROCESS_ACCEPTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct event_base;
struct tickets;

/* Once, ahead of all else; slot is this worker's. */
void acceptors_begin(struct event_base *base, int slot, const struct tickets *tickets);

/*
 * Makes what the listeners of c need, for acceptors_own, or takes that back. -1: *why says which of
 * them cannot be had, and all is as before; lent until the next call.
 */
int acceptors_prepare(const struct config *c, const char **why) __attribute__((warn_unused_result));
void acceptors_unprepare(void);

/*
 * Accepts on the worker's own sockets, fds has one for each listener of c, in that order, and no
 * more where c has no such listener. A socket that is taken over is -1 in fds from then on; where
 * the worker accepts already it is not needed. -1: logged; the others are accepted on.
 */
int acceptors_own(const struct config *c, int *fds) __attribute__((warn_unused_result));

/* The same for another slot, of which fds has count sockets: of listeners of c whose bit is set. */
int acceptors_for(const struct config *c, int slot, uint64_t listeners, int *fds, size_t count)
	__attribute__((warn_unused_result));

/* Accepts no more on the worker's own sockets, for c has no need of it: for good, as below. */
void acceptors_retire(const struct config *c);

/*
 * Accepts no more on the sockets of a slot. for_good: nobody does, whoever else has them, but for who waits
 * there and who is about to: see ACCEPTOR_MAKES_WAY.
 */
void acceptors_end(int slot, bool for_good);
/* Accepts no more on any; for good, but for who waits there, in this loop turn and the next ones. */
void acceptors_end_all(void);
void acceptors_shut_all(void);
/* Whether some of those who wait, or are about to, are still to be accepted. */
bool acceptors_accept_rest(void);

/* Accepts for no other slot any more; what is still to be adopted the master gives anew. */
void acceptors_end_adopted(void);

#endif
