/*
 * awaiting.h - openings that wait for somebody else to say whether they are let in.
 *
 * Whoever has to find that out asks outside of the loop, and has a number for it and nothing of the
 * connection: that may end, time out or be refused meanwhile, and then the question is cancelled. With
 * the answer all of the request is judged again from its beginning, by what is in force then.
 */
#ifndef SESSION_AWAITING_H
#define SESSION_AWAITING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/reason.h"

struct conn;

/* Nobody waits any more for the answer that has this number. */
typedef void awaiting_cancel_fn(uint64_t id);

/* What an opening has of it, zeroed at first. */
struct awaited {
	struct conn *conn; /* its own, while it waits; NULL: it does not */
	uint64_t id;
	awaiting_cancel_fn *cancel; /* NULL: the answer has come */
	enum reason why; /* and is this; NONE: it is to be judged again */
	TAILQ_ENTRY(awaited)
	entry; /* with those whose numbers are alike; or with those that are answered */
};

/* From here on c waits, which does not do so yet. Returns the number of its question, never 0. */
uint64_t awaiting_begin(struct conn *c, awaiting_cancel_fn *cancel);
/* Whether it waits. */
bool awaiting_is(const struct conn *c);
/* It does not wait any more, if it does. */
void awaiting_end(struct conn *c);

/* Who waits for that answer. NULL: nobody does any more. */
struct conn *awaiting_find(uint64_t id);
/* It has come: NONE if c, which waits for it, is to be judged again, else why it is refused. */
void awaiting_answer(struct conn *c, enum reason why);

/* The next one that has its answer, for which it does not wait then; NULL: there is none. */
struct conn *awaiting_next(enum reason *why);
bool awaiting_some_answered(void);

#endif
