/*
 * conn.c - the life of one connection.
 *
 *	PROXY -> TLS -> UPGRADE -> OPEN -> CLOSING -> ENDING -> DEAD
 *
 * (The first two where the listener has them; a refusal goes to ENDING at once, and every state
 * may go to DEAD.) Nothing is freed
 * inside a callback: what is DEAD waits in a list for conn_reap, once after the
 * loop turn. An end is never a reset that could swallow our last bytes: we end our
 * direction behind them and read on until the peer has ended its own, or
 * close_timeout has passed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "behaviour.h"
#include "config/config.h"
#include "net/tls.h"
#include "session/compress.h"
#include "session/conn_internal.h"
#include "session/listener.h"
#include "session/session.h"

static struct conn_list dead = TAILQ_HEAD_INITIALIZER(dead);

/* What is done with bytes from the peer. */
enum input {
	READ_NOT, /* they stay where they are */
	READ_PROXY,
	READ_TLS, /* by OpenSSL, unless it has to write first */
	READ_HEAD,
	READ_FRAMES,
	READ_CLOSE, /* frames, of which only the close frame counts */
	READ_NOTHING, /* they are thrown away, up to the end */
};

/* next: a bit for each state that may follow. */
static const struct {
	const char *name;
	enum input input;
	uint8_t next;
} states[] = {
	[CONN_PROXY] = { "PROXY", READ_PROXY, 1 << CONN_TLS | 1 << CONN_UPGRADE | 1 << CONN_DEAD },
	[CONN_TLS] = { "TLS", READ_TLS, 1 << CONN_UPGRADE | 1 << CONN_DEAD },
	[CONN_UPGRADE] = { "UPGRADE", READ_HEAD,
			   1 << CONN_OPEN | 1 << CONN_ENDING | 1 << CONN_DEAD },
	[CONN_OPEN] = { "OPEN", READ_FRAMES,
			1 << CONN_CLOSING | 1 << CONN_ENDING | 1 << CONN_DEAD },
	[CONN_CLOSING] = { "CLOSING", READ_CLOSE, 1 << CONN_ENDING | 1 << CONN_DEAD },
	[CONN_ENDING] = { "ENDING", READ_NOTHING, 1 << CONN_DEAD },
	[CONN_DEAD] = { "DEAD", READ_NOT, 0 },
};

int64_t conn_clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t conn_clock(void)
{
	return conn_clock_us() / 1000;
}

static void count(_Atomic uint32_t *gauge, int by)
{
	atomic_store_explicit(gauge,
			      atomic_load_explicit(gauge, memory_order_relaxed) + (uint32_t)by,
			      memory_order_relaxed);
}

static void count_state(int state, int by)
{
	if (state <= CONN_UPGRADE)
		count(&session.row->handshakes, by);
	/* OPEN counts itself when it is admitted; see handshake.c. */
}

void conn_set_state(struct conn *c, enum conn_state to)
{
	if (!(states[c->state_now].next & 1 << to)) {
		log_err(&(struct log_fields){ .event = LOG_EVENT_CONN_STATE, .conn = c->id },
			"a connection cannot go from %s to %s; please report this",
			states[c->state_now].name, states[to].name);
		return;
	}
	log_debug((&(struct log_fields){
			  .event = LOG_EVENT_CONN_STATE, .conn = c->id, .reason = c->reason }),
		  "%s -> %s", states[c->state_now].name, states[to].name);
	count_state(c->state_now, -1);
	count_state(to, 1);
	c->state_now = (uint8_t)to;
}

int conn_close_code(const struct conn *c)
{
	return c->code ? c->code : WS_CLOSE_ABNORMAL;
}

enum reason conn_close_reason(const struct conn *c)
{
	return c->reason;
}

/* A connection keeps the snapshot of its endpoint alive. */
void conn_set_endpoint(struct conn *c, const struct config_endpoint *e)
{
	const struct config_endpoint *old = c->endpoint;

	if (e)
		config_ref((struct config *)e->config);
	c->endpoint = e;
	if (old)
		config_unref((struct config *)old->config);
}

static void event_cb(evutil_socket_t fd, short what, void *arg);

