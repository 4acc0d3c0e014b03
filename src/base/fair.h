/*
 * fair.h - a line in which those wait whose turn is by where they come from: one of each, and then one of
 * each again, however many one of them sends.
 *
 * It is bounded. Where it is full, whoever would have to wait longest has to go: so who sends many takes
 * places from himself.
 */
#ifndef BASE_FAIR_H
#define BASE_FAIR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

enum { FAIR_MOST = 128, FAIR_MOST_OF_ONE = 16 };

/* Within what waits; id and from are the caller's. */
struct fair_entry {
	uint64_t id;
	uint64_t
		from; /* an address, as a number; 0: one of those that have none, who share a turn */
	uint64_t turn;
	TAILQ_ENTRY(fair_entry) entry;
};

struct fair {
	TAILQ_HEAD(fair_list, fair_entry) list; /* by turn, then as they came */
	unsigned count;
	uint64_t turn; /* of the last one that was taken */
};

void fair_init(struct fair *f);

/*
 * Puts e in. False: there is no place for it, or there are FAIR_MOST_OF_ONE of its address already.
 * *displaced: who has lost his place to it; NULL: nobody.
 */
bool fair_add(struct fair *f, struct fair_entry *e, struct fair_entry **displaced);

/* Takes out whose turn it is, and one by its id; NULL: there is none. */
struct fair_entry *fair_take(struct fair *f);
struct fair_entry *fair_remove(struct fair *f, uint64_t id);

#endif
