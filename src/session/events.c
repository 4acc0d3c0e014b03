/*
 * events.c - what happens to a connection: it is accepted, bytes come, bytes can go, time
 * passes, the bus has space again. What follows from it is decided below; here it is done, and at
 * the end of each the link is asked what became of the output (conn_settle).
 */
#include <errno.h>
#include <string.h>

#include "base/metrics.h"
#include "config/config.h"
#include "net/uptake.h"
#include "session/awaiting.h"
#include "session/compress.h"
#include "session/conn_internal.h"
#include "session/counting.h"
#include "session/crowd.h"
#include "session/expiry.h"
#include "session/opening.h"
#include "session/portion.h"
#include "session/session.h"
#include "session/turn.h"

static void take_bytes(struct conn *c, uint8_t *p, uint8_t *end)
{
	switch (conn_input(c)) {
	case READ_HEAD:
		handshake_input(c, p, end);
		break;
	case READ_FRAMES:
	case READ_CLOSE:
		frames_gather(c, p, end);
		break;
	case READ_NOTHING:
		if (!c->opening)
			metrics_add(&c->endpoint->cell->bytes_in, (uint64_t)(end - p));
		break;
	default:
		break;
	}
}

/* Who has said its last word may still wait for ours: that goes on, up to close_timeout. */
static void peer_ended(struct conn *c)
{
	if (c->state_now == CONN_ENDING && output_has_unsent(c))
		conn_update_interest(c);
	else
		conn_kill(c, REASON_PEER_GONE);
}

/* What is read is unmasked, and checked if it is text (TURN_COPY, TURN_CHECK); TLS costs as much. */
static void charge(const struct conn *c, size_t n)
{
	turn_spend((uint32_t)(TURN_CALL + (c->link.transport.tls ? n : n / 2)));
}

/*
 * How much is read at once. Where a turn was not long enough for all sockets that were ready, those
 * that are left share ROUND, so that nobody among many waits longer for a turn than among few.
 */
enum { READ_MOST = PORTION_MOST, READ_LEAST = 16 * 1024, ROUND = 2 * 1024 * 1024 };

static struct {
	size_t count; /* of sockets that are left */
	size_t share;
	struct conn *first; /* it is the first in line, and read now; NULL: who has an event is */
} left;

static size_t share_among(size_t count)
{
	size_t share = ROUND / count;

	return share > READ_MOST ? READ_MOST : share < READ_LEAST ? READ_LEAST : share;
}

static void note_left(size_t count)
{
	left.count = count;
	left.share = count > 0 ? share_among(count) : READ_MOST;
}

static size_t share_of_round(void)
{
	if (left.count == 0)
		return READ_MOST;
	left.count--;
	return left.share;
}

/* Of less none would be read to its place, and it would never be more again. */
_Static_assert((int)PORTION_LEAST >= (int)WS_SPACE_MIN, "a portion is worth a read of its own");
static struct portion rest_of_long = { PORTION_MOST };

/* Where at most *most bytes are read to: a long message's rest to its place at once. */
static inline uint8_t *space_for(struct conn *c, size_t *most)
{
	size_t n = *most < rest_of_long.bytes ? *most : rest_of_long.bytes;
	uint8_t *space = c->decoder.partial && conn_input(c) == READ_FRAMES
				 ? ws_decoder_space(&c->decoder, &n)
				 : NULL;

	if (space)
		*most = n;
	return space;
}

/* Reads what is of a long message to its place. */
static __attribute__((noinline)) ssize_t read_long(struct conn *c, uint8_t *space, size_t most)
{
	const int64_t before = session_clock_us();
	ssize_t n = link_read(&c->link, space, most);

	if (n > 0)
		portion_took(&rest_of_long, (size_t)n, session_clock_us() - before);
	return n;
}

static void read_some(struct conn *c)
{
	static uint8_t buffer[READ_MOST];
	size_t most = share_of_round();
	uint8_t *space = space_for(c, &most);
	uint8_t *to = space ? space : buffer;
	ssize_t n = space ? read_long(c, space, most) : link_read(&c->link, to, most);

	if (n < 0) {
		if (!transport_is_temporary(errno))
			conn_kill(c, conn_why_broken(errno));
		return;
	}
	if (n == 0) {
		peer_ended(c);
		return;
	}
	c->last_rx = session.now;
	c->bytes_in += (uint64_t)n;
	charge(c, (size_t)n);
	take_bytes(c, to, to + n);
	/* a message that is not whole was copied, or read to memory of its own */
	if (c->decoder.partial || space)
		turn_spend_on((uint64_t)n, TURN_KEEP);
	if (c->link.filled)
		conn_read_rest(c);
}

