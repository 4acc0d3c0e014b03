/*
 * conn_internal.h - a connection as the files of src/session share it.
 *
 * From what is below to what is above; who is below returns what it found, and who is above acts:
 *
 *	common.c, turn.c, belongings.c	the clock; how long a turn is; what belongs to a connection
 *				and lies elsewhere
 *	awaiting.c		which openings wait for an answer from elsewhere
 *	network.c		what limits count as one address
 *	gap.c, chunk.c, unsent.c	memory for what waits, shared by several; its order
 *	link.c, timer.c		its bytes on the way out; when it is to be looked at
 *	crowd.c			whose the openings are
 *	seats.c, quota.c	the connections of a user; how many an address, a user, an endpoint has
 *	attempts.c		how often an address asks, and fails
 *	client.c, entry.c, counting.c, noted.c	who is at the other end; what the log is told, what is
 *				counted, what is kept of it
 *	jwt_holder.c, certified.c, remembered.c, passwords.c, access.c	whether he may be
 *				there
 *	uncompressed.c, compress.c, output.c	frames out
 *	told.c, texts.c, unheard.c	what a client is told by us, and by settings with its values; what
 *				it says and may not
 *	envelope.c, rendition.c, edition.c, backlog.c	what a message, and a batch, is to members of
 *				each kind; what they are still to get
 *	attendance.c, announced.c	who is in a room, and what of it its members were told
 *	registry.c, park.c	who is in which room; input that waits
 *	leaving.c		who is to be let go, in which order
 *	replay.c, joined.c	what a new member gets of the past, and is told of its room
 *	request_text.c, requests.c	what a member asks us
 *	expiry.c		that what it came by is over, or is renewed
 *	entering.c, late.c	that it is let in, at the door or by its first message
 *	memory.c		who goes where all together keep too much
 *	input.c			frames in
 *	opening.c, opening_tls.c, admit.c	the steps ahead of OPEN
 *	conn.c			its life: states, closing, the end
 *	frames.c, handshake.c, events.c	what happens to it: bytes, time
 *	drain.c			who is let go, and when
 *	delivery.c, membership.c	from the log to the members of rooms
 *	announcing.c		that others come and go
 *	session.c		all of them at once
 *
 * No file calls one below it in this list, and no two each other: tests/lint/circles.sh.
 */
#ifndef SESSION_CONN_INTERNAL_H
#define SESSION_CONN_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "base/bucket.h"
#include "base/buffer.h"
#include "base/debt.h"
#include "base/log.h"
#include "base/rate.h"
#include "base/reason.h"
#include "bus/bus.h"
#include "config/config.h"
#include "net/peer.h"
#include "proto/frame.h"
#include "proto/json.h"
#include "session/compress.h"
#include "session/conn.h"
#include "session/link.h"
#include "session/memory.h"
#include "session/registry.h"

struct config_endpoint;
struct counted;
struct conn_late;
struct conn_parked;
struct jwt_kept;
struct listener;
struct opening;
struct seat;
struct verdict;

/*
 * Only conn_set_state writes it. What is awaited in each: PROXY: its header. TLS: the handshake.
 * UPGRADE: the request head. ADMIT: that somebody lets it in. OPEN: messages. CLOSING: the peer's close frame; ours is out.
 * ENDING: that our last bytes leave, and behind them our direction ends; then, that the peer ends
 * its own. DEAD: conn_reap, after the loop turn.
 */
enum conn_state {
	CONN_PROXY,
	CONN_TLS,
	CONN_UPGRADE,
	CONN_ADMIT,
	CONN_OPEN,
	CONN_CLOSING,
	CONN_ENDING,
	CONN_DEAD
};

/* What a connection is counted by. */
struct counted_as {
	uint64_t network; /* its address, as limits have it */
	uint64_t endpoint; /* the key of its endpoint */
};

