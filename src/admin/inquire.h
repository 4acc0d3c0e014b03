/*
 * inquire.h - questions to workers.
 *
 * A pair of sockets for each worker's slot, which outlives both ends. A question is one datagram,
 * and so is its answer, which repeats the question's number: one that comes late, or to who comes
 * after the one that asked, is nobody's. Nobody waits for the other without an end.
 */
#ifndef ADMIN_INQUIRE_H
#define ADMIN_INQUIRE_H

#include <jansson.h>
#include <stdint.h>

#include "session/survey.h"

struct event_base;

struct ask_question {
	uint64_t number;
	struct survey_question survey;
};

/* The array of connections follows, as JSON. */
struct ask_answer {
	uint64_t number;
	uint64_t last;
	uint32_t closed, more;
};

enum { ASK_BYTES_MAX = sizeof(struct ask_answer) + SURVEY_TEXT_MAX }; /* of an answer */

/* sockets: this end of each worker's pair, by slots; they stay the caller's. -1: no memory. */
int ask_begin(struct event_base *base, const int *sockets) __attribute__((warn_unused_result));
void ask_end(void);

/*
 * Asks the worker in a slot. told is called once, from the loop: with the answer, and with list to
 * take over; or with NULL for both, when none came in time. -1: nothing can be asked now, told is
 * not called.
 */
typedef void ask_told_fn(const struct ask_answer *a, json_t *list, void *arg);
int ask(int slot, const struct survey_question *q, ask_told_fn *told, void *arg)
	__attribute__((warn_unused_result));

#endif
