/*
 * frame.c - the frame decoder and encoder (RFC 6455 5).
 *
 * The common case, a whole unfragmented frame in the input, touches no memory
 * but the input: it is unmasked where it lies and lent. Whatever a read leaves
 * incomplete - a header, a frame, a fragmented message - goes into a struct
 * ws_partial, which exists only as long as there is something in it. Its buffer
 * grows with the bytes that came, not with the length that a header claims.
 *
 * A compressed frame that is a whole message is inflated into one buffer of the
 * process; of any other message what was inflated is kept, never the compressed bytes.
 * Where the caller has inflating done in slices, such a frame may turn out to be too much
 * for one: from there on it is like one that has not come whole.
 */
#include "proto/frame.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/account.h"
#include "base/bytes.h"
#include "proto/deflate.h"
#include "proto/mask.h"
#include "proto/utf8.h"

enum {
	CLIENT_HEADER_MAX = 14,
	SHORT_HEADER = 6, /* of a frame whose length is in its second byte */
	SHORT_MAX = 126,
	FIN = 0x80,
	RSV = 0x70,
	RSV1 = 0x40, /* the message is compressed (RFC 7692 6) */
	OPCODE = 0x0f,
	MASKED = 0x80,
	LENGTH = 0x7f,
	SCRATCH_KEPT = 64 * 1024, /* bytes that the buffer below keeps */
	INFLATE_CHUNK = 4096, /* that are unmasked together: more of them is more than a slice */
};

struct header {
	uint64_t payload_len;
	uint32_t key;
	uint8_t opcode;
	bool fin, compressed;
	uint8_t size; /* bytes that the header takes */
};

struct ws_partial {
	uint8_t head[CLIENT_HEADER_MAX]; /* of a header that has not come whole */
	uint8_t head_len;
	bool in_frame; /* current is being read */
	bool lent; /* an event lends one of the buffers until the next call */
	bool noted; /* since is */
	uint32_t since; /* when it began, by the caller's clock */
	uint8_t message; /* opcode of the message under way, 0: none */
	bool compressed; /* it is */
	utf8_state utf8; /* of that message's text */
	struct header current;
	uint64_t done; /* payload bytes of current that came */
	struct buffer data; /* of the message under way */
	struct buffer control; /* of a control frame */
};

/* What came out of a whole compressed frame; lent until the next call for any decoder. */
static struct buffer inflated;

struct fault {
	uint16_t code;
	enum reason reason;
};

static const struct fault PROTOCOL = { WS_CLOSE_PROTOCOL_ERROR, REASON_PROTOCOL_ERROR };
static const struct fault UNMASKED = { WS_CLOSE_PROTOCOL_ERROR, REASON_NOT_MASKED };
static const struct fault TOO_BIG = { WS_CLOSE_TOO_BIG, REASON_MESSAGE_TOO_BIG };
static const struct fault NOT_UTF8 = { WS_CLOSE_INVALID_DATA, REASON_BAD_UTF8 };
static const struct fault BAD_DEFLATE = { WS_CLOSE_INVALID_DATA, REASON_BAD_DEFLATE };
static const struct fault MEMORY = { WS_CLOSE_INTERNAL, REASON_NO_MEMORY };
/* None, but as with one there is no going on for now. */
static const struct fault PAUSED = { 0, REASON_NONE };

static bool is_control(unsigned opcode)
{
	return opcode >= WS_CLOSE;
}

static const struct fault *inflate_fault(enum inflate_result r)
{
	static const struct fault *const faults[] = {
		[INFLATE_OK] = NULL,
		[INFLATE_PAUSED] = &PAUSED,
		[INFLATE_BROKEN] = &BAD_DEFLATE,
		[INFLATE_TOO_BIG] = &TOO_BIG,
		[INFLATE_NOT_UTF8] = &NOT_UTF8,
		[INFLATE_MEMORY] = &MEMORY,
	};

	return faults[r];
}

/* A compressed message says so in its first frame only. */
static bool rsv_allowed(const struct ws_decoder *d, uint8_t b)
{
	unsigned opcode = b & OPCODE;

	return (b & RSV) == 0 ||
	       ((b & RSV) == RSV1 && d->inflate && (opcode == WS_TEXT || opcode == WS_BINARY));
}