static struct conn *new_conn(int fd, struct listener *l)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	if (transport_init(&c->transport, session.base, fd, event_cb, c) < 0) {
		free(c);
		return NULL;
	}
	if (l->tls && !l->proxy_protocol && tls_start(&c->transport, l->tls) < 0) {
		event_del(&c->transport.event);
		free(c);
		return NULL;
	}
	return c;
}

void session_accept(int fd, const struct net_peer *peer, void *arg)
{
	struct listener *l = arg;
	struct conn *c = new_conn(fd, l);

	metrics_add(&session.row->accepted, 1);
	if (!c) {
		close(fd);
		metrics_add(&session.row->ends[REASON_NO_MEMORY], 1);
		return;
	}
	c->id = session.next_conn++;
	c->peer = *peer;
	c->listener = listener_ref(l);
	c->state_now = l->proxy_protocol ? CONN_PROXY : l->tls ? CONN_TLS : CONN_UPGRADE;
	count_state(c->state_now, 1);
	c->mark = c->last_rx = session.now;
	timer_add(c, handshake_deadline(c));
	session.conns++;
}

/* The first reason is the one that counts. */
static void note_reason(struct conn *c, enum reason reason)
{
	if (c->reason == REASON_NONE)
		c->reason = (uint8_t)reason;
}

void conn_kill(struct conn *c, enum reason reason)
{
	if (c->state_now == CONN_DEAD)
		return;
	note_reason(c, reason);
	timer_remove(c);
	conn_set_state(c, CONN_DEAD);
	TAILQ_INSERT_TAIL(&dead, c, link);
	transport_want(&c->transport, false, false);
}

/* What cannot be taken now would call for it in vain, again and again. */
static bool reads(const struct conn *c)
{
	switch (states[c->state_now].input) {
	case READ_NOT:
		return false;
	case READ_TLS:
		return !c->transport.want_write;
	case READ_FRAMES:
		return !c->parked;
	default:
		return !c->ended;
	}
}

void conn_update_interest(struct conn *c)
{
	if (c->state_now != CONN_DEAD &&
	    transport_want(&c->transport, reads(c), conn_has_unsent(c)) < 0)
		conn_kill(c, REASON_NO_MEMORY);
}

/*
 * What came with the last bytes and waits inside, for which no event will come. A parked
 * connection leaves it there: it is read when that one goes on.
 */
void conn_read_rest(struct conn *c)
{
	if (reads(c) && transport_ops(&c->transport)->pending(&c->transport) > 0)
		transport_read_again(&c->transport);
}

/* What close_timeout counts from is the first step towards the end. */
static void start_closing(struct conn *c, enum conn_state to)
{
	if (c->state_now == CONN_OPEN && c->parked)
		input_unpark(c);
	if (c->state_now < CONN_CLOSING)
		c->mark = session.now;
	conn_set_state(c, to);
	timer_update(c);
}

/*
 * Nothing more is to be sent: end our direction as soon as what is pending has
 * left, then wait for the peer to end its own.
 */
void conn_end_output(struct conn *c, enum reason reason)
{
	if (c->state_now >= CONN_ENDING)
		return;
	note_reason(c, reason);
	start_closing(c, CONN_ENDING);
	output_uncork(c);
	if (c->state_now == CONN_ENDING && !conn_has_unsent(c))
		transport_ops(&c->transport)->shutdown(&c->transport);
}

void conn_close(struct conn *c, int code, enum reason reason, const char *text, size_t len)
{
	if (c->state_now != CONN_OPEN)
		return;
	c->code = (uint16_t)code;
	output_close(c, code, text, len);
	if (c->state_now != CONN_OPEN)
		return;
	note_reason(c, reason);
	start_closing(c, CONN_CLOSING);
	conn_update_interest(c);
}

void conn_close_word(struct conn *c, int code, enum reason reason)
{
	const char *word = reason_word(reason);

	conn_close(c, code, reason, word, strlen(word));
}

enum reason conn_why_broken(int error)
{
	switch (error) {
	case ETIMEDOUT:
		return REASON_PING_TIMEOUT;
	case EPROTO:
		return REASON_TLS_ERROR;
	default:
		return REASON_RESET;
	}
}