/* What few connections need. */
struct conn_extra {
	struct net_peer proxy; /* who speaks for the client, family 0: nobody */
	char *client; /* who it is by its certificate; NULL: it has shown none */
	uint64_t dropped; /* messages (slow_consumer) */
	struct rate rate; /* of its messages, */
	struct debt debt; /* and of their bytes (bandwidth) */
	uint64_t unheard; /* messages of its own that were not taken */
	uint8_t counted; /* bits, see quota.c */
	struct counted_as counted_as; /* where any is set */
	uint8_t over; /* those of its user that it was let in over */
	struct seat *seats; /* of quota.c: one for each count of users; NULL: not needed */
	struct bucket lines; /* of its behaviour, in the log */
	struct memory_entry memory; /* it keeps more than a little */
	struct config_text text; /* conn_kept_text, counted; data NULL: there is none */
	struct conn_late *late; /* it is still to say who it is; NULL: it is not */
	struct conn_parked *parked; /* a message or text, the input behind it; NULL: none */
	uint64_t taken, sent; /* see uptake.h, when a ping's answer was due last, and then first: */
	uint32_t taken_at; /* at that tick, the last time; 0: never */
};

/* Who somebody is, and by what: a reload asks whether that still holds. */
struct identity {
	const char *user; /* of at most CONFIG_USER_MAX bytes */
	bool certified; /* it is a name of the client's certificate */
	uint8_t token[CONFIG_TOKEN_HASH]; /* its hash; or that of a user's line */
	struct jwt_kept *jwt; /* of a JSON Web Token, its own; NULL: there was none */
};

/* As what it was let in. */
struct admission {
	struct room_member member;
	/*
	 * Where its path led, which is the name of its room, kept here, too; NULL: its endpoint has neither
	 * rooms nor placeholders, and the path is the endpoint's.
	 */
	const char *name;
	const struct identity *who; /* kept here, too; NULL: nobody knows */
	max_align_t state[]; /* the behaviour's */
};

enum ping_state { PING_NONE, PING_AWAITED, PING_ANSWERED };

/*
 * Bytes that wait, and what bounds them:
 *
 *	opening->head		a request whose head is not whole: max_head; or, of those that wait for
 *				an answer, one read
 *	decoder			a message that is not whole, and its window: max_message
 *	extra->parked		one message that the bus has no space for, or is being checked, and
 *				what was not dealt with of one read
 *	link			what the socket did not take: max_pending, and one message; for
 *				clients that read slowly
 *	link, gathered		what one loop turn makes for it: shared by all of a worker
 *	deflate->waiting	what is to be compressed for it, with takeover or because it is long:
 *				max_pending, and one delivery; kept once for all members of a room
 *
 * What a message touches lies together: first what one that goes out does, then what one that
 * comes in does. In a large room each of its members' cache lines is a cold one.
 */
struct conn {
	struct link link;
	struct conn_deflate *deflate; /* NULL: messages are not compressed */
	uint32_t
		last_data; /* tick of the last data message either way, or of some of it that left */
	uint8_t state_now; /* enum conn_state */
	uint8_t reason; /* enum reason */
	uint16_t code : 13; /* close code, 0: none yet */
	uint16_t ping_state : 2; /* enum ping_state: of the last one */
	uint16_t parked : 1; /* extra->parked waits: for space in the bus, or for the next turn */

	struct ws_decoder decoder;
	const struct config_endpoint *endpoint; /* NULL before it is open; holds its snapshot */
	struct admission *admission; /* NULL: it is not open yet, or has no name and no state */
	uint64_t id;
	uint64_t messages_in, bytes_in;
	uint32_t last_rx; /* tick of the last sign of life: a byte, or pending ones that went */

	uint32_t deadline; /* when conn_timer looks at it next */
	TAILQ_ENTRY(conn) entry; /* in the timing wheel, or among the dead */
	struct opening *opening; /* NULL: it is open, or was */
	struct conn_extra *extra; /* NULL: nothing of it is needed yet */
	uint32_t mark; /* tick: of accept (ahead of OPEN), the last ping (OPEN), the closing */
	uint32_t opened; /* milliseconds of the monotonic clock, modulo 49 days */
	uint32_t ping; /* microseconds: when it left (its token), or took, if PING_ANSWERED */
	struct net_peer peer;
};

