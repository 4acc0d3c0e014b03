/*
 * counting.c - see counting.h.
 *
 * A connection is counted as open, or as what became of its opening, at the same moment at which it
 * is no more what it was: what was accepted is at any time what is opening, what was opened,
 * refused or abandoned, and what asked for health alone; what was opened is open or closed.
 */
#include "session/counting.h"

#include "session/session.h"

void counting_begin(struct config *config)
{
	metrics_cell_begin(session.metrics, METRICS_OTHER);
	for (size_t i = 0; i < config->endpoint_count; i++) {
		struct config_endpoint *e = &config->endpoints[i];
		unsigned label = metrics_label_of(session.metrics, e->path);

		metrics_cell_begin(session.metrics, label);
		e->cell = &metrics_cells[label];
	}
}

void counting_opened(const struct conn *c, int64_t took)
{
	metrics_time(&session.row->handshake, (uint64_t)took);
	metrics_add(&c->endpoint->cell->open, 1);
	metrics_add(&c->endpoint->cell->opened, 1);
}

void counting_moved(const struct conn *c, struct metrics_cell *from)
{
	metrics_add(&from->open, UINT64_MAX);
	metrics_add(&c->endpoint->cell->open, 1);
}

/* One that nobody refused has gone by itself, such as a check whether the port answers. */
bool counting_is_refusal(enum reason r)
{
	return r != REASON_HEALTH_CHECK && r != REASON_PEER_GONE && r != REASON_RESET;
}

static void count_unopened(const struct conn *c)
{
	if (c->reason == REASON_HEALTH_CHECK) {
		metrics_add(&session.row->health_checks, 1);
	} else if (!counting_is_refusal(c->reason)) {
		metrics_add(&session.row->abandoned, 1);
	} else {
		metrics_add(&session.row->refused[c->reason], 1);
		if (c->endpoint)
			metrics_add(&c->endpoint->cell->refused, 1);
	}
}

void counting_ended(const struct conn *c)
{
	if (c->opening) {
		count_unopened(c);
		return;
	}
	metrics_add(&c->endpoint->cell->open, UINT64_MAX);
	metrics_add(&session.row->ends[metrics_code(conn_close_code(c))][c->reason], 1);
}
