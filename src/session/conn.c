/*
 * conn.c - the life of one connection.
 *
 *	PROXY -> TLS -> UPGRADE -> ADMIT -> OPEN -> CLOSING -> ENDING -> DEAD
 *
 * (The first two where the listener has them; a refusal goes to ENDING at once, and every state
 * may go to DEAD.) Nothing is freed inside a callback: what is DEAD waits in a list for
 * conn_reap, after the loop turn or, where many ended in it, after one of the next, and only that
 * frees a connection. An end is never a reset
 * that could swallow our last bytes: we end our direction behind them and read on until the peer
 * has ended its own, or close_timeout has passed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "behaviour.h"
#include "config/config.h"
#include "session/awaiting.h"
#include "session/compress.h"
#include "session/chosen.h"
#include "session/conn_internal.h"
#include "session/counting.h"
#include "session/crowd.h"
#include "session/leaving.h"
#include "session/listener.h"
#include "session/noted.h"
#include "session/opening.h"
#include "session/quota.h"
#include "session/session.h"
#include "session/turn.h"

TAILQ_HEAD(conn_list, conn);

static struct conn_list dead = TAILQ_HEAD_INITIALIZER(dead);

/* next: a bit for each state that may follow. */
static const struct {
	const char *name;
	enum conn_input input;
	uint8_t next;
} states[] = {
	[CONN_PROXY] = { "PROXY", READ_PROXY, 1 << CONN_TLS | 1 << CONN_UPGRADE | 1 << CONN_DEAD },
	[CONN_TLS] = { "TLS", READ_TLS, 1 << CONN_UPGRADE | 1 << CONN_DEAD },
	[CONN_UPGRADE] = { "UPGRADE", READ_HEAD,
			   1 << CONN_ADMIT | 1 << CONN_ENDING | 1 << CONN_DEAD },
	[CONN_ADMIT] = { "ADMIT", READ_NOT, 1 << CONN_OPEN | 1 << CONN_ENDING | 1 << CONN_DEAD },
	[CONN_OPEN] = { "OPEN", READ_FRAMES,
			1 << CONN_CLOSING | 1 << CONN_ENDING | 1 << CONN_DEAD },
	[CONN_CLOSING] = { "CLOSING", READ_CLOSE, 1 << CONN_ENDING | 1 << CONN_DEAD },
	[CONN_ENDING] = { "ENDING", READ_NOTHING, 1 << CONN_DEAD },
	[CONN_DEAD] = { "DEAD", READ_NOT, 0 },
};

void conn_set_state(struct conn *c, enum conn_state to)
{
	if (!(states[c->state_now].next & 1 << to)) {
		entry_impossible(c, states[c->state_now].name, states[to].name);
		return;
	}
	if (log_enabled(LOG_DEBUG))
		entry_move(c, states[c->state_now].name, states[to].name);
	if (c->state_now == CONN_ADMIT)
		awaiting_end(c);
	/* OPEN counts itself when it is admitted; see admit.c. */
	if (c->state_now <= CONN_ADMIT && to > CONN_ADMIT)
		metrics_add(&session.row->handshakes, UINT64_MAX);
	c->state_now = (uint8_t)to;
}

enum conn_input conn_input(const struct conn *c)
{
	return states[c->state_now].input;
}

enum reason conn_close_reason(const struct conn *c)
{
	return c->reason;
}

/* --- begin --- */

static void begin(struct conn *c, const struct net_peer *peer, const struct listener *l)
{
	c->id = session.next_conn++;
	c->peer = *peer;
	c->state_now = l->proxy_protocol ? CONN_PROXY : l->tls ? CONN_TLS : CONN_UPGRADE;
	metrics_add(&session.row->handshakes, 1);
	c->mark = c->last_rx = session.now;
	crowd_enter(c);
	timer_add(c);
	session.conns++;
}

struct conn *conn_new(int fd, const struct net_peer *peer, struct listener *l, event_callback_fn cb)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (c && opening_begin(c, l) && link_init(&c->link, session.base, fd, cb, c) == 0) {
		begin(c, peer, l);
		return c;
	}
	close(fd);
	if (c)
		opening_end(c);
	free(c);
	return NULL;
}

/* --- the link --- */

/*
 * A handshake that has to write reads nothing, nor does who has input that waits, or output that is
 * compressed for it.
 */
bool conn_reads(const struct conn *c)
{
	switch (conn_input(c)) {
	case READ_NOT:
		return false;
	case READ_TLS:
		return !c->link.transport.want_write;
	case READ_FRAMES:
	case READ_CLOSE:
		return !c->parked && !output_is_behind(c);
	default:
		return true;
	}
}

void conn_update_interest(struct conn *c)
{
	if (c->state_now != CONN_DEAD && link_want(&c->link, conn_reads(c)) < 0)
		conn_kill(c, REASON_NO_MEMORY);
}

/* A parked connection leaves it there: it is read when that one goes on. */
void conn_read_rest(struct conn *c)
{
	if (conn_reads(c))
		link_read_rest(&c->link);
}

enum reason conn_why_broken(int error)
{
	switch (error) {
	case ETIMEDOUT:
		return REASON_PING_TIMEOUT;
	case EPROTO:
		return REASON_TLS_ERROR;
	case ENOMEM:
		return REASON_NO_MEMORY;
	default:
		return REASON_RESET;
	}
}

