/*
 * compress.c - see compress.h.
 *
 * Without context takeover a message is compressed by a compressor that the
 * worker has for its window and memory level, and is then the same for every
 * connection with that window: a room compresses it once. With takeover each
 * connection has a compressor of its own.
 */
#include "session/compress.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "config/config.h"
#include "session/conn_internal.h"
#include "session/turn.h"

enum { LEVELS = 10, PARTS_MAX = 3 };

static struct deflater *shared[LEVELS][DEFLATE_BITS_MAX + 1]; /* by memory level and window */

int compress_agree(struct conn *c, const struct http_head *h)
{
	const struct config_compression *k = &c->endpoint->limits.compression;
	const struct deflate_params wanted = {
		.on = k->enabled,
		.server_takeover = k->server_context_takeover,
		.client_takeover = k->client_context_takeover,
		.server_bits = (uint8_t)k->server_max_window_bits,
		.client_bits = (uint8_t)k->client_max_window_bits,
	};
	struct deflate_params agreed;

	deflate_negotiate(h, &wanted, &agreed);
	if (!agreed.on)
		return 0;
	c->deflate = calloc(1, sizeof(*c->deflate));
	if (!c->deflate)
		return -1;
	c->deflate->params = agreed;
	c->deflate->inflate.takeover = agreed.client_takeover;
	return 0;
}

void compress_free(struct conn *c)
{
	if (!c->deflate)
		return;
	deflater_free(c->deflate->own);
	free(c->deflate);
	c->deflate = NULL;
}

int compress_class(const struct conn *c)
{
	if (!c->deflate)
		return 0;
	return c->deflate->params.server_takeover ? -1 : c->deflate->params.server_bits;
}

static size_t length(const struct iovec *parts, int count)
{
	size_t len = 0;

	for (int i = 0; i < count; i++)
		len += parts[i].iov_len;
	return len;
}

static bool put_plain(enum ws_opcode opcode, const struct iovec *parts, int count, size_t len,
		      struct buffer *out)
{
	if (!buffer_reserve(out, WS_HEADER_MAX + len))
		return false;
	out->len += ws_encode_header(out->p + out->len, opcode, len);
	for (int i = 0; i < count; i++)
		out->len = (size_t)(bytes_copy(out->p + out->len, parts[i].iov_base,
					       parts[i].iov_len) -
				    out->p);
	return true;
}

/*
 * The length of the header is known only behind the payload: that is made where
 * the longest header would leave it, and then moved.
 */
static bool leave_header(struct buffer *out)
{
	if (!buffer_reserve(out, WS_HEADER_MAX))
		return false;
	out->len += WS_HEADER_MAX;
	return true;
}

static void put_header(enum ws_opcode opcode, size_t start, struct buffer *out)
{
	size_t len = out->len - start - WS_HEADER_MAX;
	size_t header = ws_encode_header(out->p + start, opcode | WS_RSV1, len);

	memmove(out->p + start + header, out->p + start + WS_HEADER_MAX, len);
	out->len = start + header + len;
}

static void charge(size_t len)
{
	turn_spend(TURN_COMPRESSOR);
	turn_spend_on(len, TURN_DEFLATE);
}

/* False: nothing was appended. */
static bool put_compressed(struct deflater *d, enum ws_opcode opcode, const struct iovec *parts,
			   int count, struct buffer *out)
{
	struct deflate_part in[PARTS_MAX];
	size_t start = out->len, len = 0;

	for (int i = 0; i < count; i++) {
		in[i] = (struct deflate_part){ parts[i].iov_base, parts[i].iov_len };
		len += parts[i].iov_len;
	}
	charge(len);
	if (!leave_header(out))
		return false;
	if (!deflater_message(d, in, count, out)) {
		out->len = start;
		return false;
	}
	put_header(opcode, start, out);
	return true;
}

static struct deflater *shared_deflater(const struct config_compression *k, int bits)
{
	struct deflater **d = &shared[k->memory_level][bits];

	if (!*d)
		*d = deflater_new((int)k->level, (int)k->memory_level, bits);
	if (*d) {
		deflater_forget(*d);
		deflater_set_level(*d, (int)k->level);
	}
	return *d;
}

