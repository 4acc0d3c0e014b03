/*
 * refusal.h - why a request is refused, and what is particular to this one.
 */
#ifndef PROTO_REFUSAL_H
#define PROTO_REFUSAL_H

#include "base/reason.h"

enum { REFUSAL_TEXT_MAX = 192 };

struct refusal {
	enum reason reason;
	const char *allow; /* of METHOD_NOT_ALLOWED: what there is; NULL: GET */
	unsigned retry_after; /* seconds; 0: as the reason has it */
	char text[REFUSAL_TEXT_MAX]; /* a sentence; "": that of the reason */
};

/*
 * Sets both. What the peer sent may be in the text only where it was found to be a token.
 * Returns -1, for who fails with it.
 */
int refusal_set(struct refusal *r, enum reason reason, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same with the reason's own sentence. */
int refusal_plain(struct refusal *r, enum reason reason);

const char *refusal_text(const struct refusal *r);

#endif
