/*
 * unheard.c - see unheard.h.
 */
#include "session/unheard.h"

#include "base/metrics.h"
#include "config/config.h"
#include "session/conn_internal.h"

void unheard_message(struct conn *c, enum reason reason)
{
	struct metrics_cell *cell = c->endpoint->cell;

	metrics_add(reason == REASON_NOT_ALLOWED ? &cell->not_allowed : &cell->rate_limited, 1);
	if (!conn_need_extra(c))
		return;
	if (c->extra->unheard++ == 0)
		entry_unheard(c, reason);
}
