/*
 * counting.h - what a connection counts for its endpoint, and how its end is counted.
 */
#ifndef SESSION_COUNTING_H
#define SESSION_COUNTING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/metrics.h"
#include "config/config.h"
#include "session/conn_internal.h"

/* So much has left. */
static inline void counting_sent(struct metrics_cell *cell, const struct link_count *n)
{
	metrics_add(&cell->messages_out, n->messages);
	/* Nearly always there is nothing else than short messages. */
	if (__builtin_expect(n->others != 0, 0))
		metrics_add(&cell->others_out, n->others);
	metrics_add_last(&cell->bytes_out, n->bytes); /* see metrics_payload_out */
}

/* The same of so many times a run, as a whole. */
static inline void counting_run(struct metrics_cell *cell, const struct link_run *r, uint64_t times)
{
	const struct link_count n = { r->messages * times, (r->len - r->http) * times,
				      r->others * times };

	counting_sent(cell, &n);
}

/* A configuration is in force, by whose endpoints is counted from now on. */
void counting_begin(struct config *config);

/* It has become open, so many microseconds after its accept. */
void counting_opened(const struct conn *c, int64_t took);
/* It goes from one endpoint's settings to another's, which it has already. */
void counting_moved(const struct conn *c, struct metrics_cell *from);
/* Whether what has not become open is then refused, and not gone by itself. */
bool counting_is_refusal(enum reason r);
/* It is dead. */
void counting_ended(const struct conn *c);

#endif
