/*
 * slots.h - the places that processes have in what they share.
 *
 * One number for the bus, the counters and the control pairs: whoever has a place has it in all of
 * them.
 */
#ifndef BASE_SLOTS_H
#define BASE_SLOTS_H

enum {
	SLOTS = 64,
	/* Workers have the first of them; the rest are for roles that one process has at a time. */
	SLOTS_WORKERS = 60,
	SLOT_ADMIN = SLOTS_WORKERS,
};

_Static_assert(SLOT_ADMIN < SLOTS && SLOTS <= 64, "a set of places is a word of 64 bits");

#endif