bool compress_for_class(const struct config_compression *k, int class, enum ws_opcode opcode,
			const struct iovec *parts, int count, struct buffer *out)
{
	size_t len = length(parts, count), start = out->len;
	struct deflater *d = NULL;

	if (class > 0 && k->enabled && len >= (size_t)k->threshold)
		d = shared_deflater(k, class);
	if (d && put_compressed(d, opcode, parts, count, out) && out->len - start <= len)
		return true;
	out->len = start;
	return put_plain(opcode, parts, count, len, out);
}

static bool is_long(const struct config_compression *k, int class, size_t len)
{
	return class > 0 && k->enabled && len >= (size_t)k->threshold && len > COMPRESS_SLICE;
}

/* One of its own, so that others may use the shared one between two slices. */
static bool begin_job(struct compress_job *j, const struct config_compression *k, int class,
		      struct buffer *out)
{
	j->own = deflater_new((int)k->level, (int)k->memory_level, class);
	j->done = 0;
	j->start = out->len;
	return j->own && leave_header(out);
}

void compress_give_up(struct compress_job *j)
{
	deflater_free(j->own);
	j->own = NULL;
}

static enum compress_step end_job(struct compress_job *j, enum ws_opcode opcode,
				  const struct iovec *payload, struct buffer *out)
{
	bool whole = deflater_end(j->own, j->start + WS_HEADER_MAX, out);

	compress_give_up(j);
	if (whole && out->len - j->start <= payload->iov_len) {
		put_header(opcode, j->start, out);
		return COMPRESS_DONE;
	}
	out->len = j->start;
	return put_plain(opcode, payload, 1, payload->iov_len, out) ? COMPRESS_DONE
								    : COMPRESS_NO_MEMORY;
}

enum compress_step compress_slice(struct compress_job *j, const struct config_compression *k,
				  int class, enum ws_opcode opcode, const struct iovec *payload,
				  struct buffer *out)
{
	size_t len = payload->iov_len, n;

	if (!j->own && !is_long(k, class, len))
		return compress_for_class(k, class, opcode, payload, 1, out) ? COMPRESS_DONE
									     : COMPRESS_NO_MEMORY;
	if (!j->own && !begin_job(j, k, class, out))
		goto no_memory;
	n = len - j->done < COMPRESS_SLICE ? len - j->done : COMPRESS_SLICE;
	charge(n);
	if (!deflater_some(j->own, (uint8_t *)payload->iov_base + j->done, n, out))
		goto no_memory;
	j->done += n;
	return j->done < len ? COMPRESS_LATER : end_job(j, opcode, payload, out);
no_memory:
	out->len = j->start;
	compress_give_up(j);
	return COMPRESS_NO_MEMORY;
}

/* What was compressed has to be sent, even if it got longer: later messages refer to it. */
static bool compress_with_takeover(struct conn *c, enum ws_opcode opcode, const struct iovec *parts,
				   int count, struct buffer *out)
{
	const struct config_compression *k = &c->endpoint->limits.compression;
	struct conn_deflate *cd = c->deflate;
	size_t len = length(parts, count);

	if (!k->enabled || len < (size_t)k->threshold)
		return put_plain(opcode, parts, count, len, out);
	if (!cd->own)
		cd->own = deflater_new((int)k->level, (int)k->memory_level, cd->params.server_bits);
	if (cd->own && put_compressed(cd->own, opcode, parts, count, out))
		return true;
	return put_plain(opcode, parts, count, len, out);
}

bool compress_for(struct conn *c, enum ws_opcode opcode, const struct iovec *parts, int count,
		  struct buffer *out)
{
	int class = compress_class(c);

	if (class < 0)
		return compress_with_takeover(c, opcode, parts, count, out);
	return compress_for_class(&c->endpoint->limits.compression, class, opcode, parts, count,
				  out);
}

void compress_forget(struct conn *c)
{
	if (c->deflate && c->deflate->own)
		deflater_forget(c->deflate->own);
}

void compress_fini(void)
{
	for (int i = 0; i < LEVELS; i++) {
		for (int k = 0; k <= DEFLATE_BITS_MAX; k++) {
			deflater_free(shared[i][k]);
			shared[i][k] = NULL;
		}
	}
}
