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
 * Accepts on the worker's own sockets, fds has one for each listener of c, in that order, and no
 * more where c has no such listener. A socket that is taken over is -1 in fds from then on; where
 * the worker accepts already it is not needed. -1: logged; the others are accepted on.
 */
int acceptors_own(const struct config *c, int *fds) __attribute__((warn_unused_result));

/* The same for another slot, of which fds has count sockets: of listeners of c whose bit is set. */
int acceptors_for(const struct config *c, int slot, uint64_t listeners, int *fds, size_t count)
	__attribute__((warn_unused_result));

/*
 * Accepts no more on the sockets of a slot, or on any. accept_rest: but for who waits there, and
 * for good, whoever else has them: see acceptor_finish.
 */
void acceptors_end(int slot, bool accept_rest);
void acceptors_end_all(bool accept_rest);

/* Accepts for no other slot any more; what is still to be adopted the master gives anew. */
void acceptors_end_adopted(void);

#endif
