/*
 * rates.h - how fast counters grow, from one look to the next.
 */
#ifndef CTL_RATES_H
#define CTL_RATES_H

#include <jansson.h>

/* The member that is added to a row, and the counter that it is the rate of. */
struct rate {
	const char *name, *counter;
};

struct rates {
	json_t *before; /* rows of the last look by their name; NULL: there was none */
	double at; /* when that was, in seconds */
};

/*
 * Adds to each of the rows, an array of objects that have a name by that key, how much its counters
 * grew a second since the last look, and remembers them. list: up to the first without a name. now:
 * seconds of a clock that never goes back. What was not there before, or was reset, gets no rate.
 */
void rates_add(struct rates *r, json_t *rows, const char *key, const struct rate *list, double now);
void rates_free(struct rates *r);

/* Puts rows in order: the largest number by that key first, or texts by the alphabet. */
void rates_sort(json_t *rows, const char *key);

#endif
