/*
 * events.c - what happens to a connection: it is accepted, bytes come, bytes can go, time
 * passes, the bus has space again. What follows from it is decided below; here it is done, and at
 * the end of each the link is asked what became of the output (conn_settle).
 */
#include <errno.h>
#include <string.h>

#include "base/metrics.h"
#include "config/config.h"
#include "session/conn_internal.h"
#include "session/crowd.h"
#include "session/opening.h"
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

static void read_some(struct conn *c)
{
	static uint8_t buffer[256 * 1024];
	ssize_t n = link_read(&c->link, buffer, sizeof(buffer));

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
	metrics_add(&session.row->bytes_in, (uint64_t)n);
	charge(c, (size_t)n);
	take_bytes(c, buffer, buffer + n);
	if ((size_t)n == sizeof(buffer))
		conn_read_rest(c);
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

void conn_writable(struct conn *c)
{
	enum link_moved moved;
	enum link_verdict v = link_go_on(&c->link, c->state_now == CONN_ENDING, &moved);

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

/* Its handshake goes on at the end of a turn; if that is not of this one it is not watched so long. */
static void let_wait(struct conn *c)
{
	session.chores = true;
	if (opening_wait(c))
		return;
	turn_spend(TURN_CALL);
	transport_want(&c->link.transport, false, false);
}

/* Returns what is to be done then. */
static short go_on_opening(struct conn *c, short what)
{
	turn_spend(TURN_OPENING);
	/* The request may have come with the end of what was ahead of it. */
	if (c->state_now == CONN_PROXY)
		what = handshake_go_on(c) ? what | EV_READ : 0;
	if (c->state_now != CONN_TLS)
		return what;
	let_wait(c);
	return 0;
}

static void handle_event(struct conn *c, short what)
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
	if (what & EV_READ && c->state_now != CONN_DEAD)
		read_some(c);
	conn_settle(c);
	/* What was read may have to be answered by the transport itself. */
	if (c->link.transport.want_write)
		conn_update_interest(c);
}

/* What else is ready comes first in the next turn, in the same order; what has waited goes on now. */
static void end_of_event(void)
{
	if (turn_is_over())
		event_base_loopbreak(session.base);
}

static void event_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	handle_event(arg, what);
	end_of_event();
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

bool conn_shake_hands(void)
{
	struct conn *c;

	while ((c = opening_next())) {
		if (c->state_now != CONN_TLS)
			continue;
		atomic_store_explicit(&session.row->conn, c->id, memory_order_relaxed);
		/* What came with the end of the handshake is an event of its own. */
		if (handshake_go_on(c))
			conn_read_rest(c);
		conn_settle(c);
		if (turn_is_over())
			break;
	}
	return opening_some_wait();
}

void session_accept(int fd, const struct net_peer *peer, void *listener)
{
	struct conn *old = crowd_in_the_way(), *c;

	if (old)
		make_way(old);
	c = conn_new(fd, peer, listener, event_cb);
	metrics_add(&session.row->accepted, 1);
	if (!c)
		metrics_add(&session.row->ends[REASON_NO_MEMORY], 1);
	turn_spend(TURN_OPENING);
	end_of_event();
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
	case DUE_PONG:
		conn_close_word(c, WS_CLOSE_INTERNAL, REASON_PING_TIMEOUT);
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

void conn_timer(struct conn *c)
{
	const uint8_t state = c->state_now;

	atomic_store_explicit(&session.row->activity, ACTIVITY_TIMERS, memory_order_relaxed);
	atomic_store_explicit(&session.row->conn, c->id, memory_order_relaxed);
	if (state == CONN_OPEN)
		look_after(c);
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
bool conn_relieve(void)
{
	struct conn *c;
	bool slow, more = memory_search(&c, &slow);

	if (!c)
		return more;
	turn_spend(TURN_END);
	if (c->state_now != CONN_OPEN)
		conn_kill(c, REASON_MEMORY_PRESSURE);
	else if (slow)
		conn_close_slow(c, REASON_MEMORY_PRESSURE);
	else
		end_message(c);
	return more;
}