/* Whether c said much when it was read last, or is amid a long message. */
static bool says_much(const struct conn *c)
{
	return c->link.filled ||
	       (c->decoder.partial && ws_decoder_bytes(&c->decoder) >= WS_SPACE_MIN);
}

/* Whether c may be one of those that do; that a round of few is short is known without. */
static bool may_say_much(const struct conn *c)
{
	return says_much(c) || (c->messages_in == 0 && left.share < READ_MOST);
}

/*
 * Its opening goes on at the end of a turn; if that is not of this one it is not watched so long. It is none of
 * those that are left then.
 */
static void let_wait(struct conn *c)
{
	session.chores = true;
	share_of_round();
	if (opening_wait(c))
		return;
	turn_spend(TURN_CALL);
	transport_want(&c->link.transport, false, false);
}

/*
 * Where not all that are ready have their turn: who is open and has said little so far is not held up
 * by others, for they stand in line (park.c).
 */
static __attribute__((noinline)) bool stands_in_line(struct conn *c)
{
	if (c == left.first || !may_say_much(c))
		return false;
	if (conn_input(c) != READ_FRAMES || c->parked || !park_reading(c, !says_much(c)))
		return false;
	share_of_round();
	turn_spend(TURN_CALL);
	conn_update_interest(c);
	return true;
}

/* The last record may count as written, and is not out: only then is our direction at its end. */
static void drained(struct conn *c)
{
	if (output_waits(c))
		uncompressed_ready(&c->deflate->waiting, true);
	conn_update_interest(c);
	if (c->state_now != CONN_ENDING || output_has_unsent(c))
		return;
	link_end(&c->link);
	if (c->link.ended)
		conn_kill(c, REASON_PEER_GONE);
}

/* What has waited for too long is of no use any more; its tick was rounded up. */
static void drop_old(struct conn *c)
{
	const int64_t age = c->endpoint ? c->endpoint->limits.max_age : 0;

	struct gap_form form;

	if (age > 0 && c->state_now == CONN_OPEN && compress_class(c) >= 0)
		link_drop_old(&c->link, session.now - timer_ticks(age), output_told(c, &form));
}

void conn_writable(struct conn *c)
{
	struct link_count n = { 0 };
	enum link_moved moved;
	enum link_verdict v;

	drop_old(c);
	v = link_go_on(&c->link, c->state_now == CONN_ENDING, &moved, &n);

	if (n.bytes > 0)
		counting_sent(c->endpoint->cell, &n);
	/* A peer that takes what waits for it is alive: it is not pinged meanwhile. */
	if (moved != LINK_NOTHING)
		c->last_rx = session.now;
	if (moved == LINK_DATA)
		c->last_data = session.now;
	if (v == LINK_TAKEN)
		drained(c);
}

/* What is compressed for it is out, or its socket takes no more. */
static void caught_up(struct conn *c)
{
	if (!output_has_unsent(c))
		drained(c);
	else
		conn_update_interest(c);
	park_caught_up(c);
	conn_read_rest(c);
}

bool conn_compress_some(void)
{
	struct conn *c;

	while ((c = uncompressed_next())) {
		output_go_on(c);
		conn_settle(c);
		if (!output_is_behind(c) && c->state_now != CONN_DEAD)
			caught_up(c);
		if (turn_is_over())
			break;
	}
	return uncompressed_any();
}

/*
 * Whether a request is dealt with behind what else is ready, and what members get of it: it costs as much
 * as a hundred messages, and a thousand times as much where it is answered with what a room keeps. Then
 * those that come after it are, too, in the order in which they came.
 */
static bool is_behind_others(const struct conn *c, short what)
{
	return what == EV_READ && c != left.first && conn_input(c) == READ_HEAD &&
	       (opening_some_wait() ||
		event_base_get_num_events(session.base, EVENT_BASE_COUNT_ACTIVE) > 0);
}

/* Returns what is to be done then. */
static short go_on_opening(struct conn *c, short what)
{
	/* The request may have come with the end of what was ahead of it. */
	if (c->state_now == CONN_PROXY) {
		turn_spend(TURN_OPENING);
		what = handshake_go_on(c) ? what | EV_READ : 0;
	}
	if (c->state_now == CONN_TLS || is_behind_others(c, what)) {
		turn_spend(TURN_LOOK);
		let_wait(c);
		return 0;
	}
	turn_spend(TURN_OPENING);
	return what;
}

