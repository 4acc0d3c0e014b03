/*
 * deflate.c - the two directions of permessage-deflate over zlib.
 *
 * A message's payload is a raw deflate stream that ends with an empty stored
 * block, of which the last four bytes, always the same, are not sent (RFC 7692
 * 7.2.1). To read one they are put back, and the stream must then be just
 * behind a block: else the message was cut.
 *
 * Two mistakes are common and leave no doubt, for no right payload ends like that: the
 * four bytes were sent, or the stream ends with a block that says it is the last one
 * (which needs an empty one behind it, RFC 7692 7.2.3.4). Then nothing is put back.
 */
#include "proto/deflate.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/block.h"
#include "base/metrics.h"

static const uint8_t TAIL[4] = { 0x00, 0x00, 0xff, 0xff };

/*
 * Bytes between two beats: of what goes in where matches are looked for, at 4 us a byte if the
 * text is chosen to be slow at level 9, and of work where they are copied.
 */
enum { DEFLATE_STEP = 4096, INFLATE_STEP = 256 * 1024 };

/*
 * The work of a byte that goes in: blocks of which nothing comes out, each with tables of its own,
 * take 45 ns a byte, and zeroes come out at 2 ns each. And of a call of zlib.
 */
enum { WORK_IN = 16, WORK_CALL = 64 };

/* --- what the server sends --- */

enum { PIECES_MAX = 8 };

struct deflater {
	z_stream z;
	int level;
	struct piece {
		void *p;
		size_t size;
	} pieces[PIECES_MAX]; /* what zlib has for it; it asks for five */
};

/* zlib lets go of memory without saying how much it was. */
static voidpf allocate(voidpf opaque, uInt items, uInt item)
{
	struct deflater *d = opaque;

	for (int i = 0; i < PIECES_MAX; i++) {
		struct piece *k = &d->pieces[i];

		if (k->p)
			continue;
		k->size = (size_t)items * item;
		k->p = block_resize(NULL, 0, 0, k->size);
		return k->p;
	}
	return NULL;
}

static void release(voidpf opaque, voidpf p)
{
	struct deflater *d = opaque;

	for (int i = 0; i < PIECES_MAX; i++) {
		if (d->pieces[i].p != p)
			continue;
		block_free(p, d->pieces[i].size);
		d->pieces[i].p = NULL;
		return;
	}
}

struct deflater *deflater_new(int level, int memory_level, int bits)
{
	struct deflater *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->level = level;
	d->z.zalloc = allocate;
	d->z.zfree = release;
	d->z.opaque = d;
	if (deflateInit2(&d->z, level, Z_DEFLATED, -bits, memory_level, Z_DEFAULT_STRATEGY) == Z_OK)
		return d;
	free(d);
	return NULL;
}

void deflater_free(struct deflater *d)
{
	if (!d)
		return;
	deflateEnd(&d->z);
	free(d);
}

void deflater_set_level(struct deflater *d, int level)
{
	if (d->level == level)
		return;
	/* With nothing buffered, as between messages, it writes nothing. */
	deflateParams(&d->z, level, Z_DEFAULT_STRATEGY);
	d->level = level;
}

void deflater_forget(struct deflater *d)
{
	deflateReset(&d->z);
}

static bool deflate_some(z_stream *z, const uint8_t *p, size_t n, int flush, struct buffer *out)
{
	metrics_beat();
	z->next_in = (Bytef *)p;
	z->avail_in = (uInt)n;
	do {
		if (!buffer_reserve(out, 64))
			return false;
		z->next_out = out->p + out->len;
		z->avail_out = (uInt)(out->size - out->len);
		/* Z_BUF_ERROR: there was nothing to do. */
		deflate(z, flush);
		out->len = (size_t)(z->next_out - out->p);
	} while (z->avail_out == 0 || z->avail_in > 0);
	return true;
}

static bool deflate_part(z_stream *z, const struct deflate_part *part, int flush,
			 struct buffer *out)
{
	const uint8_t *p = part->p;
	size_t n = part->len;

	for (; n > DEFLATE_STEP; p += DEFLATE_STEP, n -= DEFLATE_STEP)
		if (!deflate_some(z, p, DEFLATE_STEP, Z_NO_FLUSH, out))
			return false;
	return deflate_some(z, p, n, flush, out);
}

