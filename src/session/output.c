/*
 * output.c - frames out: what a connection sends, put into frames and onto its link.
 *
 * While a connection's input is handled its output is gathered (corked) and leaves in one system
 * call at the end. Elsewhere, as in a room's delivery, it is written at once. What the socket
 * does not take is kept up to max_pending; what becomes of more is the endpoint's policy. Nothing
 * here ends a connection: its link remembers what came of it, for conn_settle.
 */
#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/counted.h"
#include "config/config.h"
#include "net/wide.h"
#include "session/compress.h"
#include "session/conn_internal.h"
#include "session/counting.h"
#include "session/session.h"
#include "session/slices.h"
#include "session/turn.h"

enum { PARTS_MAX = 3, PING_TOKEN = 4, GATHERED_SHORT = 4096, COMPRESSED_KEPT = 64 * 1024 };

/* A message while it is being compressed for one connection. */
static struct buffer compressed;

void output_fini(void)
{
	buffer_free(&compressed);
}

/*
 * Messages that were compressed with one in mind that is dropped cannot follow it, nor may any
 * where c is closed instead. Once it is closing its close frame is to follow, and that may.
 */
static enum link_policy policy_of(const struct conn *c)
{
	const int slow = c->endpoint->limits.slow_consumer;

	if (slow == SLOW_CONSUMER_CLOSE && c->state_now == CONN_OPEN)
		return LINK_STOP;
	if (slow == SLOW_CONSUMER_CLOSE || compress_class(c) < 0)
		return LINK_DROP_REST;
	switch (slow) {
	case SLOW_CONSUMER_DROP_OLDEST:
		return LINK_DROP_OLDEST;
	case SLOW_CONSUMER_LATEST:
		return LINK_DROP_OTHERS;
	default:
		return LINK_DROP_ONE;
	}
}

/* How c is told of messages that it does not get, in *f. NULL: it is not. */
const struct gap_form *output_told(const struct conn *c, struct gap_form *f)
{
	const struct room_member *m = c->admission ? &c->admission->member : NULL;

	if (!m || !m->room || !m->json)
		return NULL;
	*f = m->room->envelope.gap;
	f->newest = bus_sequence(session.bus, m->room->bus);
	return f;
}

size_t output_told_waits(const struct conn *c)
{
	return link_told(&c->link) + (c->deflate ? c->deflate->waiting.told : 0);
}

/* What is dropped or waits is no activity, nor is what is no message. */
static inline void note_sent(struct conn *c, const struct link_run *r)
{
	if (r->messages > 0)
		c->last_data = session.now;
}

/* What a wide socket has taken beyond what others take is as if it waited here. */
static size_t space_of(const struct conn *c)
{
	size_t max = (size_t)c->endpoint->limits.max_pending;
	size_t excess = wide_excess(&c->link.transport);

	return excess < max ? max - excess : 0;
}

/* Not inline: what it needs is not to be paid for by what is taken at once. */
static __attribute__((noinline)) enum link_verdict keep(struct conn *c, const struct link_run *r,
							size_t sent)
{
	struct link_count n = { 0 };
	struct gap_form form;
	enum link_verdict v;

	if (sent > 0)
		note_sent(c, r);
	/* Of HTTP nothing is dropped, and there may be no endpoint yet. */
	if (r->http == r->len)
		return link_keep(&c->link, r, sent, 0, LINK_DROP_ONE, NULL, &n);
	v = link_keep(&c->link, r, sent, space_of(c), policy_of(c), output_told(c, &form), &n);
	counting_sent(c->endpoint->cell, &n);
	if (v == LINK_DROPPED || v == LINK_OVER)
		compress_forget(c);
	return v;
}

static enum link_verdict write_run(struct conn *c, const struct link_run *r)
{
	size_t sent;
	enum link_verdict v = link_send(&c->link, r, c->state_now == CONN_ENDING, &sent);

	if (v == LINK_TAKEN)
		note_sent(c, r);
	else if (v == LINK_KEPT)
		v = keep(c, r, sent);
	return v;
}

/* The same, and what was taken as a whole is counted here: of a connection's own frames. */
static inline enum link_verdict write_counted(struct conn *c, const struct link_run *r)
{
	enum link_verdict v = write_run(c, r);

	/* HTTP goes to those, too, that have no endpoint. */
	if (v == LINK_TAKEN && c->endpoint)
		counting_run(c->endpoint->cell, r, 1);
	return v;
}

