/*
 * orders.h - what processes ask of each other: a few words, left with the slot of the other.
 *
 * Nobody waits for a lock. Each slot has room for ORDERS_MOST; they are not in order. One is there whole or
 * not at all, wherever its author dies. Its first words say about what it is: of two about the same, left
 * with the same slot, the second is not needed.
 */
#ifndef BASE_ORDERS_H
#define BASE_ORDERS_H

#include <stdbool.h>
#include <stdint.h>

enum { ORDERS_MOST = 64, ORDERS_WORDS = 4, ORDERS_ABOUT = 2 };

struct orders;

struct order {
	uint64_t of[ORDERS_WORDS];
};

/* Makes one, empty, to be shared with children to be forked. NULL: errno is set. */
struct orders *orders_new(void);
void orders_free(struct orders *o); /* here alone; NULL: nothing */

/* This process is that of a slot (0..SLOTS-1), as no other is. */
void orders_use(struct orders *o, int slot);

/*
 * Leaves one with a slot, perhaps the own, unless one about the same is there; it is for the caller to wake
 * it. Whoever takes that one sees all that the caller has stored before (sequentially consistent). False:
 * there is no room.
 */
bool orders_leave(struct orders *o, int slot, const struct order *what)
	__attribute__((warn_unused_result));

/* Whether some may be left with this process; and takes one. False: there is none. */
bool orders_are_there(const struct orders *o);
bool orders_take(struct orders *o, struct order *what);

/* A slot's process is gone: what was left with it is, too, and what it has only begun to leave. */
void orders_clear_slot(struct orders *o, int slot);

#endif
