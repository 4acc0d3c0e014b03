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

#include "base/account.h"
#include "base/bytes.h"
#include "config/config.h"
#include "session/conn_internal.h"
#include "session/slices.h"
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

void compress_forget(struct conn *c)
{
	if (c->deflate && c->deflate->own)
		deflater_forget(c->deflate->own);
}

void compress_forget_out(struct conn *c)
{
	account_give(c->deflate->out.size);
	buffer_free(&c->deflate->out);
}

void compress_drop(struct conn *c)
{
	if (!c->deflate)
		return;
	uncompressed_forget(&c->deflate->waiting);
	compress_forget_out(c);
	if (c->deflate->job.by != c->deflate->own)
		compress_give_up(&c->deflate->job);
	c->deflate->job.by = NULL;
	compress_forget(c);
}

void compress_free(struct conn *c)
{
	if (!c->deflate)
		return;
	compress_drop(c);
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

static bool put_plain(enum ws_opcode opcode, const struct iovec *parts, int count, size_t len,
		      struct buffer *out)
{
	if (!buffer_reserve(out, WS_HEADER_MAX + len))
		return false;
	out->len += ws_encode_header(out->p + out->len, opcode, len);
	out->len = (size_t)(bytes_copy_parts(out->p + out->len, parts, count) - out->p);
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

static void charge(const struct config_compression *k, size_t len)
{
	turn_spend(TURN_COMPRESSOR);
	turn_spend_on(slices_weight(k, len), TURN_DEFLATE);
}

/* False: nothing was appended. */
static bool put_compressed(struct deflater *d, const struct config_compression *k,
			   enum ws_opcode opcode, const struct iovec *parts, int count,
			   struct buffer *out)
{
	struct deflate_part in[PARTS_MAX];
	size_t start = out->len, len = 0;

	for (int i = 0; i < count; i++) {
		in[i] = (struct deflate_part){ parts[i].iov_base, parts[i].iov_len };
		len += parts[i].iov_len;
	}
	charge(k, len);
	if (!leave_header(out))
		return false;
	if (!deflater_message(d, in, count, out)) {
		out->len = start;
		return false;
	}
	put_header(opcode, start, out);
	return true;
}

/* Its window and its tables are memory that is touched for the first time. */
static struct deflater *new_deflater(const struct config_compression *k, int bits)
{
	turn_spend_on(((uint64_t)2 << bits) + ((uint64_t)512 << k->memory_level), TURN_KEEP);
	return deflater_new((int)k->level, (int)k->memory_level, bits);
}

static struct deflater *shared_deflater(const struct config_compression *k, int bits)
{
	struct deflater **d = &shared[k->memory_level][bits];

	if (!*d)
		*d = new_deflater(k, bits);
	if (*d) {
		deflater_forget(*d);
		deflater_set_level(*d, (int)k->level);
	}
	return *d;
}

bool compress_for_class(const struct config_compression *k, int class, enum ws_opcode opcode,
			const struct iovec *parts, int count, struct buffer *out)
{
	size_t len = bytes_of_parts(parts, count), start = out->len;
	struct deflater *d = NULL;

	if (class > 0 && k->enabled && len >= (size_t)k->threshold)
		d = shared_deflater(k, class);
	if (d && put_compressed(d, k, opcode, parts, count, out) && out->len - start <= len)
		return true;
	out->len = start;
	return put_plain(opcode, parts, count, len, out);
}

static bool begin_job(struct compress_job *j, struct deflater *by, struct buffer *out)
{
	*j = (struct compress_job){ .by = by, .start = out->len };
	return by && leave_header(out);
}

/* With another slice. What is whole lacks its header. */
static enum compress_step go_on(struct compress_job *j, const struct config_compression *k,
				const struct iovec *payload, struct buffer *out)
{
	size_t left = payload->iov_len - j->done, most = slices_size(k);
	size_t n = left < most ? left : most;

	charge(k, n);
	if (!deflater_some(j->by, (uint8_t *)payload->iov_base + j->done, n, out))
		return COMPRESS_NO_MEMORY;
	j->done += n;
	if (n < left)
		return COMPRESS_LATER;
	return deflater_end(j->by, j->start + WS_HEADER_MAX, out) ? COMPRESS_DONE
								  : COMPRESS_NO_MEMORY;
}

void compress_give_up(struct compress_job *j)
{
	deflater_free(j->by);
	j->by = NULL;
}

enum compress_step compress_slice(struct compress_job *j, const struct config_compression *k,
				  int class, enum ws_opcode opcode, const struct iovec *payload,
				  struct buffer *out)
{
	size_t len = payload->iov_len;
	enum compress_step step = COMPRESS_NO_MEMORY;

	if (!j->by && !(class > 0 && slices_are_more(k, len)))
		return compress_for_class(k, class, opcode, payload, 1, out) ? COMPRESS_DONE
									     : COMPRESS_NO_MEMORY;
	/* a compressor of its own, so that others may use the shared one between two slices */
	if (j->by || begin_job(j, new_deflater(k, class), out))
		step = go_on(j, k, payload, out);
	if (step == COMPRESS_LATER)
		return step;
	compress_give_up(j);
	if (step == COMPRESS_DONE && out->len - j->start <= len) {
		put_header(opcode, j->start, out);
		return step;
	}
	out->len = j->start;
	if (step == COMPRESS_DONE && !put_plain(opcode, payload, 1, len, out))
		return COMPRESS_NO_MEMORY;
	return step;
}

static bool need_own(struct conn_deflate *cd, const struct config_compression *k)
{
	if (!cd->own)
		cd->own = new_deflater(k, cd->params.server_bits);
	return cd->own;
}

/* What was compressed has to be sent, even if it got longer: later messages refer to it. */
static bool compress_with_takeover(struct conn *c, enum ws_opcode opcode, const struct iovec *parts,
				   int count, struct buffer *out)
{
	const struct config_compression *k = &c->endpoint->limits.compression;
	struct conn_deflate *cd = c->deflate;
	size_t len = bytes_of_parts(parts, count);

	if (!k->enabled || len < (size_t)k->threshold)
		return put_plain(opcode, parts, count, len, out);
	if (need_own(cd, k) && put_compressed(cd->own, k, opcode, parts, count, out))
		return true;
	return put_plain(opcode, parts, count, len, out);
}

static enum compress_step go_on_with_takeover(struct conn *c, enum ws_opcode opcode,
					      const struct iovec *payload)
{
	const struct config_compression *k = &c->endpoint->limits.compression;
	struct conn_deflate *cd = c->deflate;
	enum compress_step step;

	if (!cd->job.by && !(slices_are_more(k, payload->iov_len) && need_own(cd, k)))
		return compress_with_takeover(c, opcode, payload, 1, &cd->out) ? COMPRESS_DONE
									       : COMPRESS_NO_MEMORY;
	if (!cd->job.by && !begin_job(&cd->job, cd->own, &cd->out))
		step = COMPRESS_NO_MEMORY;
	else
		step = go_on(&cd->job, k, payload, &cd->out);
	if (step == COMPRESS_DONE)
		put_header(opcode, cd->job.start, &cd->out);
	if (step != COMPRESS_LATER)
		cd->job.by = NULL;
	return step;
}

/* What has come out of it by now counts as what is kept for its peer. */
enum compress_step compress_go_on(struct conn *c, enum ws_opcode opcode,
				  const struct iovec *payload)
{
	const struct config_compression *k = &c->endpoint->limits.compression;
	struct conn_deflate *cd = c->deflate;
	const size_t had = cd->out.size;
	const int class = compress_class(c);
	enum compress_step step =
		class < 0 ? go_on_with_takeover(c, opcode, payload)
			  : compress_slice(&cd->job, k, class, opcode, payload, &cd->out);

	account_take(cd->out.size - had);
	return step;
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

void compress_fini(void)
{
	for (int i = 0; i < LEVELS; i++) {
		for (int k = 0; k <= DEFLATE_BITS_MAX; k++) {
			deflater_free(shared[i][k]);
			shared[i][k] = NULL;
		}
	}
}
