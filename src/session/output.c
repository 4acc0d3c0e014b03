/*
 * output.c - frames out.
 *
 * While a connection's input is handled its output is gathered (corked) in one
 * buffer of the worker and leaves in one system call at the end. Elsewhere, as
 * in a room's delivery, it is written at once. What the socket does not take
 * is kept, whole frames at a time beyond the one that was cut, up to
 * max_pending; only then is the write event wanted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/block.h"
#include "base/bytes.h"
#include "base/log.h"
#include "config/config.h"
#include "session/compress.h"
#include "session/conn_internal.h"
#include "session/session.h"

enum { CORK_SIZE = 64 * 1024, PARTS_MAX = 3, PING_TOKEN = 4, COMPRESSED_KEPT = 64 * 1024 };

static struct {
	struct conn *owner; /* whose output is being gathered; NULL: nobody's */
	size_t head; /* bytes of HTTP ahead of the first frame */
	size_t len;
	uint8_t *p; /* data, or the only frame so far, which lies in the input */
	uint8_t data[CORK_SIZE];
} cork;

/* A message while it is being compressed for one connection. */
static struct buffer compressed;

void output_fini(void)
{
	buffer_free(&compressed);
}

void output_free(struct conn *c)
{
	if (cork.owner == c)
		cork.owner = NULL;
	if (c->pending)
		block_free(c->pending->data, c->pending->size);
	free(c->pending);
	c->pending = NULL;
}

/*
 * Where the frame at p[at] ends. What came from the log is not believed: a frame that is
 * longer than the run that it is in ends with the run.
 */
static size_t frame_end(const uint8_t *p, size_t at, size_t end)
{
	uint8_t head[WS_HEADER_MAX] = { 0 };
	size_t left = end - at, header;
	uint64_t payload;

	memcpy(head, p + at, left < sizeof(head) ? left : sizeof(head));
	header = ws_own_header(head, &payload);
	return header <= left && payload <= left - header ? at + header + (size_t)payload : end;
}

static bool is_control(const uint8_t *frame)
{
	return (frame[0] & 0x0f) >= WS_CLOSE;
}

/* A frame that counts as sent is not. */
static void uncount(struct conn *c, const uint8_t *frame, size_t len)
{
	c->messages_out -= is_control(frame) ? 0 : 1;
	c->bytes_out -= len;
}

static bool pending_reserve(struct conn_pending *p, size_t more)
{
	size_t used = p->end - p->start, size = p->size ? p->size : 1024;
	uint8_t *data;

	if (p->end + more <= p->size)
		return true;
	if (p->start > 0) {
		memmove(p->data, p->data + p->start, used);
		p->boundary -= p->start;
		p->start = 0;
		p->end = used;
	}
	while (size < used + more)
		size *= 2;
	if (size == p->size)
		return true;
	data = block_resize(p->data, p->end, p->size, size);
	if (!data)
		return false;
	p->data = data;
	p->size = size;
	return true;
}

static bool pending_append(struct conn *c, const void *bytes, size_t len)
{
	struct conn_pending *p = c->pending;

	if (!p) {
		p = c->pending = calloc(1, sizeof(*p));
		if (!p)
			return false;
	}
	if (!pending_reserve(p, len))
		return false;
	bytes_copy(p->data + p->end, bytes, len);
	p->end += len;
	return true;
}

/* Forgets all frames of which nothing was sent yet. */
static void pending_cut(struct conn *c)
{
	struct conn_pending *p = c->pending;

	for (size_t at = p->boundary, next; at < p->end; at = next) {
		metrics_beat();
		next = frame_end(p->data, at, p->end);
		uncount(c, p->data + at, next - at);
	}
	if (p->boundary < p->end)
		p->end = p->boundary;
}

static void slow_consumer(struct conn *c)
{
	if (c->pending)
		pending_cut(c);
	conn_close_word(c, WS_CLOSE_TRY_AGAIN, REASON_SLOW_CONSUMER);
}

static void drop(struct conn *c)
{
	metrics_add(&session.row->dropped, 1);
	if (conn_need_extra(c) && c->extra->dropped++ == 0)
		entry_dropping(c);
}