/* Inline, as all that a client sends comes by here. */
static inline __attribute__((always_inline)) void handle_event(struct conn *c, short what)
{
	atomic_store_explicit(&session.row->activity, ACTIVITY_READING, memory_order_relaxed);
	atomic_store_explicit(&session.row->conn, c->id, memory_order_relaxed);
	if (c->state_now < CONN_OPEN)
		what = go_on_opening(c, what);
	if (what & EV_WRITE && c->state_now != CONN_DEAD) {
		conn_writable(c);
		/* The socket tells its error once: what is read behind it looks like the peer's end. */
		conn_settle(c);
	}
	if (what & EV_READ && c->state_now != CONN_DEAD && !(left.count > 0 && stands_in_line(c)))
		read_some(c);
	conn_settle(c);
	/* What was read may have to be answered by the transport itself. */
	if (c->link.transport.want_write)
		conn_update_interest(c);
}

/*
 * What else is ready comes first in the next turn, in the same order; what has waited goes on now. That
 * turn may begin here: with each look of libevent the kernel goes through all sockets that are ready, and
 * of ten thousand that takes as long as half of a turn.
 */
static __attribute__((noinline)) void end_events(bool here)
{
	const int ready = event_base_get_num_events(session.base, EVENT_BASE_COUNT_ACTIVE);

	note_left((size_t)ready);
	/* else it ends already */
	if (!left.first && !(here && turn_end_here((size_t)ready)))
		event_base_loopbreak(session.base);
}

static void event_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	handle_event(arg, what);
	if (turn_is_over())
		end_events(true);
}

/* As if it had an event of its own: there is one place that reads, and it is on every message's path. */
static void read_first(struct conn *c)
{
	left.count++;
	left.share = share_among(left.count + park_in_line());
	left.first = c;
	event_cb(-1, EV_READ, c);
	left.first = NULL;
}

void conn_hear_some(void)
{
	struct conn *c;

	while (frames_go_on(&c)) {
		if (c)
			read_first(c);
		if (turn_is_over())
			break;
	}
}

bool session_may_accept(void)
{
	return crowd_has_place();
}

/* It is told so where it understands, and its descriptor is free with the end of the turn. */
static void make_way(struct conn *c)
{
	if (c->state_now < CONN_OPEN)
		handshake_refuse(c, REASON_TOO_MANY_HANDSHAKES);
	conn_kill(c, REASON_TOO_MANY_HANDSHAKES);
}

/* Openings that have the answer that they waited for. Returns whether some still do. */
static bool let_in_some(void)
{
	enum reason why;
	struct conn *c;

	while ((c = awaiting_next(&why))) {
		atomic_store_explicit(&session.row->conn, c->id, memory_order_relaxed);
		turn_spend(TURN_OPENING);
		handshake_answered(c, why);
		conn_settle(c);
		conn_read_rest(c);
		if (turn_is_over())
			break;
	}
	return awaiting_some_answered();
}

/* A step of an opening that has waited: what came with the end of the handshake is an event of its own. */
static void go_on_waiting(struct conn *c)
{
	if (c->state_now == CONN_TLS) {
		if (handshake_go_on(c))
			conn_read_rest(c);
		conn_settle(c);
	} else if (conn_input(c) == READ_HEAD) {
		read_first(c);
		if (c->state_now != CONN_DEAD)
			conn_update_interest(c);
	}
}

bool conn_shake_hands(void)
{
	const bool more = let_in_some();
	struct conn *c;

	while ((c = opening_next())) {
		atomic_store_explicit(&session.row->conn, c->id, memory_order_relaxed);
		go_on_waiting(c);
		if (turn_is_over())
			break;
	}
	return opening_some_wait() || more;
}

/* Who was in a queue when the stop came has waited for this answer. */
static void turn_away(struct conn *c)
{
	handshake_refuse(c, REASON_SHUTDOWN);
	conn_settle(c);
}

bool session_accept(int fd, const struct net_peer *peer, void *listener)
{
	struct conn *old = crowd_in_the_way(), *c;

	if (old)
		make_way(old);
	c = conn_new(fd, peer, listener, event_cb);
	metrics_add(&session.row->accepted, 1);
	if (!c)
		metrics_add(&session.row->refused[REASON_NO_MEMORY], 1);
	else if (session.stopping)
		turn_away(c);
	turn_spend(TURN_OPENING);
	if (!turn_is_over())
		return true;
	end_events(false);
	return false;
}

