/*
 * deflate.c - the two directions of permessage-deflate over zlib.
 *
 * A message's payload is a raw deflate stream that ends with an empty stored
 * block, of which the last four bytes, always the same, are not sent (RFC 7692
 * 7.2.1). To read one they are put back, and the stream must then be just
 * behind a block: else the message was cut.
 */
#include "proto/deflate.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/metrics.h"

static const uint8_t TAIL[4] = { 0x00, 0x00, 0xff, 0xff };

/*
 * Bytes between two beats: of what goes in where matches are looked for, at 4 us a byte if the
 * text is chosen to be slow at level 9, and of what comes out where they are copied.
 */
enum { DEFLATE_STEP = 4096, INFLATE_STEP = 256 * 1024 };

/* --- what the server sends --- */

struct deflater {
	z_stream z;
	int level;
};

struct deflater *deflater_new(int level, int memory_level, int bits)
{
	struct deflater *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->level = level;
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
	/* An empty message behind another flushes nothing; its stream is one stored block. */
	if (out->len - start < sizeof(TAIL)) {
		out->len = start;
		return buffer_append(out, TAIL, 1);
	}
	out->len -= sizeof(TAIL);
	return true;
}

/* --- what the client sends --- */

struct inflater {
	z_stream z;
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

static bool begin(struct ws_inflate *i)
{
	if (i->state)
		return true;
	if (!spare) {
		i->state = inflater_new();
		return i->state != NULL;
	}
	i->state = spare;
	spare = NULL;
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

/* A block that said it was the last one: what follows goes on with the same window. */
static bool go_on(z_stream *z)
{
	static Bytef window[1 << DEFLATE_BITS_MAX];
	uInt len = 0;

	return inflateGetDictionary(z, window, &len) == Z_OK && inflateReset(z) == Z_OK &&
	       inflateSetDictionary(z, window, len) == Z_OK;
}

/* Room for one byte too many at most, so that a bomb costs no more memory than a message. */
static bool make_room(struct buffer *out, size_t in, size_t max, z_stream *z)
{
	size_t left = max + 1 - out->len, want = in * 3 < left ? in * 3 : left;

	if (out->len == out->size && !buffer_reserve(out, want > 0 ? want : 1))
		return false;
	if (left > out->size - out->len)
		left = out->size - out->len;
	if (left > INFLATE_STEP)
		left = INFLATE_STEP;
	z->next_out = out->p + out->len;
	z->avail_out = (uInt)left;
	return true;
}

/* One call of zlib, and what it means. */
static enum inflate_result step(z_stream *z, struct buffer *out, size_t max, utf8_state *utf8)
{
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
	if (r == Z_STREAM_END)
		return go_on(z) ? INFLATE_OK : INFLATE_MEMORY;
	if (r == Z_OK || r == Z_BUF_ERROR)
		return INFLATE_OK;
	return r == Z_MEM_ERROR ? INFLATE_MEMORY : INFLATE_BROKEN;
}

enum inflate_result inflate_some(struct ws_inflate *i, const uint8_t *p, size_t n,
				 struct buffer *out, size_t max, utf8_state *utf8)
{
	enum inflate_result r = INFLATE_OK;
	z_stream *z;

	if (!begin(i))
		return INFLATE_MEMORY;
	z = &i->state->z;
	z->next_in = (Bytef *)p;
	z->avail_in = (uInt)n;
	do {
		metrics_beat();
		if (!make_room(out, n, max, z))
			return INFLATE_MEMORY;
		r = step(z, out, max, utf8);
	} while (r == INFLATE_OK && (z->avail_in > 0 || z->avail_out == 0));
	return r;
}

/* zlib says in data_type where it stands: 128 is behind a block, with no bits left over. */
enum inflate_result inflate_end(struct ws_inflate *i, struct buffer *out, size_t max,
				utf8_state *utf8)
{
	enum inflate_result r = inflate_some(i, TAIL, sizeof(TAIL), out, max, utf8);

	if (r == INFLATE_OK && i->state->z.data_type != 128)
		r = INFLATE_BROKEN;
	if (r == INFLATE_OK && utf8 && *utf8 != UTF8_BOUNDARY)
		r = INFLATE_NOT_UTF8;
	if (!i->takeover)
		inflate_fini(i);
	return r;
}
