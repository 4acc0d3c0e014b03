/*
 * drain.h - connections are let go at a pace, so that they do not all come back at once.
 *
 * A drain has a span of time, over which it closes its connections one by one, in an order; what is
 * left at the end of the span is closed at once. There is one of each set (leaving.h) at a time.
 * Where the span is not 0 the text of the close frame ends with " retry-after=12.4s": when the client
 * had better come back, by chance within a span of the same length.
 */
#ifndef SESSION_DRAIN_H
#define SESSION_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/reason.h"
#include "session/leaving.h"
#include "session/session.h"

struct conn;

enum { DRAIN_ALL_OF_THEM = UINT32_MAX };

struct drain_plan {
	int64_t over; /* ms; 0: at once */
	enum leaving_order order;
	uint32_t most; /* so many, DRAIN_ALL_OF_THEM: all */
	uint16_t code; /* of the close frame */
	enum reason reason;
	const char *endpoint; /* path, lent; NULL: any */
	session_drained_fn
		*told; /* called once when it has ended, unless another takes its place */
};

/*
 * Begins one, in place of that of the same set; in the next turns all open connections are looked
 * at whether it is for them.
 */
void drain_begin(enum leaving_set set, const struct drain_plan *p);

/* The same with connections that others find, until drain_offered. One that is under way goes on. */
void drain_open(enum leaving_set set, const struct drain_plan *p);
/* c is to be let go, mark as in leaving.h. */
void drain_offer(enum leaving_set set, struct conn *c, uint64_t mark);
void drain_offered(enum leaving_set set);

/* There is none. */
void drain_init(void);

/* Ends it, and its connections stay. */
void drain_cancel(enum leaving_set set);

/* Once per tick: how many are to go now. */
void drain_tick(void);

/* A chore: closes those. Returns whether more is to be done at once. */
bool drain_go_on(void);

#endif
