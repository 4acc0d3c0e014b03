/*
 * replay.h - what a new member gets of what its room keeps: the last messages, or all since a
 * position that it names in the query of its request (?since=POSITION, ?replay=COUNT).
 *
 * It is copied at the door, at the moment at which c becomes a member, so that nothing is missing
 * between it and what is live, and what is promised is true whatever is overwritten meanwhile. From
 * there to replay_send nobody else's turn comes.
 *
 * A member may ask for the same at any time (requests.h). That is an answer, of which nothing is
 * dropped by policy.
 */
#ifndef SESSION_REPLAY_H
#define SESSION_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/position.h"
#include "proto/http.h"

struct conn;
struct refusal;

enum { REPLAY_HEADERS_MAX = 128 };

/* What a client wants of the past. */
struct replay_wish {
	bool since, counts; /* it names a position, or how many */
	struct bus_position position;
	uint32_t count;
};

/*
 * Reads it from a target. Where c's endpoint keeps nothing a query means nothing to us. False: *why
 * says what is wrong.
 */
bool replay_read(const struct conn *c, struct http_text target, struct replay_wish *w,
		 struct refusal *why);

/* Copies it for c, which has just become a member of its room. */
void replay_take(const struct conn *c, const struct replay_wish *w);
/* The same for a member whose endpoint keeps messages, up to now, as the answer to a request. */
void replay_take_answer(const struct conn *c, const struct replay_wish *w);
/* What was copied last is nobody's. */
void replay_forget(void);
void replay_fini(void);

/*
 * What was copied for c. The member is up to date with `newest`; it gets what is behind `from`; with
 * `asked` it named a position, and recovered says whether it misses nothing since then.
 */
struct replay {
	uint64_t newest, from;
	bool asked, recovered;
	bool answer;
	uint32_t messages; /* that replay_send will send */
};
/* False: nothing was, for its endpoint keeps nothing. */
bool replay_of(const struct conn *c, struct replay *r);

/* Writes that as lines of the answer to its request; "" if there is nothing. Returns the length. */
size_t replay_write_headers(const struct conn *c, char out[REPLAY_HEADERS_MAX]);

/* Sends what was copied for c, which is open, and forgets it. */
void replay_send(struct conn *c);

#endif