static inline enum link_verdict write_gathered(struct conn *c)
{
	const struct link_run *gathered = link_gathered(&c->link);

	return gathered ? write_counted(c, gathered) : LINK_TAKEN;
}

enum link_verdict output_flush(struct conn *c)
{
	enum link_verdict v = write_gathered(c);

	if (link_is_corked(&c->link))
		link_cork(&c->link);
	return v;
}

void output_uncork(struct conn *c)
{
	if (!link_is_corked(&c->link))
		return;
	if (c->state_now != CONN_DEAD)
		write_gathered(c);
	link_uncork(&c->link);
}

static uint32_t others_of(uint64_t mark)
{
	size_t len = link_mark_length(mark);

	switch (link_mark_kind(mark)) {
	case LINK_MESSAGE:
	case LINK_TOLD:
		return link_header_more(len);
	case LINK_CONTROL:
		return (uint32_t)len;
	default:
		return 0;
	}
}

/* A message is dropped behind all that is gathered or pending. */
static void lose(struct conn *c, uint64_t mark)
{
	struct gap_form form;

	link_drop(&c->link, 1);
	if (output_told(c, &form))
		link_lose(&c->link, &form, link_mark_gap(mark, form.newest));
}

/*
 * Writes a frame, or, true, only what was gathered ahead of it: a short one begins what is gathered next.
 * What was gathered, and dropped, may be what it refers to. Not inline: what it needs is not to be
 * paid for by each that is gathered.
 */
static __attribute__((noinline)) bool write_frame(struct conn *c, const struct iovec *parts,
						  int count, uint64_t mark)
{
	size_t len = link_mark_length(mark);
	bool message = link_mark_is_message(mark);
	const struct iovec *last = &parts[count - 1];
	const struct link_run run = {
		.parts = parts,
		.count = count,
		.len = len,
		.marks = &mark,
		.frames = 1,
		.messages = message,
		.http = link_mark_kind(mark) == LINK_HTTP ? (uint32_t)len : 0,
		.others = others_of(mark),
		.given = ws_decoder_lent(&c->decoder, last->iov_base, last->iov_len),
	};

	if (output_flush(c) == LINK_DROPPED && link_mark_kind(mark) == LINK_MESSAGE &&
	    policy_of(c) == LINK_DROP_REST) {
		lose(c, mark);
		compress_forget(c);
		return false;
	}
	if (len <= GATHERED_SHORT && link_is_corked(&c->link))
		return true;
	write_counted(c, &run);
	return false;
}

/* Gathers a frame if c is corked and there is space, else writes it. as: its mark, without a length. */
static void put(struct conn *c, const struct iovec *parts, int count, size_t len, uint64_t as)
{
	uint64_t mark = as | link_mark(len, 0);

	while (!link_gather(&c->link, parts, count, mark) && write_frame(c, parts, count, mark))
		;
}

static void put_bytes(struct conn *c, const void *p, size_t len, uint64_t as)
{
	put(c, &(struct iovec){ (void *)p, len }, 1, len, as);
}

void output_http(struct conn *c, const void *bytes, size_t len)
{
	put_bytes(c, bytes, len, LINK_HTTP);
}

bool output_run(struct conn *c, const struct link_run *r)
{
	return c->state_now == CONN_OPEN && write_run(c, r) == LINK_TAKEN;
}

void output_frame(struct conn *c, const void *frame, uint64_t mark)
{
	if (c->state_now == CONN_OPEN)
		put_bytes(c, frame, link_mark_length(mark), mark);
}

bool output_takes(const struct conn *c, size_t len)
{
	if (output_waits(c) || slices_are_more_for(c, len))
		return false;
	return compress_class(c) >= 0 || (!c->link.pending && !turn_is_over());
}

/* Of one whose socket takes nothing no more is kept than of one without compression. */
static bool is_too_much(const struct conn *c, size_t len)
{
	const struct uncompressed *u = &c->deflate->waiting;

	return u->count > 0 && !u->list &&
	       (u->count >= UNCOMPRESSED_MOST ||
		u->bytes - u->told + len > (size_t)c->endpoint->limits.max_pending);
}

/*
 * Those that wait give way to one of so many bytes, as slow_consumer has it: they are not compressed
 * yet, so nothing refers to them. The first may be half compressed, and stays.
 */