/* An empty message behind another flushes nothing; its stream is one stored block. */
static bool cut_tail(size_t start, struct buffer *out)
{
	if (out->len - start < sizeof(TAIL)) {
		out->len = start;
		return buffer_append(out, TAIL, 1);
	}
	out->len -= sizeof(TAIL);
	return true;
}

bool deflater_some(struct deflater *d, const void *p, size_t n, struct buffer *out)
{
	const struct deflate_part part = { p, n };

	if (deflate_part(&d->z, &part, Z_NO_FLUSH, out))
		return true;
	deflateReset(&d->z);
	return false;
}

bool deflater_end(struct deflater *d, size_t start, struct buffer *out)
{
	if (deflate_some(&d->z, NULL, 0, Z_SYNC_FLUSH, out))
		return cut_tail(start, out);
	deflateReset(&d->z);
	return false;
}

bool deflater_message(struct deflater *d, const struct deflate_part *parts, int count,
		      struct buffer *out)
{
	size_t start = out->len;

	for (int i = 0; i < count; i++) {
		int flush = i == count - 1 ? Z_SYNC_FLUSH : Z_NO_FLUSH;

		if (deflate_part(&d->z, &parts[i], flush, out))
			continue;
		out->len = start;
		deflateReset(&d->z);
		return false;
	}
	return cut_tail(start, out);
}

/* --- what the client sends --- */

struct inflater {
	z_stream z;
	uint8_t last[sizeof(TAIL)]; /* bytes of the payload so far */
	bool final; /* it ends with a final block */
	bool more; /* what it has taken is not all out */
};

/* For the next message of whoever has no state of its own. */
static struct inflater *spare;

/*
 * The window is always the largest: with a smaller one zlib takes a distance that the
 * client must not use or refuses it, as the input happens to be split.
 */
static struct inflater *inflater_new(void)
{
	struct inflater *f = calloc(1, sizeof(*f));

	if (f && inflateInit2(&f->z, -DEFLATE_BITS_MAX) != Z_OK) {
		free(f);
		f = NULL;
	}
	return f;
}

static void inflater_free(struct inflater *f)
{
	inflateEnd(&f->z);
	free(f);
}

static void forget_end(struct inflater *f)
{
	memset(f->last, 0, sizeof(f->last));
	f->final = f->more = false;
}

static bool begin(struct ws_inflate *i)
{
	if (i->state)
		return true;
	if (!spare) {
		/* it and its window are memory that is touched for the first time */
		i->work += INFLATE_BEGIN;
		i->state = inflater_new();
		return i->state != NULL;
	}
	i->state = spare;
	spare = NULL;
	forget_end(i->state);
	return inflateReset(&i->state->z) == Z_OK;
}

void inflate_fini(struct ws_inflate *i)
{
	if (!i->state)
		return;
	if (spare)
		inflater_free(i->state);
	else
		spare = i->state;
	i->state = NULL;
}

/* Room for one byte too many at most, so that a bomb costs no more memory than a message. */
static bool make_room(struct buffer *out, size_t in, size_t max, size_t most, z_stream *z)
{
	size_t left = max + 1 - out->len, want = in * 3 < left ? in * 3 : left;

	if (out->len == out->size && !buffer_reserve(out, want > 0 ? want : 1))
		return false;
	if (left > out->size - out->len)
		left = out->size - out->len;
	if (left > most)
		left = most;
	z->next_out = out->p + out->len;
	z->avail_out = (uInt)left;
	return true;
}

/*
 * One call of zlib, and what it means. Behind a block that said it was the last one
 * the stream goes on with the same window, which stays where it is: such blocks take
 * two bytes, and copying it for each would cost a thousand times that.
 */
static enum inflate_result step(struct inflater *f, struct buffer *out, size_t max,
				utf8_state *utf8)
{
	z_stream *z = &f->z;
	int r = inflate(z, Z_SYNC_FLUSH);
	size_t was = out->len;

	out->len = (size_t)(z->next_out - out->p);
	if (utf8) {
		*utf8 = utf8_feed(*utf8, out->p + was, out->len - was);
		if (*utf8 == UTF8_INVALID)
			return INFLATE_NOT_UTF8;
	}
	if (out->len > max)
		return INFLATE_TOO_BIG;
	f->final = r == Z_STREAM_END;
	if (f->final)
		r = inflateResetKeep(z);
	if (r == Z_OK || r == Z_BUF_ERROR)
		return INFLATE_OK;
	return r == Z_MEM_ERROR ? INFLATE_MEMORY : INFLATE_BROKEN;
}