/* Who has said its last word may still wait for ours: that goes on, up to close_timeout. */
static void peer_ended(struct conn *c)
{
	if (c->state_now != CONN_ENDING || !conn_has_unsent(c)) {
		conn_kill(c, REASON_PEER_GONE);
		return;
	}
	c->ended = true;
	conn_update_interest(c);
}

static void take_input(struct conn *c, uint8_t *p, uint8_t *end)
{
	switch (states[c->state_now].input) {
	case READ_HEAD:
		handshake_input(c, p, end);
		break;
	case READ_FRAMES:
	case READ_CLOSE:
		input_bytes(c, p, end);
		break;
	default:
		break;
	}
}

static void read_some(struct conn *c)
{
	static uint8_t buffer[256 * 1024];
	ssize_t n = transport_ops(&c->transport)->read(&c->transport, buffer, sizeof(buffer));

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
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
	take_input(c, buffer, buffer + n);
	if ((size_t)n == sizeof(buffer))
		conn_read_rest(c);
}

static void handle_event(struct conn *c, short what)
{
	atomic_store_explicit(&session.row->activity, ACTIVITY_READING, memory_order_relaxed);
	atomic_store_explicit(&session.row->conn, c->id, memory_order_relaxed);
	if (c->state_now == CONN_PROXY && !origin_go_on(c))
		return;
	if (c->state_now == CONN_TLS) {
		if (!secure_go_on(c))
			return;
		/* The request may have come with the end of the handshake. */
		what |= EV_READ;
	}
	if (what & EV_WRITE && c->state_now != CONN_DEAD)
		output_writable(c);
	if (what & EV_READ && c->state_now != CONN_DEAD)
		read_some(c);
	if (c->transport.want_write)
		conn_update_interest(c);
}

static void event_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	handle_event(arg, what);
}

static void end_open(struct conn *c)
{
	const struct behaviour *b = c->endpoint->behaviour;

	if (b->close)
		b->close(c, c->endpoint->opts, c->state, conn_close_code(c));
	count(&session.row->open, -1);
	entry_last(c);
	if (c->endpoint->limits.access_log)
		entry_closed(c);
}

struct conn_extra *conn_need_extra(struct conn *c)
{
	if (!c->extra)
		c->extra = calloc(1, sizeof(*c->extra));
	return c->extra;
}

static void free_extra(struct conn_extra *extra)
{
	if (extra)
		free(extra->client);
	free(extra);
}

static void conn_free(struct conn *c)
{
	if (c->opened_behaviour)
		end_open(c);
	metrics_add(&session.row->ends[c->reason], 1);
	if (!c->opened_behaviour)
		free(c->head);
	else if (c->parked)
		input_unpark(c);
	output_free(c);
	ws_decoder_fini(&c->decoder);
	if (c->judged)
		compress_free(c);
	origin_done(c);
	transport_fini(&c->transport);
	conn_set_endpoint(c, NULL);
	free_extra(c->extra);
	free(c->state);
	free(c);
	session.conns--;
}

void conn_reap(void)
{
	struct conn *c;

	while ((c = TAILQ_FIRST(&dead))) {
		TAILQ_REMOVE(&dead, c, link);
		metrics_beat();
		conn_free(c);
	}
}

/* Who sends it byte by byte is not to cost more than who does not: its room doubles. */
static struct conn_head *grow_head(struct conn_head *head, size_t len)
{
	size_t size = head ? 2 * head->size : 0;
	struct conn_head *grown;

	size = size > len ? size : len;
	grown = realloc(head, sizeof(*grown) + size);
	if (!grown)
		return NULL;
	if (!head)
		memset(grown, 0, sizeof(*grown));
	grown->size = size;
	return grown;
}

struct conn_head *conn_gather(struct conn *c, const void *p, size_t n)
{
	struct conn_head *head = c->head;
	size_t had = head ? head->len : 0;

	if (!head || had + n > head->size)
		head = grow_head(head, had + n);
	if (!head) {
		conn_kill(c, REASON_NO_MEMORY);
		return NULL;
	}
	c->head = head;
	memcpy(head->bytes + had, p, n);
	head->len = had + n;
	return head;
}

void conn_forget_head(struct conn *c)
{
	free(c->head);
	c->head = NULL;
}

/* All that are not dead. */
void conn_each(void (*fn)(struct conn *c, void *arg), void *arg)
{
	timer_each(fn, arg);
}
