/*
 * verifier.h - a thread that finds out whether passwords are right, for a loop that cannot wait for it.
 *
 * To check one takes up to a second, and is meant to. The thread has copies of what it needs, and knows
 * of nobody who asks; its answers lie ready until they are fetched. What waits for it does so in a line
 * (fair.h).
 */
#ifndef BASE_VERIFIER_H
#define BASE_VERIFIER_H

#include <stdbool.h>
#include <stdint.h>

enum { VERIFIER_PASSWORD_MAX = 256, VERIFIER_HASH_MAX = 140 };

struct verifier;

struct verifier_question {
	uint64_t id; /* what its answer is known by */
	uint64_t from; /* see fair_entry */
	const char *password, *hash; /* of at most so many bytes; lent */
};

enum verifier_verdict {
	VERIFIER_RIGHT,
	VERIFIER_WRONG,
	VERIFIER_DISPLACED, /* it was not looked at, for others came who have waited less */
	VERIFIER_FAILED, /* there is no memory for it, or nothing that knows this kind of hash */
};

struct verifier_answer {
	uint64_t id;
	enum verifier_verdict verdict;
};

/* Starts the thread. NULL, with errno: it cannot be started. */
struct verifier *verifier_new(void);

/*
 * Ends it, and what waits. One that is at work is left to itself: what it has it frees when it is through
 * or the process ends.
 */
void verifier_free(struct verifier *v);

/* Asks. False: too many wait already, or there is no memory. */
bool verifier_ask(struct verifier *v, const struct verifier_question *q);

/* Nobody wants to know any more. There may be an answer in spite of it. */
void verifier_cancel(struct verifier *v, uint64_t id);

/* Can be read as long as there are answers, which is for who waits for them alone to do. */
int verifier_fd(const struct verifier *v);

/* Fetches one. False: there is none. */
bool verifier_answer(struct verifier *v, struct verifier_answer *a);

/* How many wait. */
unsigned verifier_waiting(struct verifier *v);

#endif