static void note_last(struct inflater *f, const uint8_t *p, size_t n)
{
	size_t size = sizeof(f->last);

	if (n < size) {
		memmove(f->last, f->last + n, size - n);
		memcpy(f->last + size - n, p, n);
	} else {
		memcpy(f->last, p + n - size, size);
	}
}

/* As much as is `most` of work, and something in any case. */
static enum inflate_result feed_some(struct ws_inflate *i, const uint8_t **p, const uint8_t *end,
				     struct buffer *out, size_t max, size_t most, utf8_state *utf8)
{
	z_stream *z = &i->state->z;
	size_t n = (size_t)(end - *p), in = most / WORK_IN, was = out->len;
	enum inflate_result r;

	metrics_beat();
	if (!make_room(out, n, max, most, z))
		return INFLATE_MEMORY;
	in = in > 0 ? in : 1;
	in = in < n ? in : n;
	z->next_in = (Bytef *)*p;
	z->avail_in = (uInt)in;
	r = step(i->state, out, max, utf8);
	/* Nothing is left inside of zlib behind a final block. */
	i->state->more = z->avail_out == 0 && !i->state->final;
	in -= z->avail_in;
	i->work += WORK_CALL + in * WORK_IN + (out->len - was);
	*p += in;
	return r;
}

/* slice: 0: all at once. */
static enum inflate_result feed(struct ws_inflate *i, const uint8_t **p, const uint8_t *end,
				struct buffer *out, size_t max, uint32_t slice, utf8_state *utf8)
{
	enum inflate_result r;

	do {
		if (slice > 0 && i->work >= slice)
			return INFLATE_PAUSED;
		r = feed_some(i, p, end, out, max, slice > 0 ? slice - i->work : INFLATE_STEP,
			      utf8);
	} while (r == INFLATE_OK && (*p < end || i->state->more));
	return r;
}

bool inflate_has_more(const struct ws_inflate *i)
{
	return i->state && i->state->more;
}

enum inflate_result inflate_some(struct ws_inflate *i, const uint8_t **p, const uint8_t *end,
				 struct buffer *out, size_t max, utf8_state *utf8)
{
	const uint8_t *from = *p;
	enum inflate_result r;

	if (!begin(i))
		return INFLATE_MEMORY;
	if (from == end && !i->state->more)
		return INFLATE_OK;
	r = feed(i, p, end, out, max, i->slice, utf8);
	note_last(i->state, from, (size_t)(*p - from));
	return r;
}

/* zlib says in data_type where it stands: 128 is behind a block, with no bits left over. */
static bool behind_block(const struct inflater *f)
{
	return f->z.data_type == 128;
}

/* At once: four bytes are not much, whatever comes out of them. */
static enum inflate_result put_tail(struct ws_inflate *i, struct buffer *out, size_t max,
				    utf8_state *utf8)
{
	const struct inflater *f = i->state;
	const uint8_t *tail = TAIL;
	enum inflate_result r;

	if (f->final || (behind_block(f) && memcmp(f->last, TAIL, sizeof(TAIL)) == 0))
		return INFLATE_OK;
	r = feed(i, &tail, TAIL + sizeof(TAIL), out, max, 0, utf8);
	return r == INFLATE_OK && !behind_block(f) ? INFLATE_BROKEN : r;
}

enum inflate_result inflate_end(struct ws_inflate *i, struct buffer *out, size_t max,
				utf8_state *utf8)
{
	enum inflate_result r = begin(i) ? put_tail(i, out, max, utf8) : INFLATE_MEMORY;

	if (r == INFLATE_OK && utf8 && *utf8 != UTF8_BOUNDARY)
		r = INFLATE_NOT_UTF8;
	if (i->takeover && i->state)
		forget_end(i->state);
	else
		inflate_fini(i);
	return r;
}