static void note_dropped(struct conn *c)
{
	uint32_t n = c->link.dropped;

	if (n == 0)
		return;
	c->link.dropped = 0;
	metrics_add(&c->endpoint->cell->dropped, n);
	if (!conn_need_extra(c))
		return;
	c->extra->dropped += n;
	if (c->extra->dropped == n)
		entry_dropping(c);
}

void conn_close_slow(struct conn *c, enum reason reason)
{
	link_cut(&c->link);
	compress_drop(c);
	conn_close_word(c, WS_CLOSE_TRY_AGAIN, reason);
}

void conn_settle_link(struct conn *c)
{
	if (c->state_now == CONN_DEAD)
		return;
	switch (link_settle(&c->link)) {
	case LINK_BROKEN:
		conn_kill(c, conn_why_broken(c->link.error));
		break;
	case LINK_OVER:
		conn_close_slow(c, REASON_SLOW_CONSUMER);
		break;
	default:
		note_dropped(c);
		timer_output_waits(c);
		memory_note(c);
		conn_update_interest(c);
		break;
	}
}

/* --- the end --- */

/* The first reason is the one that counts. */
static void note_reason(struct conn *c, enum reason reason)
{
	if (c->reason == REASON_NONE)
		c->reason = (uint8_t)reason;
}

/* Who is answered, and ENDING, was refused with that. */
static void note_end(const struct conn *c)
{
	if (!c->opening)
		noted_ended(c);
	else if (c->state_now != CONN_ENDING && counting_is_refusal(c->reason))
		noted_refused(c, c->reason, 0, NULL);
}

void conn_kill(struct conn *c, enum reason reason)
{
	if (c->state_now == CONN_DEAD)
		return;
	note_reason(c, reason);
	note_end(c);
	park_forget(c);
	timer_remove(c);
	if (c->opening)
		crowd_leave(c);
	compress_drop(c);
	conn_set_state(c, CONN_DEAD);
	/* Who comes in its place does not wait for conn_reap. */
	if (!c->opening)
		atomic_fetch_sub(&session.row->open, 1);
	counting_ended(c);
	TAILQ_INSERT_TAIL(&dead, c, entry);
	session.chores = true;
	/* The call that told of it is not charged where it brought nothing. */
	turn_spend(2 * TURN_CALL);
	transport_want(&c->link.transport, false, false);
}

/* What close_timeout counts from is the first step towards the end. */
static void start_closing(struct conn *c, enum conn_state to, enum reason reason)
{
	note_reason(c, reason);
	/* A close frame of the peer's may be in what was read. */
	if (to == CONN_CLOSING)
		park_forget_message(c);
	else
		park_forget(c);
	if (c->state_now < CONN_CLOSING)
		c->mark = session.now;
	if (c->extra)
		quota_leaves(c);
	conn_set_state(c, to);
	timer_update(c);
}

/* Behind all that is to be sent before; false: that has ended c otherwise. */
static bool send_close_frame(struct conn *c, int code, const char *text, size_t len)
{
	if (c->link.pending)
		output_flush(c);
	conn_settle(c);
	if (c->state_now != CONN_OPEN)
		return false;
	c->code = (uint16_t)code & 0x1fff;
	output_close(c, code, text, len);
	return true;
}

void conn_close(struct conn *c, int code, enum reason reason, const char *text, size_t len)
{
	if (c->state_now != CONN_OPEN || !send_close_frame(c, code, text, len))
		return;
	start_closing(c, CONN_CLOSING, reason);
	conn_settle(c);
	conn_update_interest(c);
}

void conn_close_word(struct conn *c, int code, enum reason reason)
{
	const char *word = reason_word(reason);

	conn_close(c, code, reason, word, strlen(word));
}

/*
 * Our direction ends as soon as what is pending has left; then the peer is to end its own.
 */
void conn_end(struct conn *c, int code, enum reason reason, const char *text, size_t len)
{
	if (c->state_now == CONN_OPEN && code != 0)
		send_close_frame(c, code, text, len);
	if (c->state_now >= CONN_ENDING)
		return;
	start_closing(c, CONN_ENDING, reason);
	output_uncork(c);
	conn_settle(c);
	if (c->state_now == CONN_ENDING && !output_has_unsent(c))
		link_end(&c->link);
}

static void end_open(struct conn *c)
{
	const struct behaviour *b = c->endpoint->behaviour;

	if (b->close && !conn_is_late(c))
		b->close(c, c->endpoint->opts, conn_state(c), conn_close_code(c));
	if (c->admission)
		registry_remove(&c->admission->member);
	entry_last(c);
	if (c->endpoint->limits.access_log)
		entry_closed(c);
}

static void conn_free(struct conn *c)
{
	chosen_forget(c);
	leaving_forget(c);
	memory_forget(c);
	park_forget(c);
	if (!c->opening)
		end_open(c);
	if (c->extra)
		quota_give_back(c);
	if (c->opening)
		opening_end(c);
	ws_decoder_fini(&c->decoder);
	compress_free(c);
	link_fini(&c->link);
	conn_free_belongings(c);
	free(c);
	session.conns--;
}

bool conn_reap(void)
{
	struct conn *c;

	while ((c = TAILQ_FIRST(&dead))) {
		TAILQ_REMOVE(&dead, c, entry);
		metrics_beat();
		turn_spend(TURN_END);
		conn_free(c);
		if (turn_is_over())
			break;
	}
	return !TAILQ_EMPTY(&dead);
}
