/*
 * conn_internal.h - a connection as the files of src/session share it.
 *
 * conn.c: its life and state. entry.c: what the log is told of it. secure.c: the TLS handshake.
 * handshake.c: the request head. input.c: frames in. output.c: frames out. timer.c: when it has
 * waited long enough. room.c: membership and delivery.
 */
#ifndef SESSION_CONN_INTERNAL_H
#define SESSION_CONN_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "base/bucket.h"
#include "base/log.h"
#include "base/reason.h"
#include "bus/bus.h"
#include "net/peer.h"
#include "net/transport.h"
#include "proto/frame.h"
#include "proto/http.h"
#include "session/conn.h"

struct config_endpoint;
struct net_peer;
struct proxy_reader;

/*
 * Only conn_set_state writes it. What is awaited in each: PROXY: its header. TLS: the handshake.
 * UPGRADE: the request head. OPEN: messages. CLOSING: the peer's close frame; ours is out.
 * ENDING: that our last bytes leave, and behind them our direction ends; then, that the peer ends
 * its own. DEAD: conn_reap, after the loop turn.
 */
enum conn_state {
	CONN_PROXY,
	CONN_TLS,
	CONN_UPGRADE,
	CONN_OPEN,
	CONN_CLOSING,
	CONN_ENDING,
	CONN_DEAD
};

/* A request head that has not come whole. */
struct conn_head {
	size_t len, size;
	struct http_progress progress;
	char bytes[];
};

/* Output that the socket did not take. */
struct conn_pending {
	size_t start, end, size; /* data[start..end) is to be sent */
	size_t boundary; /* where in data the first whole frame begins */
	uint8_t pong_len; /* the newest unsent pong, 0: none */
	uint8_t pong[2 + WS_CONTROL_MAX];
	uint8_t *data;
};

/* A message that waits for room in the bus, and the input behind it. */
struct conn_parked {
	struct conn *conn;
	TAILQ_ENTRY(conn_parked) link;
	struct bus_room room;
	uint64_t origin;
	size_t frame_len, rest_len;
	uint8_t *frame, *rest;
};

/* What few connections need. */
struct conn_extra {
	struct net_peer proxy; /* who speaks for the client, family 0: nobody */
	char *client; /* who it is by its certificate; NULL: it has shown none */
	uint64_t dropped; /* messages (drop_newest) */
	struct bucket lines; /* of its behaviour, in the log */
};

TAILQ_HEAD(conn_list, conn);

/*
 * What a message touches lies together: first what one that goes out does, then what one that
 * comes in does. In a large room each of its members' cache lines is a cold one.
 */
struct conn {
	struct transport transport; /* whose last words belong to the first kind */
	struct conn_pending *pending;
	union {
		struct listener *listener; /* a reference, until the request is `judged` */
		struct conn_deflate *deflate; /* then; NULL: messages are not compressed */
	};
	uint64_t messages_out, bytes_out;
	uint32_t last_data; /* tick of the last data message either way */
	uint8_t state_now; /* enum conn_state */
	uint8_t reason; /* enum reason */
	uint16_t code; /* close code, 0: none yet */

	struct ws_decoder decoder;
	union {
		struct proxy_reader *proxy; /* PROXY */
		struct conn_head *head; /* UPGRADE */
		struct conn_parked *parked; /* later */
	};
	const struct config_endpoint *endpoint; /* NULL before it is open; holds its snapshot */
	void *state; /* the behaviour's */
	uint64_t id;
	uint64_t messages_in, bytes_in;
	uint32_t last_rx; /* tick of the last sign of life: a byte, or pending ones that went */

	bool ended : 1; /* the peer has ended its direction, and ours goes on */
	bool opened_behaviour : 1; /* its close callback is due */
	bool judged : 1; /* the request was read and may become a connection */
	bool pinged : 1; /* an answer is awaited */
	bool answered : 1; /* the last ping was */
	bool nameless : 1; /* a PROXY header came that names no IP address */

	TAILQ_ENTRY(conn) link; /* in the timing wheel, or among the dead */
	uint32_t deadline; /* when conn_timer looks at it next */
	uint32_t mark; /* tick: of accept (UPGRADE), the last ping (OPEN), the closing (CLOSING) */
	uint32_t opened; /* milliseconds of the monotonic clock, modulo 49 days */
	uint32_t
		ping; /* microseconds: when the last one left (its token), or took, if `answered` */
	struct conn_extra *extra; /* NULL: nothing of it is needed yet */
	struct net_peer peer;
};

