/*
 * The frame decoder, with and without compression.
 *
 * Invariants: any split of the input, and any slice of inflating, gives the same events; a
 * message that was decoded, framed again and decoded again is the same message.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "fuzz.h"
#include "proto/deflate.h"
#include "proto/frame.h"
#include "proto/mask.h"

/* The first bytes of an input say what is tried. */
struct setup {
	bool compression, takeover, raw;
	uint32_t max_message;
	unsigned seed; /* of the splits */
};

static bool read_setup(const uint8_t **p, const uint8_t *end, struct setup *s)
{
	static const uint32_t sizes[] = { 0, 1, 100, 125, 126, 1000, 65535, 200000 };
	const uint8_t *b = *p;

	if (end - b < 3)
		return false;
	s->compression = b[0] & 1;
	s->takeover = b[0] & 2;
	s->raw = b[0] & 4;
	s->max_message = sizes[b[1] % 8];
	s->seed = b[2];
	*p += 3;
	return true;
}

static void put(struct buffer *b, const void *p, size_t n)
{
	fuzz_require(buffer_append(b, p, n));
}

static void put_frame(struct buffer *b, uint8_t first, const uint8_t *payload, size_t len,
		      uint32_t key)
{
	uint8_t head[10];
	size_t size = ws_encode_header(head, 0, len);

	head[0] = first;
	head[1] |= 0x80;
	put(b, head, size);
	put(b, &key, sizeof(key));
	put(b, payload, len);
	ws_mask(b->p + b->len - len, len, key, 0);
}

/* Two bytes and a length each make a frame that is masked as it has to be, mostly. */
static void make_frames(const uint8_t *p, const uint8_t *end, struct buffer *out)
{
	while (end - p >= 3) {
		size_t len = (size_t)p[1] << (p[2] & 7);

		if (len > (size_t)(end - p - 3))
			len = (size_t)(end - p - 3);
		put_frame(out, p[0], p + 3, len, p[2] * 0x01030507u);
		p += 3 + len;
	}
	put(out, p, (size_t)(end - p));
}

static void note(struct buffer *events, const struct ws_message *m)
{
	uint32_t head[3] = { m->opcode, m->opcode == WS_CLOSE ? m->code : 0, (uint32_t)m->len };

	put(events, head, sizeof(head));
	put(events, m->data, m->len);
}

/* A message comes back from a frame of its own: as it is, or compressed if inflate is there. */
static void check_frame(const struct ws_message *m, uint8_t first, const uint8_t *payload,
			size_t len, struct ws_inflate *inflate)
{
	struct ws_decoder d;
	struct buffer b = { 0 };
	struct ws_message again;
	enum reason reason;
	uint16_t code;
	uint8_t *p;

	put_frame(&b, first, payload, len, 0x12345678);
	p = b.p;
	ws_decoder_init(&d, UINT32_MAX);
	d.inflate = inflate;
	fuzz_require(ws_decode(&d, &p, b.p + b.len, &again, &code, &reason) == WS_EVENT);
	fuzz_require(again.opcode == m->opcode && again.len == m->len);
	fuzz_require(m->len == 0 || memcmp(again.data, m->data, m->len) == 0);
	fuzz_require(p == b.p + b.len);
	ws_decoder_fini(&d);
	buffer_free(&b);
}

static void check_again(const struct ws_message *m)
{
	static struct deflater *deflater;
	const struct deflate_part part = { m->data, m->len };
	struct ws_inflate inflate = { .takeover = false };
	struct buffer z = { 0 };

	check_frame(m, (uint8_t)(0x80 | m->opcode), m->data, m->len, NULL);
	if (m->opcode != WS_TEXT && m->opcode != WS_BINARY)
		return;
	if (!deflater)
		deflater = deflater_new(1, 1, 9);
	fuzz_require(deflater && deflater_message(deflater, &part, 1, &z));
	deflater_forget(deflater);
	check_frame(m, (uint8_t)(0x80 | WS_RSV1 | m->opcode), z.p, z.len, &inflate);
	buffer_free(&z);
}

/* It may be sent back from where it lies: between the start of the input and the message's end. */
static void check_in_place(const struct ws_message *m, const uint8_t *input)
{
	uint64_t len;
	size_t n;
	uint8_t *frame = ws_encode_in_place(m, &n);

	if (!frame)
		return;
	fuzz_require(frame >= input && frame + n == m->data + m->len);
	fuzz_require(ws_own_header(frame, &len) + len == n && len == m->len);
	fuzz_require(frame[0] == (0x80 | m->opcode));
}

/* Returns whether the decoder takes more. */
static bool feed(struct ws_decoder *d, const uint8_t *bytes, size_t n, struct buffer *events,
		 bool again)
{
	uint8_t *copy = malloc(n + 1), *p = copy;
	enum ws_result r = WS_EVENT;
	struct ws_message m;
	enum reason reason;
	uint16_t code;

	memcpy(copy, bytes, n);
	while (r == WS_EVENT || r == WS_PAUSED) {
		if (d->inflate)
			d->inflate->work = 0;
		r = ws_decode(d, &p, copy + n, &m, &code, &reason);
		fuzz_require(p >= copy && p <= copy + n);
		if (r == WS_EVENT) {
			note(events, &m);
			check_in_place(&m, copy);
		}
		if (r == WS_EVENT && again && m.opcode != WS_CLOSE) {
			struct buffer own = { 0 };

			/* the loan ends with the next call for any decoder */
			put(&own, m.data, m.len);
			m.data = own.p;
			check_again(&m);
			buffer_free(&own);
		}
	}
	if (r == WS_FAILED) {
		uint32_t end[2] = { code, reason };

		put(events, end, sizeof(end));
	} else {
		fuzz_require(p == copy + n);
	}
	free(copy);
	return r == WS_NEED_MORE;
}

enum split { WHOLE, SLICES, BYTES, RANDOM };

static void decode(const struct setup *s, const struct buffer *in, enum split split,
		   struct buffer *events)
{
	struct ws_inflate inflate = { .takeover = s->takeover,
				      .slice = split == WHOLE ? 0 : 1 + s->seed * 16 };
	struct ws_decoder d;
	unsigned seed = s->seed;

	ws_decoder_init(&d, s->max_message);
	if (s->compression)
		d.inflate = &inflate;
	for (size_t at = 0; at < in->len;) {
		size_t n = in->len - at, part = n;

		if (split == BYTES)
			part = 1;
		else if (split == RANDOM)
			part = 1 + (size_t)rand_r(&seed) % 97;
		part = part < n ? part : n;
		if (!feed(&d, in->p + at, part, events, split == WHOLE))
			break;
		at += part;
	}
	ws_decoder_fini(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *p = data, *end = data + size;
	struct buffer in = { 0 }, whole = { 0 };
	struct setup s;

	if (!read_setup(&p, end, &s))
		return 0;
	if (s.raw)
		put(&in, p, (size_t)(end - p));
	else
		make_frames(p, end, &in);
	decode(&s, &in, WHOLE, &whole);
	for (enum split split = SLICES; split <= RANDOM; split++) {
		struct buffer events = { 0 };

		if (split == BYTES && in.len > 20000)
			continue;
		decode(&s, &in, split, &events);
		fuzz_require(events.len == whole.len &&
			     (whole.len == 0 || memcmp(events.p, whole.p, whole.len) == 0));
		buffer_free(&events);
	}
	buffer_free(&whole);
	buffer_free(&in);
	return 0;
}
