/*
 * accept.h - the sockets on which this worker accepts: its own, and those that it has adopted,
 * which are another slot's.
 *
 * A listener is an address in the configuration, a socket what is open for it in one slot.
 */
#ifndef PROCESS_ACCEPT_H
#define PROCESS_ACCEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct event_base;
struct tickets;

/* Once, ahead of all else; slot is this worker's. */
void accept_begin(struct event_base *base, int slot, const struct tickets *tickets);

/*
 * Accepts on the worker's own sockets, one for each listener of c in that order, and no more on
 * those that c does not have. -1 takes the place of an fd that is taken over; the others are not
 * needed. -1: logged; the others are accepted on.
 */
int accept_on(const struct config *c, int *fds) __attribute__((warn_unused_result));

/* The same for a slot, with count sockets of those listeners of c whose bit is set. */
int accept_for(const struct config *c, int slot, uint64_t listeners, int *fds, size_t count)
	__attribute__((warn_unused_result));

/*
 * Accepts no more on the sockets of a slot, or on any. accept_rest: but for who waits there, and
 * for good, whoever else has them: see acceptor_finish.
 */
void accept_end(int slot, bool accept_rest);
void accept_end_all(bool accept_rest);

/* Of the old configuration; what is still to be adopted the master gives anew. */
void accept_drop_adopted(void);

#endif
