/*
 * opening.h - a connection before it is open.
 *
 * What only its opening needs is an object of its own, which is gone when it is open. Its steps,
 * one for each state, change nothing but that object and who the client is; what they return is
 * done by handshake.c.
 */
#ifndef SESSION_OPENING_H
#define SESSION_OPENING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "proto/http.h"
#include "proto/upgrade.h"
#include "session/awaiting.h"
#include "session/crowd.h"
#include "session/passwords.h"
#include "session/turn_counters.h"

struct conn;
struct listener;
struct proxy_reader;

enum opening_step {
	OPENING_WAIT, /* for more bytes, until some can be sent, or for an answer (awaiting.h) */
	OPENING_GO, /* on to the next state */
	OPENING_REFUSE, /* for the reason in *why */
	OPENING_GONE, /* the peer, or the memory; the reason says which, and nobody is answered */
};

/* A request head that has not come whole, or is to be judged once more. */
struct opening_head {
	size_t len, size;
	struct http_progress progress;
	char bytes[];
};

struct opening {
	struct listener *listener; /* that it came in by: a reference */
	struct proxy_reader *proxy; /* of a PROXY header that has not come whole; NULL: none */
	struct opening_head
		*head; /* NULL: nothing has come of it, or all; with what is behind it */
	int64_t began; /* microseconds of the monotonic clock: when it was accepted */
	bool waited; /* its request has been judged, and is again with the answer that it waits for */
	bool nameless; /* a PROXY header came that names no IP address */
	struct crowd_place place;
	struct awaited awaited;
	struct claim claim;
	struct conn *waiting; /* its connection, while that waits for time; NULL: it does not */
	TAILQ_ENTRY(opening) entry; /* among those that wait so */
	struct turn_wait wait;
	struct opening *next; /* of those that no connection has */
};

/* A request that has come whole, while it is looked at. */
struct opening_request {
	struct http_head head;
	struct upgrade up; /* with path "" until that is known */
	uint8_t *rest, *end; /* what came behind the head */
};

/* Makes c's. False: no memory. l: a reference is taken. */
bool opening_begin(struct conn *c, struct listener *l);
/* Ends it, if it is there. */
void opening_end(struct conn *c);
void opening_fini(void);

/* PROXY: reads its header from the socket. */
enum opening_step opening_read_proxy(struct conn *c, struct refusal *why);

/* TLS: begins the handshake, or goes on with it. */
enum opening_step opening_read_tls(struct conn *c, struct refusal *why);
/*
 * Queues c, whose handshake can go on, until there is time for it. False: it has waited already.
 * The next one, taken out of the queue, and NULL where there is none; whether there is one.
 */
bool opening_wait(struct conn *c);
struct conn *opening_next(void);
bool opening_some_wait(void);
/* Takes it out of the queue, if it is there. */
void opening_wait_no_more(struct opening *o);

/*
 * UPGRADE: takes the next bytes of the head. GO: rq has it whole, and who the client is is known;
 * its views, and what lies behind it, are in p or in the head that was gathered. On REFUSE rq->up
 * has path and method as far as they are known.
 */
enum opening_step opening_read_head(struct conn *c, uint8_t *p, uint8_t *end,
				    struct opening_request *rq, struct refusal *why);
/* The same of one that was kept while c waited. REFUSE: that cannot be, for it was good. */
enum opening_step opening_read_again(struct conn *c, struct opening_request *rq,
				     struct refusal *why);
/*
 * Keeps the request in the opening, with what is behind it, if it is not there yet; p: as of
 * opening_read_head. False: no memory.
 */
bool opening_keep(struct conn *c, const uint8_t *p, const struct opening_request *rq);
/* The head as it was gathered is the caller's from here on, to be freed so; NULL: it was not. */
struct opening_head *opening_take_head(struct conn *c);
void opening_free_head(struct opening_head *head);
/* Its endpoint is where that leads in the configuration of now, or none. */
void opening_route(struct conn *c, const struct upgrade *up);

/* What is known of a head that will not come whole. */
void opening_peek(const struct conn *c, struct upgrade *up);

/* ADMIT: whether the request may have what it asks for; c gets its endpoint, and all it needs. */
enum opening_step opening_admit(struct conn *c, struct opening_request *rq, struct refusal *why);

/*
 * The subprotocol that the client and c's endpoint agree on. NULL: none. The second is what the answer
 * says: without one browsers take it for refused, also where they asked for some to show a token only.
 */
const char *opening_subprotocol(const struct conn *c, const struct http_head *h);
const char *opening_answered(const struct conn *c, const struct http_head *h);

#endif
