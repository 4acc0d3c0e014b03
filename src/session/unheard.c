/*
 * unheard.c - see unheard.h.
 */
#include "session/unheard.h"

#include "base/metrics.h"
#include "config/config.h"
#include "session/conn_internal.h"
#include "session/told.h"

/* Who gets envelopes can be told without being told it as a message. */
static void tell(struct conn *c, enum reason reason)
{
	if (c->endpoint->has_room && c->admission->member.json)
		told_error(c, reason_word(reason), reason_text(reason));
}

void unheard_message(struct conn *c, enum reason reason)
{
	struct metrics_cell *cell = c->endpoint->cell;

	tell(c, reason);
	metrics_add(reason == REASON_NOT_ALLOWED ? &cell->not_allowed : &cell->rate_limited, 1);
	if (!conn_need_extra(c))
		return;
	if (c->extra->unheard++ == 0)
		entry_unheard(c, reason);
}