static void make_space(struct conn *c, size_t len)
{
	const struct config_limits *l = &c->endpoint->limits;
	struct uncompressed *u = &c->deflate->waiting;
	const bool all = l->slow_consumer == SLOW_CONSUMER_LATEST && !u->list;
	struct gap_form form;

	if (l->slow_consumer < SLOW_CONSUMER_DROP_OLDEST || len > (size_t)l->max_pending)
		return;
	while ((all || is_too_much(c, len)) &&
	       uncompressed_drop(u, c->deflate->job.by || c->deflate->out.len > 0,
				 output_told(c, &form)))
		link_drop(&c->link, 1);
}

/* What is long, and all of what came in memory of its own, is kept with that, and not copied. */
static struct counted *take_lent(struct conn *c, const struct iovec *parts, int count)
{
	const struct iovec *last = &parts[count - 1];
	struct buffer *lent = ws_decoder_lent(&c->decoder, last->iov_base, last->iov_len);

	if (!lent || lent->len < LINK_GIVEN_MIN || bytes_of_parts(parts, count) > lent->len)
		return NULL;
	return counted_new_given(lent);
}

static void keep_for_later(struct conn *c, enum ws_opcode opcode, uint64_t as,
			   const struct iovec *parts, int count, struct counted *holder)
{
	struct counted *own = holder ? NULL : take_lent(c, parts, count);
	const struct iovec taken = { own ? own->bytes : NULL, own ? own->size : 0 };
	bool kept;

	if (own) {
		parts = &taken;
		count = 1;
		holder = own;
	}
	kept = uncompressed_put(&c->deflate->waiting, c, opcode, as, parts, count, holder);
	counted_release(own);
	if (!kept) {
		link_fail(&c->link, ENOMEM);
		return;
	}
	uncompressed_ready(&c->deflate->waiting, !c->link.pending);
	if (c->link.pending)
		link_keep_behind(&c->link);
}

/* One is too much, behind others that wait to be compressed. */
static void not_later(struct conn *c, uint64_t as)
{
	struct gap_form form;
	struct gap lost = { 0 };

	if (policy_of(c) == LINK_STOP) {
		link_stop(&c->link);
		return;
	}
	link_drop(&c->link, 1);
	if (output_told(c, &form))
		lost = link_mark_gap(as, form.newest);
	if (lost.last != 0 && !uncompressed_lose(&c->deflate->waiting, lost))
		link_fail(&c->link, ENOMEM);
}

/* A message is to be compressed later. */
static void put_off(struct conn *c, enum ws_opcode opcode, uint64_t as, const struct iovec *parts,
		    int count, struct counted *holder)
{
	const size_t len = bytes_of_parts(parts, count);

	if (link_mark_kind(as) == LINK_MESSAGE) {
		make_space(c, len);
		if (is_too_much(c, len)) {
			not_later(c, as);
			return;
		}
	}
	keep_for_later(c, opcode, as, parts, count, holder);
}

void output_message(struct conn *c, enum ws_opcode opcode, uint64_t as, const struct iovec *parts,
		    int count, struct counted *holder)
{
	const size_t len = bytes_of_parts(parts, count);

	if (c->state_now != CONN_OPEN)
		return;
	if (!output_takes(c, len)) {
		put_off(c, opcode, as, parts, count, holder);
		return;
	}
	buffer_reset(&compressed, COMPRESSED_KEPT);
	if (compress_for(c, opcode, parts, count, &compressed))
		put_bytes(c, compressed.p, compressed.len, as);
	else
		link_fail(&c->link, ENOMEM);
}

/* The first of what waits. False: it is not whole yet. */
static bool put_first(struct conn *c, const struct uncompressed_message *m)
{
	struct buffer *out = &c->deflate->out;
	struct gap_form form;

	if (m->gap.last != 0) {
		output_flush(c);
		if (output_told(c, &form))
			link_lose(&c->link, &form, m->gap);
		return true;
	}
	if (m->opcode == WS_CLOSE) {
		put_bytes(c, m->payload.iov_base, m->payload.iov_len, LINK_CONTROL);
		return true;
	}
	switch (compress_go_on(c, m->opcode, &m->payload)) {
	case COMPRESS_LATER:
		return false;
	case COMPRESS_NO_MEMORY:
		link_fail(&c->link, ENOMEM);
		break;
	case COMPRESS_DONE:
		turn_spend(TURN_CALL);
		put_bytes(c, out->p, out->len, m->as);
		break;
	}
	compress_forget_out(c);
	return true;
}

