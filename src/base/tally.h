/*
 * tally.h - how often each key is there, counted over all processes.
 *
 * A process counts a key up to a limit that holds for all of them together, however many ask at the
 * same moment; nobody waits for a lock. What a process has counted is known to be its own, so that
 * whoever outlives it, wherever it ended, can take that out again.
 */
#ifndef BASE_TALLY_H
#define BASE_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	TALLY_MOST = 1 << 24, /* the highest limit */
	TALLY_BYTES = 32, /* of memory, for each place */
	TALLY_PLACES_MAX = 1 << 23,
};

struct tally;

struct tally_key {
	uint64_t of[2];
};

enum tally_answer {
	TALLY_COUNTED,
	TALLY_OVER, /* it is there that often already */
	TALLY_FULL, /* there is no place for it */
};

/*
 * Makes one, empty, to be shared with children to be forked. places: how many there are at least
 * (up to TALLY_PLACES_MAX); each key takes one for each process that has counted it. Their memory
 * is touched as they are used. Keys find their places by a secret; while no more than half of
 * all are taken it is all but impossible that one finds none. NULL: errno is set.
 */
struct tally *tally_new(size_t places);
void tally_free(struct tally *t); /* here alone; NULL: nothing */

/* This process counts for a slot (0..SLOTS-1) from now on, as no other does. */
void tally_use(struct tally *t, int slot);

/*
 * Counts k once more, unless it is there most times (1..TALLY_MOST) already, the processes that
 * ask at this moment included: at the limit, those of lower slots are answered first. Who meets one
 * that stands still while it asks, takes that one for counted after 2 ms, and for the next 40 ms
 * at once.
 */
enum tally_answer tally_take(struct tally *t, const struct tally_key *k, uint32_t most)
	__attribute__((warn_unused_result));

/* The same without a limit. False: there is no place. */
bool tally_add(struct tally *t, const struct tally_key *k) __attribute__((warn_unused_result));

/* Takes one back that this process has counted. */
void tally_give_back(struct tally *t, const struct tally_key *k);

/*
 * A number that this process says of k, which it has counted, for others to compare; at first, and with 0,
 * it says none.
 */
void tally_mark(struct tally *t, const struct tally_key *k, uint64_t mark);

/* The slot whose mark of k is the lowest. -1: nobody has said any. */
int tally_lowest(const struct tally *t, const struct tally_key *k);

/* How often k is there. */
uint64_t tally_count(const struct tally *t, const struct tally_key *k);

/*
 * The key of a name: of 128 bits, by a secret of t's and of all who share it, so that nobody chooses
 * two names that meet, nor one that meets another key.
 */
struct tally_key tally_key_of(const struct tally *t, const void *name, size_t len);

/* How many places are taken: looks at all. */
size_t tally_places_taken(const struct tally *t);

/* Takes out all that a slot has counted, whose process is gone: by stores alone, at any time. */
void tally_clear_slot(struct tally *t, int slot);

#endif