/* One whole message more than max_pending allows. */
static void drop_or_close(struct conn *c, const uint8_t *frame, size_t len)
{
	uncount(c, frame, len);
	compress_forget(c);
	if (c->endpoint->limits.slow_consumer == SLOW_CONSUMER_CLOSE)
		slow_consumer(c);
	else
		drop(c);
}

static bool fits(const struct conn *c, size_t len)
{
	size_t used = c->pending ? c->pending->end - c->pending->start : 0;

	return used + len <= (size_t)c->endpoint->limits.max_pending;
}

static size_t parts_length(const struct iovec *iov, int count)
{
	size_t len = 0;

	for (int i = 0; i < count; i++)
		len += iov[i].iov_len;
	return len;
}

static void keep_bytes(struct conn *c, const void *bytes, size_t len)
{
	if (c->state_now != CONN_DEAD && !pending_append(c, bytes, len))
		conn_kill(c, REASON_NO_MEMORY);
}

/*
 * Whether messages may follow one that was dropped: not those that were compressed with it
 * in mind, nor any where c was to be closed instead. (It may be closing already: its close
 * frame is at the end of the run.)
 */
static bool may_follow_dropped(const struct conn *c)
{
	return c->endpoint->limits.slow_consumer != SLOW_CONSUMER_CLOSE && compress_class(c) >= 0;
}

/* Keeps one whole frame given in parts, by the endpoint's policy. */
static void keep_frame(struct conn *c, const struct iovec *iov, int count, bool *dropped)
{
	if (!is_control(iov[0].iov_base) &&
	    (!fits(c, parts_length(iov, count)) || (*dropped && !may_follow_dropped(c)))) {
		*dropped = true;
		drop_or_close(c, iov[0].iov_base, parts_length(iov, count));
		return;
	}
	for (int i = 0; i < count; i++)
		keep_bytes(c, iov[i].iov_base, iov[i].iov_len);
}

/*
 * Of a run of whole frames behind `head` other bytes, `sent` bytes have left:
 * keeps the rest of the frame that was cut, in any case, then the others, unless one of
 * them is too much and c is closed for it. Returns whether one was dropped.
 */
static bool keep_run(struct conn *c, uint8_t *p, size_t len, size_t sent, size_t head)
{
	const uint8_t state = c->state_now;
	bool dropped = false;
	size_t at = head;

	while (at < sent)
		at = frame_end(p, at, len);
	if (at > sent) {
		keep_bytes(c, p + sent, at - sent);
		if (c->pending)
			c->pending->boundary = c->pending->end;
	}
	for (size_t next; at < len; at = next) {
		next = frame_end(p, at, len);
		if (c->state_now == state)
			keep_frame(c, &(struct iovec){ p + at, next - at }, 1, &dropped);
		else
			uncount(c, p + at, next - at);
	}
	return dropped;
}

/* The same for one frame in parts. */
static void keep_parts(struct conn *c, const struct iovec *iov, int count, size_t sent)
{
	bool dropped = false;

	if (sent == 0) {
		keep_frame(c, iov, count, &dropped);
		return;
	}
	for (int i = 0; i < count; i++) {
		size_t skip = sent < iov[i].iov_len ? sent : iov[i].iov_len;

		keep_bytes(c, (uint8_t *)iov[i].iov_base + skip, iov[i].iov_len - skip);
		sent -= skip;
	}
	if (c->pending)
		c->pending->boundary = c->pending->end;
}

/* Bytes written, 0 if the socket is full, -1 if the connection is dead now. */
static ssize_t write_parts(struct conn *c, const struct iovec *iov, int count)
{
	ssize_t n = transport_ops(&c->transport)
			    ->write(&c->transport, iov, count, c->state_now == CONN_ENDING);

	if (n >= 0)
		return n;
	if (transport_is_temporary(errno))
		return 0;
	conn_kill(c, conn_why_broken(errno));
	return -1;
}

/*
 * A run of frames (one part) or one frame in parts, len bytes, of which HTTP is the first `head`.
 * Returns whether one of a run was dropped.
 */
static bool write_out(struct conn *c, const struct iovec *iov, int count, size_t len, size_t head)
{
	ssize_t sent = c->pending ? 0 : write_parts(c, iov, count);
	bool dropped = false;

	if (sent < 0)
		return false;
	if ((size_t)sent < len && count == 1)
		dropped = keep_run(c, iov->iov_base, len, (size_t)sent, head);
	else if ((size_t)sent < len)
		keep_parts(c, iov, count, (size_t)sent);
	else if (!c->transport.want_write)
		return false;
	conn_update_interest(c);
	return dropped;
}