/* belongings.c */
/* A connection keeps the snapshot of its endpoint alive. */
void conn_set_endpoint(struct conn *c, const struct config_endpoint *e);
/*
 * Makes c's admission to an endpoint, by a path that led there (config_route), of somebody (NULL: nobody
 * knows), with state for its behaviour; where nothing is needed none is made. One that has been let in
 * keeps the admission that it has, and who it is, but for a name that it had no use for at an endpoint
 * before. False: no memory.
 */
bool conn_admit(struct conn *c, const struct config_endpoint *e, const char *name,
		const struct identity *who);
/* Whether it has come by a JSON Web Token, and is where one is asked for. Replaces what is kept of it. */
bool conn_has_jwt(const struct conn *c);
void conn_set_jwt(struct conn *c, struct jwt_kept *kept);
/* Whether it is open and is still to say who it is (late.h): it has no admission. */
static inline bool conn_is_late(const struct conn *c)
{
	return c->extra && c->extra->late;
}
/* Of one who is not let in: what is kept of him. He is nobody then. */
void identity_end(struct identity *who);
/* The path that it came by, as it matched. It is open, or was. */
const char *conn_name(const struct conn *c);
/* Who it is: text without control characters, of at most CONFIG_USER_MAX bytes. NULL: nobody knows. */
const char *conn_user(const struct conn *c);
/* Its path where that is the name of a room that it may be in; NULL: it is not. */
const char *conn_room(const struct conn *c);
/* Makes c->extra if it is not there. NULL: no memory. */
struct conn_extra *conn_need_extra(struct conn *c);
/* Replaces the text that it keeps, by one that it then owns: data of malloc, or NULL. It has extra. */
void conn_set_text(struct conn *c, struct config_text text);
void conn_free_belongings(struct conn *c);

/* conn.c */
void conn_set_state(struct conn *c, enum conn_state to);
/* Makes one that is about to begin, by a descriptor that it takes over. NULL: no memory. */
struct conn *conn_new(int fd, const struct net_peer *peer, struct listener *l,
		      event_callback_fn cb);
/* What is done with its bytes. */
enum conn_input {
	READ_NOT, /* they stay where they are */
	READ_PROXY,
	READ_TLS, /* by OpenSSL, unless it has to write first */
	READ_HEAD,
	READ_FRAMES,
	READ_CLOSE, /* frames, of which only the close frame counts */
	READ_NOTHING, /* they are thrown away, up to the end */
};
enum conn_input conn_input(const struct conn *c);
/* Ends it without another word; it is freed by conn_reap. */
void conn_kill(struct conn *c, enum reason reason);
/* Sends a close frame and waits for the peer's; nothing happens unless it is OPEN. */
void conn_close(struct conn *c, int code, enum reason reason, const char *text, size_t len);
void conn_close_word(struct conn *c, int code, enum reason reason);
/* The same with 1013, and what is pending is forgotten. */
void conn_close_slow(struct conn *c, enum reason reason);
/* Nothing more is to be sent, but for a close frame (code; 0: none) where it is OPEN. */
void conn_end(struct conn *c, int code, enum reason reason, const char *text, size_t len);
/* Does what its link's verdicts call for: behind all that may have sent something. */
void conn_settle_link(struct conn *c);
static inline void conn_settle(struct conn *c)
{
	if (c->link.verdict != LINK_TAKEN)
		conn_settle_link(c);
}
void conn_update_interest(struct conn *c);
/* Whether it may be read from now. */
bool conn_reads(const struct conn *c);
/* What came with the last bytes and waits inside, for which no event will come. */
void conn_read_rest(struct conn *c);
/* What an error (errno) of its link says about the peer, or us. */
enum reason conn_why_broken(int error);
/* Frees those that are dead, as many as the turn has time for. Returns whether some are left. */
bool conn_reap(void);
/* What the log says: that of the first close frame. */
static inline int conn_close_code(const struct conn *c)
{
	return c->code ? c->code : WS_CLOSE_ABNORMAL;
}
/* What its behaviour keeps of it, if it keeps anything. */
static inline void *conn_state(const struct conn *c)
{
	return c->admission ? c->admission->state : NULL;
}