/* What the first byte alone tells. */
static const struct fault *check_first(const struct ws_decoder *d, uint8_t b)
{
	unsigned opcode = b & OPCODE, message = d->partial ? d->partial->message : 0;

	if (!rsv_allowed(d, b) || opcode > WS_PONG || (opcode > WS_BINARY && opcode < WS_CLOSE))
		return &PROTOCOL;
	if (is_control(opcode))
		return b & FIN ? NULL : &PROTOCOL;
	if ((opcode == WS_CONTINUATION) != (message != 0))
		return &PROTOCOL;
	return NULL;
}

static const struct fault *check_second(uint8_t first, uint8_t b)
{
	if (!(b & MASKED))
		return &UNMASKED;
	if (is_control(first & OPCODE) && (b & LENGTH) > WS_CONTROL_MAX)
		return &PROTOCOL;
	if ((first & OPCODE) == WS_CLOSE && (b & LENGTH) == 1) /* half of a code */
		return &PROTOCOL;
	return NULL;
}

static uint64_t big_endian(const uint8_t *p, int n)
{
	uint64_t v = 0;

	for (int i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

/*
 * Reads a header from n bytes. Returns its size, 0 if more is needed, or -1
 * with *fault, each as early as the bytes tell.
 */
static int read_header(const struct ws_decoder *d, const uint8_t *p, size_t n, struct header *h,
		       const struct fault **fault)
{
	size_t extended;

	if (n < 1)
		return 0;
	*fault = check_first(d, p[0]);
	if (!*fault && n >= 2)
		*fault = check_second(p[0], p[1]);
	if (*fault)
		return -1;
	if (n < 2)
		return 0;
	h->fin = p[0] & FIN;
	h->opcode = p[0] & OPCODE;
	h->compressed = p[0] & RSV1;
	h->payload_len = p[1] & LENGTH;
	extended = h->payload_len < 126 ? 0 : h->payload_len == 126 ? 2 : 8;
	if (extended > 0) {
		if (extended == 8 && n > 2 && p[2] & 0x80) {
			*fault = &PROTOCOL;
			return -1;
		}
		if (n < 2 + extended)
			return 0;
		h->payload_len = big_endian(p + 2, (int)extended);
		if (h->payload_len < (extended == 2 ? 126 : 65536)) {
			*fault = &PROTOCOL;
			return -1;
		}
	}
	h->size = (uint8_t)(2 + extended + 4);
	return (int)(2 + extended);
}

static struct ws_partial *need_partial(struct ws_decoder *d)
{
	if (!d->partial)
		d->partial = calloc(1, sizeof(*d->partial));
	return d->partial;
}

static void drop_partial(struct ws_decoder *d)
{
	if (!d->partial)
		return;
	buffer_free(&d->partial->data);
	buffer_free(&d->partial->control);
	free(d->partial);
	d->partial = NULL;
}

/* Whether anything is yet to come of what it holds. */
static bool is_under_way(const struct ws_partial *s)
{
	return s->message != 0 || s->in_frame || s->head_len > 0;
}

/* What the last event lent is over; nothing may be left to keep. */
static void end_loan(struct ws_decoder *d)
{
	struct ws_partial *s = d->partial;

	if (!s || !s->lent)
		return;
	s->lent = false;
	buffer_free(&s->control);
	if (!is_under_way(s))
		drop_partial(d);
	else if (s->message == 0)
		buffer_free(&s->data);
}

/* A header that came in pieces is used up. */
static void drop_header(struct ws_decoder *d)
{
	if (!d->partial)
		return;
	d->partial->head_len = 0;
	if (d->partial->message == 0)
		drop_partial(d);
}

static enum ws_result failed(const struct fault *f, uint16_t *code, enum reason *reason)
{
	if (f == &PAUSED)
		return WS_PAUSED;
	*code = f->code;
	*reason = f->reason;
	return WS_FAILED;
}

/*
 * The bound on a whole message, as soon as the header is known. What cannot be
 * compressed gets longer by it: a little with zlib, an eighth at the most
 * elsewhere. What comes out is bounded while it is inflated.
 */
static const struct fault *check_size(const struct ws_decoder *d, const struct header *h)
{
	const struct ws_partial *s = d->partial;
	uint64_t had = s && s->message ? s->data.len : 0, max = d->max_message;
	bool compressed = h->compressed || (s && s->message && s->compressed);

	if (is_control(h->opcode))
		return NULL;
	if (compressed)
		return h->payload_len <= max + max / 8 + 64 ? NULL : &TOO_BIG;
	return had <= max && h->payload_len <= max - had ? NULL : &TOO_BIG;
}

/* What the first n bytes of a close frame's payload tell, or all of them. */
static const struct fault *check_close(const uint8_t *p, size_t n, bool whole)
{
	utf8_state s;

	if (n < 2)
		return NULL;
	if (!ws_close_code_valid((uint16_t)big_endian(p, 2)))
		return &PROTOCOL;
	s = utf8_feed(UTF8_BOUNDARY, p + 2, n - 2);
	return s == UTF8_INVALID || (whole && s != UTF8_BOUNDARY) ? &NOT_UTF8 : NULL;
}

static const struct fault *finish_close(struct ws_message *m)
{
	const struct fault *fault = check_close(m->data, m->len, true);

	m->code = WS_CLOSE_NO_STATUS;
	if (fault || m->len == 0)
		return fault;
	m->code = (uint16_t)big_endian(m->data, 2);
	m->data += 2;
	m->len -= 2;
	return NULL;
}

static struct ws_partial *begin_frame(struct ws_decoder *d, const struct header *h)
{
	struct ws_partial *s = need_partial(d);

	if (!s)
		return NULL;
	s->head_len = 0;
	s->in_frame = true;
	s->current = *h;
	s->done = 0;
	if (h->opcode == WS_TEXT || h->opcode == WS_BINARY) {
		s->message = h->opcode;
		s->compressed = h->compressed;
	}
	return s;
}

/* A frame of which `done` bytes are inflated, and the rest is unmasked, is gone on with later. */
static const struct fault *pause_whole(struct ws_decoder *d, const struct header *h, size_t done,
				       utf8_state state)
{
	struct ws_partial *s = begin_frame(d, h);

	if (!s)
		return &MEMORY;
	s->current.key = 0;
	s->done = done;
	s->utf8 = state;
	s->data = inflated;
	inflated = (struct buffer){ 0 };
	return &PAUSED;
}

/* *p is the payload, unmasked, and is moved past what was taken of it. */
static const struct fault *whole_compressed(struct ws_decoder *d, const struct header *h,
					    uint8_t **p, struct ws_message *m)
{
	const uint8_t *from = *p, *payload = from;
	utf8_state state = UTF8_BOUNDARY, *utf8 = h->opcode == WS_TEXT ? &state : NULL;
	enum inflate_result r;

	buffer_reset(&inflated, SCRATCH_KEPT);
	r = inflate_some(d->inflate, &payload, from + m->len, &inflated, d->max_message, utf8);
	*p += payload - from;
	if (r == INFLATE_PAUSED)
		return pause_whole(d, h, (size_t)(payload - from), state);
	if (r == INFLATE_OK)
		r = inflate_end(d->inflate, &inflated, d->max_message, utf8);
	m->room = 0;
	m->data = inflated.p;
	m->len = inflated.len;
	return inflate_fault(r);
}

/*
 * A whole frame that lies in the input, outside of any fragmented message; room: what of
 * its header is before it. *p is its payload, and is moved past it, or what was taken of it.
 */
static const struct fault *whole_frame(struct ws_decoder *d, const struct header *h, uint8_t **p,
				       uint8_t room, struct ws_message *m)
{
	uint8_t *payload = *p;

	m->opcode = h->opcode;
	m->room = room;
	m->data = payload;
	m->len = (size_t)h->payload_len;
	if (h->compressed) {
		ws_mask(payload, m->len, h->key, 0);
		return whole_compressed(d, h, p, m);
	}
	*p += m->len;
	if (h->opcode == WS_TEXT)
		return ws_unmask_text(payload, m->len, h->key, 0, UTF8_BOUNDARY) == UTF8_BOUNDARY
			       ? NULL
			       : &NOT_UTF8;
	ws_mask(payload, m->len, h->key, 0);
	return h->opcode == WS_CLOSE ? finish_close(m) : NULL;
}

/*
 * Room for more than what came, if much came: who has sent a quarter of a message is
 * believed about the rest, and a long one is not copied again for every doubling.
 */
static bool reserve_ahead(struct ws_partial *s, size_t n)
{
	uint64_t left = s->current.payload_len - s->done, ahead = 3 * (s->data.len + n);

	if (left < ahead)
		ahead = left;
	return buffer_reserve(&s->data, ahead > n ? (size_t)ahead : n);
}

/* What is not taken of n bytes, for a slice is done, is masked again. *n: what is. */
static const struct fault *take_compressed(const struct ws_decoder *d, uint8_t *p, size_t *n)
{
	struct ws_partial *s = d->partial;
	const uint8_t *taken = p;
	enum inflate_result r;

	size_t most = *n < INFLATE_CHUNK ? *n : INFLATE_CHUNK;

	ws_mask(p, most, s->current.key, (size_t)(s->done & 3));
	r = inflate_some(d->inflate, &taken, p + most, &s->data, d->max_message,
			 s->message == WS_TEXT ? &s->utf8 : NULL);
	*n = (size_t)(taken - p);
	ws_mask(p + *n, most - *n, s->current.key, (size_t)((s->done + *n) & 3));
	return inflate_fault(r);
}

/* n bytes that may lie there already (ws_decoder_space). False: no memory. */
static bool add_data(struct ws_partial *s, const uint8_t *p, size_t n)
{
	if (s->data.size - s->data.len < n || p != s->data.p + s->data.len)
		return reserve_ahead(s, n) && buffer_append(&s->data, p, n);
	s->data.len += n;
	return true;
}

/* Unmasks n bytes of the message under way and takes them into its buffer. */
static const struct fault *take_data(const struct ws_decoder *d, uint8_t *p, size_t n)
{
	struct ws_partial *s = d->partial;
	size_t offset = (size_t)(s->done & 3);

	if (s->message == WS_TEXT)
		s->utf8 = ws_unmask_text(p, n, s->current.key, offset, s->utf8);
	else
		ws_mask(p, n, s->current.key, offset);
	if (s->utf8 == UTF8_INVALID)
		return &NOT_UTF8;
	return add_data(s, p, n) ? NULL : &MEMORY;
}

/* Takes payload bytes of the current frame off the input. */
static const struct fault *take_payload(const struct ws_decoder *d, uint8_t **p, const uint8_t *end)
{
	struct ws_partial *s = d->partial;
	uint64_t left = s->current.payload_len - s->done;
	size_t n = (size_t)(end - *p) < left ? (size_t)(end - *p) : (size_t)left;
	const struct fault *fault = NULL;

	if (n == 0 && !(s->compressed && inflate_has_more(d->inflate)))
		return NULL;
	if (is_control(s->current.opcode)) {
		ws_mask(*p, n, s->current.key, (size_t)(s->done & 3));
		if (!buffer_append(&s->control, *p, n))
			fault = &MEMORY;
		else if (s->current.opcode == WS_CLOSE)
			fault = check_close(s->control.p, s->control.len, false);
	} else if (s->compressed) {
		fault = take_compressed(d, *p, &n);
	} else {
		fault = take_data(d, *p, n);
	}
	*p += n;
	s->done += n;
	return fault;
}

/* The current frame is whole. Returns whether that makes an event. */
static bool end_frame(const struct ws_decoder *d, struct ws_message *m, const struct fault **fault)
{
	struct ws_partial *s = d->partial;
	const struct header *h = &s->current;

	s->in_frame = false;
	if (!is_control(h->opcode) && !h->fin)
		return false;
	s->lent = true;
	if (is_control(h->opcode)) {
		*m = (struct ws_message){ h->opcode, 0, 0, s->control.p, s->control.len };
		*fault = h->opcode == WS_CLOSE ? finish_close(m) : NULL;
		return true;
	}
	if (s->compressed)
		*fault = inflate_fault(inflate_end(d->inflate, &s->data, d->max_message,
						   s->message == WS_TEXT ? &s->utf8 : NULL));
	else if (s->utf8 != UTF8_BOUNDARY)
		*fault = &NOT_UTF8;
	*m = (struct ws_message){ s->message, 0, 0, s->data.p, s->data.len };
	s->message = 0;
	s->utf8 = UTF8_BOUNDARY;
	return true;
}

/*
 * Takes the header of the next frame off the input, joined to what an earlier
 * read left of it. Returns 1 if *h is whole, 0 if more is needed, -1 with *fault.
 */
static int next_header(struct ws_decoder *d, uint8_t **p, const uint8_t *end, struct header *h,
		       const struct fault **fault)
{
	struct ws_partial *s = d->partial;
	size_t had = s ? s->head_len : 0, n = (size_t)(end - *p), take;
	uint8_t head[CLIENT_HEADER_MAX];
	const uint8_t *from = *p;
	int r;

	if (had > 0) {
		take = n < sizeof(head) - had ? n : sizeof(head) - had;
		memcpy(head, s->head, had);
		memcpy(head + had, *p, take);
		from = head;
		n = had + take;
	}
	r = read_header(d, from, n, h, fault);
	if (r > 0)
		*fault = check_size(d, h);
	if (r < 0 || *fault)
		return -1;
	if (r > 0 && n >= h->size) {
		memcpy(&h->key, from + r, sizeof(h->key));
		*p += h->size - had;
		return 1;
	}
	if (n == 0)
		return 0;
	s = need_partial(d);
	if (!s) {
		*fault = &MEMORY;
		return -1;
	}
	memmove(s->head, from, n);
	s->head_len = (uint8_t)n;
	*p += n - had;
	return 0;
}

static enum ws_result decode_any(struct ws_decoder *d, uint8_t **p, uint8_t *end,
				 struct ws_message *m, uint16_t *code, enum reason *reason)
{
	const struct fault *fault = NULL;
	struct header h;
	int r;

	end_loan(d);
	for (;;) {
		if (!d->partial || !d->partial->in_frame) {
			r = next_header(d, p, end, &h, &fault);
			if (r < 0)
				return failed(fault, code, reason);
			if (r == 0)
				return WS_NEED_MORE;
			if (h.payload_len <= (uint64_t)(end - *p) && h.fin &&
			    h.opcode != WS_CONTINUATION) {
				uint8_t room = d->partial && d->partial->head_len ? 0 : h.size;

				drop_header(d);
				fault = whole_frame(d, &h, p, room, m);
				break;
			}
			if (!begin_frame(d, &h))
				return failed(&MEMORY, code, reason);
		}
		fault = take_payload(d, p, end);
		if (fault)
			return failed(fault, code, reason);
		if (d->partial->done < d->partial->current.payload_len) {
			if (*p < end)
				continue;
			return WS_NEED_MORE;
		}
		if (end_frame(d, m, &fault))
			break;
	}
	return fault ? failed(fault, code, reason) : WS_EVENT;
}

/* Apart from ws_decode, which is to need no stack of its own. */
static __attribute__((noinline)) enum ws_result decode(struct ws_decoder *d, uint8_t **p,
						       uint8_t *end, struct ws_message *m,
						       uint16_t *code, enum reason *reason)
{
	size_t had = ws_decoder_bytes(d);
	enum ws_result r = decode_any(d, p, end, m, code, reason);

	account_take(ws_decoder_bytes(d) - had);
	return r;
}

/*
 * Most frames are short messages of one frame, and lie whole in the input. What
 * this takes is what the general way would give; anything else is left to that.
 */
enum ws_result ws_decode(struct ws_decoder *d, uint8_t **p, uint8_t *end, struct ws_message *m,
			 uint16_t *code, enum reason *reason)
{
	uint8_t *b = *p;
	size_t len;
	uint32_t key;

	if (b == end && !d->partial)
		return WS_NEED_MORE;
	if (d->partial || end - b < SHORT_HEADER ||
	    (b[0] != (FIN | WS_TEXT) && b[0] != (FIN | WS_BINARY)))
		return decode(d, p, end, m, code, reason);
	len = (size_t)b[1] - MASKED; /* huge if there is no mask */
	if (len >= SHORT_MAX || len > (size_t)(end - b - SHORT_HEADER) || len > d->max_message)
		return decode(d, p, end, m, code, reason);
	memcpy(&key, b + 2, sizeof(key));
	m->opcode = b[0] & OPCODE;
	m->room = SHORT_HEADER;
	m->data = b + SHORT_HEADER;
	m->len = len;
	*p = b + SHORT_HEADER + len;
	if (m->opcode == WS_BINARY)
		ws_mask(b + SHORT_HEADER, len, key, 0);
	else if (ws_unmask_text(b + SHORT_HEADER, len, key, 0, UTF8_BOUNDARY) != UTF8_BOUNDARY)
		return failed(&NOT_UTF8, code, reason);
	return WS_EVENT;
}

/* No more at once than has come already: nobody gets memory for what he only claims. */
uint8_t *ws_decoder_space(struct ws_decoder *d, size_t *n)
{
	struct ws_partial *s = d->partial;
	uint64_t left;

	if (!s || !s->in_frame || s->compressed || is_control(s->current.opcode))
		return NULL;
	left = s->current.payload_len - s->done;
	if (left < *n)
		*n = (size_t)left;
	if (s->data.len < *n)
		*n = s->data.len;
	return *n >= WS_SPACE_MIN && reserve_ahead(s, *n) ? s->data.p + s->data.len : NULL;
}

void ws_decoder_init(struct ws_decoder *d, uint32_t max_message)
{
	*d = (struct ws_decoder){ .max_message = max_message };
}

void ws_decoder_fini(struct ws_decoder *d)
{
	account_give(ws_decoder_bytes(d));
	drop_partial(d);
	if (d->inflate)
		inflate_fini(d->inflate);
}

struct buffer *ws_decoder_lent(struct ws_decoder *d, const void *p, size_t len)
{
	struct buffer *b = d->partial ? &d->partial->data : NULL;

	return b && b->p == p && b->len == len && len > 0 ? b : NULL;
}

/* The memory in which a message lies, and nothing else. NULL: it lies in the input. */
static struct buffer *buffer_of(struct ws_decoder *d, const struct ws_message *m)
{
	struct buffer *b = ws_decoder_lent(d, m->data, m->len);

	return b || inflated.p != m->data ? b : &inflated;
}

bool ws_decoder_keep(struct ws_decoder *d, struct ws_message *m, struct buffer *to)
{
	struct buffer *from = buffer_of(d, m);
	size_t had = ws_decoder_bytes(d);

	if (from) {
		*to = *from;
		*from = (struct buffer){ 0 };
	} else if (!buffer_append(to, m->data, m->len)) {
		return false;
	}
	account_take(to->len + ws_decoder_bytes(d) - had);
	m->data = to->p;
	m->room = 0;
	return true;
}

size_t ws_decoder_bytes(const struct ws_decoder *d)
{
	const struct ws_partial *s = d->partial;

	return s ? sizeof(*s) + s->data.len + s->control.len : 0;
}

bool ws_decoder_note(struct ws_decoder *d, uint32_t now)
{
	struct ws_partial *s = d->partial;

	if (!s || s->noted)
		return false;
	s->noted = true;
	s->since = now;
	return true;
}

bool ws_decoder_incomplete(const struct ws_decoder *d, uint32_t *since)
{
	const struct ws_partial *s = d->partial;

	if (!s || !s->noted || !is_under_way(s))
		return false;
	*since = s->since;
	return true;
}

size_t ws_encode_header(uint8_t *out, unsigned opcode, uint64_t payload_len)
{
	out[0] = (uint8_t)(FIN | opcode);
	if (payload_len < 126) {
		out[1] = (uint8_t)payload_len;
		return 2;
	}
	if (payload_len < 65536) {
		out[1] = 126;
		out[2] = (uint8_t)(payload_len >> 8);
		out[3] = (uint8_t)payload_len;
		return 4;
	}
	out[1] = 127;
	for (int i = 0; i < 8; i++)
		out[2 + i] = (uint8_t)(payload_len >> (56 - 8 * i));
	return WS_HEADER_MAX;
}

uint8_t *ws_encode_in_place(const struct ws_message *m, size_t *len)
{
	const size_t header = m->len < 126 ? 2 : m->len < 65536 ? 4 : WS_HEADER_MAX;

	if (m->room < header)
		return NULL;
	*len = header + m->len;
	ws_encode_header(m->data - header, m->opcode, m->len);
	return m->data - header;
}

size_t ws_own_header(const uint8_t *p, uint64_t *payload_len)
{
	*payload_len = p[1];
	if (p[1] < 126)
		return 2;
	*payload_len = big_endian(p + 2, p[1] == 126 ? 2 : 8);
	return p[1] == 126 ? 4 : WS_HEADER_MAX;
}

size_t ws_encode_close(uint8_t *out, uint16_t code, const char *text, size_t len)
{
	if (code == WS_CLOSE_NO_STATUS)
		return ws_encode_header(out, WS_CLOSE, 0);
	if (len > WS_CLOSE_REASON_MAX)
		len = bytes_whole(text, WS_CLOSE_REASON_MAX);
	ws_encode_header(out, WS_CLOSE, 2 + len);
	out[2] = (uint8_t)(code >> 8);
	out[3] = (uint8_t)code;
	bytes_copy(out + 4, text, len);
	return 4 + len;
}

bool ws_close_code_valid(uint16_t code)
{
	if (code >= 3000 && code <= 4999)
		return true;
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}
