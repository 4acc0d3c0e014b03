/*
 * shared.h - what the master shares with all of its children, and what outlives each of them.
 */
#ifndef PROCESS_SHARED_H
#define PROCESS_SHARED_H

#include <stdbool.h>

#include "base/segment.h"
#include "bus/bus.h"

struct board;
struct chronicle;
struct config;
struct meters;
struct metrics;
struct orders;
struct tally;
struct tickets;

/* To be read by all of the master; written by shared.c. */
struct shared {
	struct segment counted, told, kept; /* the memory of metrics, board and chronicle */
	struct metrics *metrics;
	struct board *board; /* written by posted.c */
	struct chronicle *chronicle;
	struct tally *tally; /* of connections */
	struct meters *meters; /* of addresses that ask */
	struct orders *orders; /* of workers to each other */
	struct tickets *tickets;
	struct bus *bus;
	bool bus_condemned; /* it is damaged; those who have it end, and then there is another */
	struct bus_limits limits; /* of the bus; those of the start */
	int wakeups[SLOTS]; /* eventfds, one for each place on the bus */
	/* pairs between the admin process and each worker: the ends of it, and theirs */
	int askers[SLOTS_WORKERS], asked[SLOTS_WORKERS];
};

extern struct shared shared;

/* Makes all of it, before the first fork. -1: logged. */
int shared_make(const struct config *c) __attribute__((warn_unused_result));

/* The bus is damaged, and of no use to anybody any more. */
void shared_condemn_bus(void);

/* A new bus in place of that, when no child has it any more. -1: there is no memory. */
int shared_renew_bus(const struct config *c) __attribute__((warn_unused_result));

/* With every tick: notes how the master is; has session tickets sealed with new keys from time to time. */
void shared_tick(void);

void shared_free(void);

#endif