/* frames.c */
/* It has become open: the behaviour is told. */
void frames_begin(struct conn *c);
/*
 * Handles frames, lent, up to c's share of the turn; the rest is kept. What they cause to be sent is
 * gathered: by the second, or if c is corked.
 */
void frames_take(struct conn *c, uint8_t *p, uint8_t *end);
void frames_gather(struct conn *c, uint8_t *p, uint8_t *end);
/*
 * Goes on with the next one that waits for its share. False: there is none. *reads: it had nothing
 * that was kept, and is to be read from; NULL: it had, or may not be.
 */
bool frames_go_on(struct conn **reads);

/* events.c */
/* A turn of the wheel has come to c. */
void conn_timer(struct conn *c);
/*
 * Where the worker's connections keep too much, ends some, as many as it takes or as the turn has time
 * for. Returns whether there may be more to do.
 */
bool conn_relieve(void);
/* Goes on with input that waits for its turn, up to the end of this part of it. */
void conn_hear_some(void);
/* It can be written: goes on with what is unsent. */
void conn_writable(struct conn *c);
/*
 * Goes on with handshakes that wait for time, and with openings that have an answer that they waited for,
 * with one of each at least. Returns whether some still do.
 */
bool conn_shake_hands(void);
/* Goes on with what is compressed for single connections. Returns whether there is more. */
bool conn_compress_some(void);

/* entry.c */
void entry_opened(const struct conn *c);
void entry_closed(const struct conn *c);
/*
 * status: of HTTP, 0: there is no answer. path: what was asked for, where no endpoint stands for
 * it, else NULL. why: a sentence, NULL: the reason's.
 */
void entry_refused(const struct conn *c, enum reason reason, int status, const char *path,
		   const char *why);
/* The first message that a slow consumer does not get. */
void entry_dropping(const struct conn *c);
/* The first message of c's that is not taken. */
void entry_unheard(const struct conn *c, enum reason reason);
/* Its state changes, or would have, if it could. */
void entry_move(const struct conn *c, const char *from, const char *to);
void entry_impossible(const struct conn *c, const char *from, const char *to);
/* Whether c's behaviour had more to say than was logged; entry_look_again tells when it is time. */
static inline bool entry_owes(const struct conn *c)
{
	return c->extra && c->extra->lines.missed > 0;
}
void entry_look_again(struct conn *c);
/* The same ahead of c's end. */
void entry_last(struct conn *c);
/* Once per tick, and at the end of all: how many entries were left out. */
void entry_tick(void);
void entry_fini(void);

/* handshake.c */
/* One step ahead of the request, a PROXY header's or of TLS; true: it is awaited now, and may be there. */
bool handshake_go_on(struct conn *c);
/* Bytes of the request's head; what is behind it goes on as frames. */
void handshake_input(struct conn *c, uint8_t *p, uint8_t *end);
/* The answer has come for which it waited: NONE if it is to be judged again, else why it is refused. */
void handshake_answered(struct conn *c, enum reason why);
/* It has not come in time (HANDSHAKE_TIMEOUT), or will not be waited for (the other reasons). */
void handshake_refuse(struct conn *c, enum reason reason);

/* input.c */
enum input_event {
	INPUT_MORE, /* all is used up */
	INPUT_STEP, /* it is not, but the turn is to be looked at */
	INPUT_PARKED, /* a message waits, and what is behind it with it */
	INPUT_CLOSE, /* as *v says: the behaviour wants it */
	INPUT_CLOSED, /* the peer's close frame, with v->code */
	INPUT_FAILED, /* what comes cannot be understood any more: v->code, v->reason */
	INPUT_UNHEARD, /* its link takes no more: it is to be settled first */
};
/* Tells the behaviour that c is open. False: close as *v says. */
bool input_open(struct conn *c, struct verdict *v);
/*
 * Goes on with a text that is being checked (park_text), by a slice; then decodes from *p on, and
 * hands messages to the behaviour, up to what is not for it to decide. Their bytes are added to
 * *payload.
 */
enum input_event input_next(struct conn *c, uint8_t **p, uint8_t *end, struct verdict *v,
			    uint64_t *payload);