/*
 * Whether the peer, whose answer to a ping is due, goes on to take what was sent ahead of that. By the first
 * look it does if its kernel has said anything since the ping; then, if more is taken than at the last one,
 * at which it had not all of that: so it has its time from when it has the ping.
 */
static bool still_takes(struct conn *c)
{
	const bool first = timer_asked(c) == c->mark;
	const uint32_t waited = (session.now - c->mark) * SESSION_TICK;
	struct uptake u = { .taken = UINT64_MAX };
	struct conn_extra *x;
	bool goes_on;

	turn_spend(TURN_CALL);
	if ((!uptake_look(c->link.transport.fd, &u) || u.silent >= waited) && first)
		return false;
	x = conn_need_extra(c);
	if (!x)
		return false;
	goes_on = first || (u.taken > x->taken && x->taken < x->sent);
	if (first)
		x->sent = u.sent + link_unsent(&c->link);
	x->taken = u.taken;
	x->taken_at = session.now;
	return goes_on;
}

static void pong_is_due(struct conn *c)
{
	if (!still_takes(c))
		conn_close_word(c, WS_CLOSE_INTERNAL, REASON_PING_TIMEOUT);
}

static void act(struct conn *c, enum timer_due due)
{
	if (due != DUE_NOTHING)
		turn_spend(TURN_CALL);
	switch (due) {
	case DUE_NOTHING:
		break;
	case DUE_HANDSHAKE:
		handshake_refuse(c, REASON_HANDSHAKE_TIMEOUT);
		break;
	case DUE_MESSAGE:
		conn_close_word(c, WS_CLOSE_POLICY, REASON_MESSAGE_TIMEOUT);
		break;
	case DUE_IDLE:
		conn_close_word(c, WS_CLOSE_GOING_AWAY, REASON_IDLE_TIMEOUT);
		break;
	case DUE_STALL:
		conn_close_slow(c, REASON_SLOW_CONSUMER);
		break;
	case DUE_TOKEN:
		park_due(c);
		break;
	case DUE_EXPIRY:
		expiry_come(c);
		break;
	case DUE_AUTH:
		conn_close_word(c, WS_CLOSE_POLICY, REASON_NO_CREDENTIALS);
		break;
	case DUE_PONG:
		pong_is_due(c);
		break;
	case DUE_PING:
		c->mark = session.now;
		output_ping(c);
		break;
	case DUE_CLOSE:
		conn_kill(c, REASON_CLOSE_TIMEOUT);
		break;
	}
}

static void look_after(struct conn *c)
{
	/* TCP tells of space only when there is much; but some is a sign of life, too. */
	if (c->link.pending)
		conn_writable(c);
	conn_settle(c);
	if (c->state_now == CONN_OPEN && entry_owes(c))
		entry_look_again(c);
}

/* Nothing is read of who waits for an answer, not even that nobody is there any more. */
static void look_for_peer(struct conn *c)
{
	turn_spend(TURN_CALL);
	if (transport_peer_ended(&c->link.transport))
		conn_kill(c, REASON_PEER_GONE);
}

void conn_timer(struct conn *c)
{
	const uint8_t state = c->state_now;

	atomic_store_explicit(&session.row->activity, ACTIVITY_TIMERS, memory_order_relaxed);
	atomic_store_explicit(&session.row->conn, c->id, memory_order_relaxed);
	if (state == CONN_OPEN)
		look_after(c);
	else if (state == CONN_ADMIT)
		look_for_peer(c);
	if (c->state_now == state)
		act(c, timer_due(c));
	conn_settle(c);
	if (c->state_now != CONN_DEAD)
		timer_renew(c);
}

/* Of a message that is not whole nothing is kept; the peer is told, and not listened to any more. */
static void end_message(struct conn *c)
{
	const char *word = reason_word(REASON_MEMORY_PRESSURE);

	conn_end(c, WS_CLOSE_TRY_AGAIN, REASON_MEMORY_PRESSURE, word, strlen(word));
	ws_decoder_fini(&c->decoder);
}

/* Who is closing already, and still has that much, has been told. */
static void relieve_of(struct conn *c, bool slow)
{
	turn_spend(TURN_END);
	if (c->state_now != CONN_OPEN)
		conn_kill(c, REASON_MEMORY_PRESSURE);
	else if (slow)
		conn_close_slow(c, REASON_MEMORY_PRESSURE);
	else
		end_message(c);
}

bool conn_relieve(void)
{
	struct conn *c;
	bool slow, more;

	while ((more = memory_search(&c, &slow)) && c) {
		relieve_of(c, slow);
		if (turn_is_over())
			break;
	}
	return more;
}