void output_go_on(struct conn *c)
{
	struct uncompressed *u = &c->deflate->waiting;

	if (put_first(c, uncompressed_first(u)))
		uncompressed_shift(u);
	if (c->link.pending)
		uncompressed_ready(u, false);
}

void conn_send(struct conn *c, enum ws_opcode opcode, const void *prefix, size_t prefix_len,
	       const void *data, size_t len)
{
	const uint64_t as = link_mark(0, LINK_MESSAGE);
	uint8_t header[WS_HEADER_MAX];
	size_t header_len = ws_encode_header(header, opcode, prefix_len + len);
	struct iovec iov[PARTS_MAX] = {
		{ header, header_len },
		{ (void *)prefix, prefix_len },
		{ (void *)data, len },
	};

	if (c->state_now != CONN_OPEN)
		return;
	if (c->deflate) {
		output_message(c, opcode, as, iov + 1, PARTS_MAX - 1, NULL);
		return;
	}
	put(c, iov, PARTS_MAX, header_len + prefix_len + len, as);
}

void output_text(struct conn *c, uint64_t as, const void *text, size_t len)
{
	uint8_t header[WS_HEADER_MAX];
	const struct iovec iov[] = { { header, ws_encode_header(header, WS_TEXT, len) },
				     { (void *)text, len } };

	if (c->state_now != CONN_OPEN)
		return;
	if (c->deflate)
		output_message(c, WS_TEXT, as, iov + 1, 1, NULL);
	else
		put(c, iov, 2, iov[0].iov_len + len, as);
}

void conn_send_back(struct conn *c, const struct ws_message *m)
{
	size_t len;
	uint8_t *frame =
		c->deflate || c->state_now != CONN_OPEN ? NULL : ws_encode_in_place(m, &len);

	if (!frame) {
		conn_send(c, m->opcode, NULL, 0, m->data, m->len);
		return;
	}
	/* What is gathered may begin, and end, with a frame that stays where it is. */
	if (!link_gather_lent(&c->link, frame, len))
		output_frame(c, frame, link_mark(len, LINK_MESSAGE));
}

/* Behind a blocked socket only the newest pong is worth keeping. */
void output_pong(struct conn *c, const void *data, size_t len)
{
	uint8_t frame[2 + WS_CONTROL_MAX];
	size_t header = ws_encode_header(frame, WS_PONG, len);

	bytes_copy(frame + header, data, len);
	if (c->link.pending)
		link_keep_pong(&c->link, frame, header + len);
	else
		put_bytes(c, frame, header + len, LINK_CONTROL);
}

void output_ping(struct conn *c)
{
	uint8_t frame[2 + PING_TOKEN] = { 0x80 | WS_PING, PING_TOKEN };

	/* A blocked socket cannot be pinged; whether it goes on taking bytes tells enough. */
	if (c->link.pending)
		return;
	c->ping = (uint32_t)session_clock_us();
	c->ping_state = PING_AWAITED;
	memcpy(frame + 2, &c->ping, PING_TOKEN);
	put_bytes(c, frame, sizeof(frame), LINK_CONTROL);
}

void output_ping_answered(struct conn *c, const void *data, size_t len)
{
	if (c->ping_state != PING_AWAITED || len != PING_TOKEN ||
	    memcmp(data, &c->ping, PING_TOKEN) != 0)
		return;
	c->ping = (uint32_t)session_clock_us() - c->ping;
	c->ping_state = PING_ANSWERED;
	metrics_time(&session.row->round_trip, c->ping);
}

/* Behind all that waits. */
void output_close(struct conn *c, int code, const char *text, size_t len)
{
	uint8_t frame[2 + WS_CONTROL_MAX];
	size_t n = ws_encode_close(frame, (uint16_t)code, text, len);

	if (output_waits(c)) {
		keep_for_later(c, WS_CLOSE, link_mark(0, LINK_CONTROL), &(struct iovec){ frame, n },
			       1, NULL);
		return;
	}
	if (c->link.pending)
		link_place_pong(&c->link);
	put_bytes(c, frame, n, LINK_CONTROL);
}