/* park.c */
/* A message that the behaviour gets later: a text that is checked in slices, or one over its rate. */
struct conn_text {
	uint8_t opcode;
	bool early; /* it is over the rate, and waits for a token first */
	uint32_t due; /* that is there with this tick, then; 0: it may be there */
	struct buffer bytes; /* counted; the memory is its own */
	struct json_scan scan;
	uint64_t generation; /* of the settings that it is checked by */
};
/* Keeps it up to its last slice. Input behind it waits, too. False: no memory, and t is the caller's. */
bool park_text(struct conn *c, struct conn_text *t);
/* That of c, or NULL; of one that goes on (park_take) the second gives it back, for the third to free. */
struct conn_text *park_text_of(const struct conn *c);
/* Whether c's waits for a token, and up to which tick; and it has come. */
bool park_is_early(const struct conn *c, uint32_t *due);
void park_due(struct conn *c);
struct conn_text *park_take_text(struct conn *c);
void park_free_text(struct conn_text *t);
/*
 * Keeps a message until the bus has space for it in c's room, and the room's rate, if it owes a token;
 * c is not read from meanwhile, and is in the room as long as it is kept. -1: no memory.
 */
int park_message(struct conn *c, struct room *room, const struct bus_meta *meta,
		 const struct bus_part *parts, int count, bool owes);
/* Bytes of memory that c has for input that waits. */
size_t park_bytes(const struct conn *c);
/* Of one that is parked: whether it has a message that waits so. */
bool park_has_message(const struct conn *c);
/*
 * Keeps input until it is c's turn again, and behind the message or text, if there is one; c is not
 * read from meanwhile. fresh: it has not had its share of this turn, and comes before those that
 * had theirs. False: no memory.
 */
bool park_rest(struct conn *c, const uint8_t *p, size_t len, bool fresh);
/* The same with nothing kept: it is to be read from when it is its turn. */
bool park_reading(struct conn *c, bool fresh);
/* Ends it, if it is parked; the message, or text, alone. */
void park_forget(struct conn *c);
void park_forget_message(struct conn *c);
/*
 * The next one whose turn it is, with its input, which lies still up to park_put_back; NULL: there
 * is none. What is behind `rest` then goes on waiting, NULL: nothing has to.
 */
struct conn *park_take(uint8_t **rest, uint8_t **end);
void park_put_back(const uint8_t *rest);
/* How many there are. */
unsigned park_in_line(void);
/* Output that was put off is out, or is not up to us (output_is_behind): its turn will come. */
void park_caught_up(struct conn *c);
enum park_retried {
	PARK_NONE, /* nothing waits any more */
	PARK_WAITING, /* there is no space for what does */
	PARK_UNTRIED, /* nor was there time to try all */
};
/*
 * Tries to put messages that wait into the bus, where there are any: that is a part of the turn, which
 * has as many as there is time for and one in any case, the rooms by turns.
 */
enum park_retried park_retry(void);

/* output.c */
static inline void output_cork(struct conn *c)
{
	link_cork(&c->link);
}
/* Writes what was gathered; the second ends gathering, too. */
enum link_verdict output_flush(struct conn *c);
void output_uncork(struct conn *c);
/*
 * Whole messages at once, as they are; c must not be corked. True: all were taken at once, which is
 * for the caller to count; else what of them has left is counted.
 */
bool output_run(struct conn *c, const struct link_run *r);
/* One message that is a frame already, of the length that its mark has. */
void output_frame(struct conn *c, const void *frame, uint64_t mark);
/*
 * One message, compressed or not as c has it; as: its mark, without a length. The parts, at most 2,
 * are its payload. What cannot
 * be made for want of memory breaks the link. With takeover, or if it is long, it may be put off until
 * the socket takes it; holder: of counted bytes that the only part lies in, or NULL.
 */
void output_message(struct conn *c, enum ws_opcode opcode, uint64_t as, const struct iovec *parts,
		    int count, struct counted *holder);
