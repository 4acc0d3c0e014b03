/*
 * unheard.c - see unheard.h.
 */
#include "session/unheard.h"

#include "base/metrics.h"
#include "config/config.h"
#include "session/conn_internal.h"

void unheard_message(struct conn *c, enum reason reason)
{
	metrics_add(&c->endpoint->cell->not_allowed, 1);
	if (!conn_need_extra(c))
		return;
	if (c->extra->unheard++ == 0)
		entry_unheard(c, reason);
}