static bool write_gathered(struct conn *c)
{
	struct iovec all = { cork.p, cork.len };
	size_t head = cork.head;

	if (cork.len == 0)
		return false;
	cork.len = cork.head = 0;
	return write_out(c, &all, 1, all.iov_len, head);
}

void output_cork(struct conn *c)
{
	cork.owner = c;
	cork.len = cork.head = 0;
	cork.p = cork.data;
}

void output_uncork(struct conn *c)
{
	if (cork.owner != c)
		return;
	if (c->state_now != CONN_DEAD)
		write_gathered(c);
	cork.owner = NULL;
}

static void gather(const struct iovec *iov, int count)
{
	if (cork.p != cork.data) {
		memcpy(cork.data, cork.p, cork.len);
		cork.p = cork.data;
	}
	for (int i = 0; i < count; i++) {
		bytes_copy(cork.data + cork.len, iov[i].iov_base, iov[i].iov_len);
		cork.len += iov[i].iov_len;
	}
}

/* Writes one frame behind those that were gathered, unless what became of them forbids it. */
static void put_behind(struct conn *c, const struct iovec *iov, int count, size_t len)
{
	const uint8_t state = c->state_now;
	bool dropped = write_gathered(c);

	if (c->state_now != state)
		uncount(c, iov[0].iov_base, len);
	else if (dropped && !may_follow_dropped(c) && !is_control(iov[0].iov_base))
		drop_or_close(c, iov[0].iov_base, len);
	else
		write_out(c, iov, count, len, 0);
}

/* Gathers if c is corked and there is room, else writes. */
static void put(struct conn *c, const struct iovec *iov, int count, size_t len)
{
	if (cork.owner != c) {
		write_out(c, iov, count, len, 0);
	} else if (cork.len + len <= sizeof(cork.data)) {
		gather(iov, count);
	} else {
		put_behind(c, iov, count, len);
	}
}

static void count_bytes(struct conn *c, size_t len)
{
	c->bytes_out += len;
	metrics_add(&session.row->bytes_out, len);
}

static void count_messages(struct conn *c, uint64_t messages)
{
	c->messages_out += messages;
	metrics_add(&session.row->messages_out, messages);
	c->last_data = session.now;
}

static void put_frames(struct conn *c, const struct iovec *iov, int count)
{
	size_t len = parts_length(iov, count);

	count_bytes(c, len);
	put(c, iov, count, len);
}

static void put_frame(struct conn *c, const void *frame, size_t len)
{
	put_frames(c, &(struct iovec){ (void *)frame, len }, 1);
}

void output_raw(struct conn *c, const void *bytes, size_t len)
{
	put(c, &(struct iovec){ (void *)bytes, len }, 1, len);
	cork.head = cork.len;
}

void output_frames(struct conn *c, const struct iovec *iov, int count, uint64_t messages)
{
	if (c->state_now != CONN_OPEN)
		return;
	count_messages(c, messages);
	put_frames(c, iov, count);
}

void output_message(struct conn *c, enum ws_opcode opcode, const struct iovec *parts, int count)
{
	if (c->state_now != CONN_OPEN)
		return;
	buffer_reset(&compressed, COMPRESSED_KEPT);
	if (compress_for(c, opcode, parts, count, &compressed))
		output_frames(c, &(struct iovec){ compressed.p, compressed.len }, 1, 1);
	else
		conn_kill(c, REASON_NO_MEMORY);
}

void conn_send(struct conn *c, enum ws_opcode opcode, const void *prefix, size_t prefix_len,
	       const void *data, size_t len)
{
	uint8_t header[WS_HEADER_MAX];
	struct iovec iov[PARTS_MAX] = {
		{ header, ws_encode_header(header, opcode, prefix_len + len) },
		{ (void *)prefix, prefix_len },
		{ (void *)data, len },
	};

	if (c->deflate)
		output_message(c, opcode, iov + 1, PARTS_MAX - 1);
	else
		output_frames(c, iov, PARTS_MAX, 1);
}

