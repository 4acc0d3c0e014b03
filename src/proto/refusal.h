/*
 * refusal.h - why a request is refused, and what is particular to this one.
 */
#ifndef PROTO_REFUSAL_H
#define PROTO_REFUSAL_H

#include <stdbool.h>

#include "base/reason.h"

enum { REFUSAL_TEXT_MAX = 192, REFUSAL_DETAIL_MAX = 256 };

struct refusal {
	enum reason reason;
	bool bearer, basic; /* of 401, what may be sent: a token; a user and a password */
	const char *allow; /* of METHOD_NOT_ALLOWED: what there is; NULL: GET */
	unsigned retry_after; /* seconds; 0: as the reason has it */
	char text[REFUSAL_TEXT_MAX]; /* a sentence; "": that of the reason */
	char detail
		[REFUSAL_DETAIL_MAX]; /* the same for the log, which may know more; "": it does not */
};

/*
 * Sets both. What the peer sent may be in the text only where it was found to be a token.
 * Returns -1, for who fails with it.
 */
int refusal_set(struct refusal *r, enum reason reason, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same with the reason's own sentence. */
int refusal_plain(struct refusal *r, enum reason reason);

/* Adds what the log alone is told. */
void refusal_explain(struct refusal *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What the client is told, and the log. */
const char *refusal_text(const struct refusal *r);
const char *refusal_detail(const struct refusal *r);

#endif