/* A text of the daemon's own making, which is told, or numbered: as. */
void output_text(struct conn *c, uint64_t as, const void *text, size_t len);
/* How c is told of messages that it does not get, in *f. NULL: it is not. */
const struct gap_form *output_told(const struct conn *c, struct gap_form *f);
/* Bytes of what was told (LINK_TOLD) that wait. */
size_t output_told_waits(const struct conn *c);
/* Whether so many bytes would not be put off. */
bool output_takes(const struct conn *c, size_t len);
/* Whether messages were put off; and that we, and not the socket, are to blame. */
static inline bool output_waits(const struct conn *c)
{
	return c->deflate && c->deflate->waiting.count > 0;
}
static inline bool output_is_behind(const struct conn *c)
{
	return c->deflate && c->deflate->waiting.list;
}
/* Goes on with what was put off, by a slice. */
void output_go_on(struct conn *c);
/* Whether something that was to be sent is not out. */
static inline bool output_has_unsent(const struct conn *c)
{
	return link_has_unsent(&c->link) || output_waits(c);
}
void output_http(struct conn *c, const void *bytes, size_t len);
void output_pong(struct conn *c, const void *data, size_t len);
void output_ping(struct conn *c);
/* A pong came: if it answers the last ping it tells the round-trip time. */
void output_ping_answered(struct conn *c, const void *data, size_t len);
void output_close(struct conn *c, int code, const char *text, size_t len);
void output_fini(void);

/* timer.c */
enum timer_due {
	DUE_NOTHING,
	DUE_HANDSHAKE,
	DUE_MESSAGE,
	DUE_IDLE,
	DUE_STALL,
	DUE_TOKEN, /* input goes on */
	DUE_EXPIRY, /* what it came by may be over */
	DUE_AUTH, /* who it is, it should have said (late.h) */
	DUE_PING, /* is to be sent */
	DUE_PONG, /* has not come */
	DUE_CLOSE,
};
void timer_init(void);
uint32_t timer_ticks(int64_t ms);
/* At which tick a ping was sent, or it was looked why its answer does not come, the last time. */
uint32_t timer_asked(const struct conn *c);
/* Into the wheel, and out of it. */
void timer_add(struct conn *c);
void timer_remove(struct conn *c);
/* What c waits for has changed: it is looked at earlier, if that is necessary. */
void timer_update(struct conn *c);
/* It has been looked at, and waits on. */
void timer_renew(struct conn *c);
/* A message has begun to come in. */
void timer_message_begun(struct conn *c);
/* Some of its output may wait since a moment ago. */
void timer_output_waits(struct conn *c);
/* What is over time now, by c's state. */
enum timer_due timer_due(const struct conn *c);
/*
 * Calls fn for each whose time has come, in the order of ticks, as many as the turn has time for
 * and one in any case. Returns whether some are left.
 */
bool timer_go_on(void (*fn)(struct conn *c));
/*
 * A walk over all that are not dead, in portions of which each turn has as many as it has time for,
 * and one in any case; of each kind one at a time, in place of one that is under way. fn is called
 * for each, for some of them more than once, and for those that come meanwhile or not; it may end
 * it. waits: whether one that is put where the walk has been is still to come by.
 */
enum timer_walk { TIMER_WALK_CHANGE, TIMER_WALK_SURVEY, TIMER_WALK_DRAIN, TIMER_WALKS };
typedef void timer_walk_fn(struct conn *c);
void timer_walk(enum timer_walk which, timer_walk_fn *fn, bool (*waits)(struct conn *c));
/* Returns whether some are left. */
bool timer_walk_on(enum timer_walk which);
/* Whatever it has not come to is left. */
void timer_walk_end(enum timer_walk which);
/* All that are not dead, at once. */
void timer_each(void (*fn)(struct conn *c, void *arg), void *arg);

/* delivery.c */
/* Reads the bus and delivers, as far as the turn goes. Returns whether there is more. */
bool delivery_turn(void);
/*
 * All of a batch that is out of the log, for one member; the second counts it, for those of a room that
 * has some, before the renditions are forgotten. False: it takes longer than this turn; try again.
 */
bool delivery_send(const struct batch *b, struct renditions *all, const struct place *p);
void delivery_count(const struct room *r, struct renditions *all);
void delivery_fini(void);

#endif