/* What is gathered begins, and may end, with a frame that stays where it is. */
static void lend(struct conn *c, uint8_t *frame, size_t len)
{
	count_messages(c, 1);
	count_bytes(c, len);
	if (cork.owner == c && cork.len == 0) {
		cork.p = frame;
		cork.len = len;
	} else {
		put(c, &(struct iovec){ frame, len }, 1, len);
	}
}

void conn_send_back(struct conn *c, const struct ws_message *m)
{
	size_t len;
	uint8_t *frame =
		c->deflate || c->state_now != CONN_OPEN ? NULL : ws_encode_in_place(m, &len);

	if (frame)
		lend(c, frame, len);
	else
		conn_send(c, m->opcode, NULL, 0, m->data, m->len);
}

/* Behind a blocked socket only the newest pong is worth keeping. */
void output_pong(struct conn *c, const void *data, size_t len)
{
	uint8_t frame[2 + WS_CONTROL_MAX];
	size_t header = ws_encode_header(frame, WS_PONG, len);

	bytes_copy(frame + header, data, len);
	if (c->pending) {
		memcpy(c->pending->pong, frame, header + len);
		c->pending->pong_len = (uint8_t)(header + len);
		return;
	}
	put_frame(c, frame, header + len);
}

void output_ping(struct conn *c)
{
	uint8_t frame[2 + PING_TOKEN] = { 0x80 | WS_PING, PING_TOKEN };

	/* A blocked socket cannot be pinged; whether it goes on taking bytes tells enough. */
	if (c->pending)
		return;
	c->ping = (uint32_t)conn_clock_us();
	c->pinged = true;
	c->answered = false;
	memcpy(frame + 2, &c->ping, PING_TOKEN);
	put_frame(c, frame, sizeof(frame));
}

void output_ping_answered(struct conn *c, const void *data, size_t len)
{
	if (!c->pinged || len != PING_TOKEN || memcmp(data, &c->ping, PING_TOKEN) != 0)
		return;
	c->ping = (uint32_t)conn_clock_us() - c->ping;
	c->pinged = false;
	c->answered = true;
	metrics_add(&session.row->pings_answered, 1);
	metrics_add(&session.row->round_trip, c->ping);
}

static void append_control(struct conn *c, const uint8_t *frame, size_t len)
{
	count_bytes(c, len);
	keep_bytes(c, frame, len);
}

static void append_pong(struct conn *c)
{
	size_t len = c->pending->pong_len;

	c->pending->pong_len = 0;
	append_control(c, c->pending->pong, len);
}

void output_close(struct conn *c, int code, const char *text, size_t len)
{
	uint8_t frame[2 + WS_CONTROL_MAX];
	size_t n = ws_encode_close(frame, (uint16_t)code, text, len);

	if (!c->pending) {
		put_frame(c, frame, n);
		return;
	}
	output_uncork(c);
	/* What was gathered may have been too much, and then c has its close frame. */
	if (c->state_now != CONN_OPEN)
		return;
	append_pong(c);
	append_control(c, frame, n);
}

static void drained(struct conn *c)
{
	output_free(c);
	conn_update_interest(c);
	/* The last record may count as written, and is not out. */
	if (c->state_now != CONN_ENDING || c->transport.want_write)
		return;
	transport_ops(&c->transport)->shutdown(&c->transport);
	if (c->ended)
		conn_kill(c, REASON_PEER_GONE);
}

void output_writable(struct conn *c)
{
	struct conn_pending *p = c->pending;
	ssize_t n;

	metrics_beat();
	if (transport_ops(&c->transport)->flush(&c->transport, c->state_now == CONN_ENDING) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			conn_kill(c, conn_why_broken(errno));
		return;
	}
	if (!p) {
		drained(c);
		return;
	}
	n = write_parts(c, &(struct iovec){ p->data + p->start, p->end - p->start }, 1);
	if (n <= 0)
		return;
	/* A peer that takes what waits for it is alive: it is not pinged meanwhile. */
	c->last_rx = session.now;
	p->start += (size_t)n;
	while (p->boundary < p->start)
		p->boundary = frame_end(p->data, p->boundary, p->end);
	if (p->start < p->end)
		return;
	if (p->pong_len > 0)
		append_pong(c);
	else
		drained(c);
}