/* conn.c */
void conn_set_state(struct conn *c, enum conn_state to);
void conn_kill(struct conn *c, enum reason reason);
/* What an error (errno) of its transport says about the peer. */
enum reason conn_why_broken(int error);
void conn_close(struct conn *c, int code, enum reason reason, const char *text, size_t len);
void conn_close_word(struct conn *c, int code, enum reason reason);
void conn_end_output(struct conn *c, enum reason reason);
void conn_update_interest(struct conn *c);
/* Whether the socket has not taken all that counts as sent. */
static inline bool conn_has_unsent(const struct conn *c)
{
	return c->pending || c->transport.want_write;
}
void conn_read_rest(struct conn *c);
void conn_set_endpoint(struct conn *c, const struct config_endpoint *e);
void conn_reap(void);
/* Makes c->extra if it is not there. NULL: no memory. */
struct conn_extra *conn_need_extra(struct conn *c);
/* Joins bytes to c's head. NULL: no memory, and c is dead. */
struct conn_head *conn_gather(struct conn *c, const void *p, size_t n);
void conn_forget_head(struct conn *c);
void conn_each(void (*fn)(struct conn *c, void *arg), void *arg);
int64_t conn_clock(void); /* milliseconds, monotonic */
int64_t conn_clock_us(void);

/* origin.c */
/* Goes on with the PROXY header; true: it is over, and what follows it may be there. */
bool origin_go_on(struct conn *c);
void origin_timeout(struct conn *c);
/* By the headers of the request, if the listener believes them. */
void origin_from_request(struct conn *c, const struct http_head *h);
/* Who the client is by a certificate. */
void origin_set_client(struct conn *c, const char *name);
/* The listener has said all that there was to know. */
void origin_done(struct conn *c);

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

/* secure.c */
/* Begins the handshake. False: no memory, and c is dead. */
bool secure_begin(struct conn *c);
/* Goes on with the TLS handshake; true: it is done, and the request head may be there. */
bool secure_go_on(struct conn *c);
void secure_timeout(struct conn *c);
void secure_turn_end(void);

/* handshake.c */
void handshake_input(struct conn *c, uint8_t *p, uint8_t *end);
void handshake_refuse(struct conn *c, enum reason reason);
uint32_t handshake_deadline(const struct conn *c);

/* input.c */
void input_open(struct conn *c);
/* Decodes and handles bytes; input_bytes gathers what they cause to be sent. */
void input_bytes(struct conn *c, uint8_t *p, uint8_t *end);
void input_frames(struct conn *c, uint8_t *p, uint8_t *end);
/* Keeps a message until the bus has room; c is not read from meanwhile. -1: no memory. */
int input_park(struct conn *c, struct bus_room room, uint64_t origin, const struct bus_part *parts,
	       int count);
void input_unpark(struct conn *c);
/* Tries those that wait. Returns whether some still do. */
bool input_retry_parked(void);

/* output.c */
void output_cork(struct conn *c);
void output_uncork(struct conn *c);
/*
 * One frame in parts, or a run of whole frames in one part; a run that was compressed
 * for c alone may be cut short where one of its frames is dropped.
 */
void output_frames(struct conn *c, const struct iovec *iov, int count, uint64_t messages);
/* One message, compressed or not as c has it; the parts, at most 2, are its payload. */
void output_message(struct conn *c, enum ws_opcode opcode, const struct iovec *parts, int count);
void output_raw(struct conn *c, const void *bytes, size_t len); /* HTTP */
void output_pong(struct conn *c, const void *data, size_t len);
void output_ping(struct conn *c);
/* A pong came: if it answers the last ping it tells the round-trip time. */
void output_ping_answered(struct conn *c, const void *data, size_t len);
void output_close(struct conn *c, int code, const char *text, size_t len);
void output_writable(struct conn *c);
void output_free(struct conn *c);
void output_fini(void);

/* timer.c */
void timer_init(void);
void timer_set(struct conn *c, uint32_t deadline);
void timer_add(struct conn *c, uint32_t deadline);
void timer_remove(struct conn *c);
void timer_tick(void);
void timer_update(struct conn *c);
void timer_message_begun(struct conn *c);
void timer_each(void (*fn)(struct conn *c, void *arg), void *arg);
uint32_t timer_ticks(int64_t ms);

/* room.c */
int room_init(size_t max_rooms);
void room_fini(void);
/* Reads the bus and delivers, up to a budget. Returns whether there is more. */
bool room_deliver(void);
/* The worker cannot go on: the log in shared memory is damaged. */
_Noreturn void room_corrupt(void);

#endif
