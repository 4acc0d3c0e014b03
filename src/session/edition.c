/*
 * edition.c - see edition.h.
 */
#include "session/edition.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/counted.h"
#include "proto/frame.h"
#include "session/turn.h"

/* FIRST: bytes that one has space for at first. */
enum { KEPT = 8 * 1024 * 1024, FIRST = 4096 };

static bool need_entries(struct edition *e, size_t count)
{
	struct batched *grown;

	if (e->size >= count)
		return true;
	grown = realloc(e->entries, count * sizeof(*grown));
	if (!grown)
		return false;
	e->entries = grown;
	e->size = count;
	return true;
}

/* Where n bytes more are written, behind those that there are. NULL: no memory. */
static uint8_t *need_bytes(struct edition *e, size_t n, bool keep)
{
	struct counted *had = e->batch.frames;
	size_t used = e->batch.bytes, size = had ? had->size : FIRST;

	if (!keep) {
		e->bytes.len = used;
		return buffer_reserve(&e->bytes, n) ? e->bytes.p + used : NULL;
	}
	while (size < used + n)
		size *= 2;
	if ((!had || had->size < size) && !counted_resize(&e->batch.frames, used, size))
		return NULL;
	return e->batch.frames->bytes + used;
}

static bool add(struct edition *e, const struct batched *from, const struct envelope *v, bool keep)
{
	struct batched *made = &e->entries[e->batch.entries];
	uint8_t header[WS_HEADER_MAX], *out;
	struct enveloped x;
	size_t len;

	rendition_payload(&from->e); /* is not believed elsewhere */
	envelope_measure(&x, v, &from->e);
	len = ws_encode_header(header, WS_TEXT, x.size);
	out = need_bytes(e, len + x.size, keep);
	if (!out)
		return false;
	envelope_write(bytes_copy(out, header, len), v, &x);
	*made = *from;
	made->e.frame_len = len + x.size;
	e->batch.bytes += made->e.frame_len;
	e->batch.entries++;
	return true;
}

/* Frames may have moved up to here. */
static void seal(struct edition *e, const struct batch *b)
{
	batch_link(&e->batch, e->entries, e->batch.frames ? e->batch.frames->bytes : e->bytes.p);
	e->batch.selective = b->selective;
	e->batch.numbered = true;
}

bool edition_make(struct edition *e, const struct batch *b, const struct envelope *v, bool keep)
{
	if (e->batch.entries > 0)
		return true;
	if (!need_entries(e, b->entries))
		return false;
	for (const struct batched *from = b->first; from; from = from->next) {
		if (!add(e, from, v, keep)) {
			e->batch.entries = e->batch.bytes = 0;
			return false;
		}
	}
	turn_spend_on(e->batch.bytes, TURN_KEEP);
	seal(e, b);
	return true;
}

size_t edition_memory(const struct edition *e)
{
	return e->size * sizeof(*e->entries) + (e->batch.frames ? e->batch.frames->size : 0);
}

void edition_forget(struct edition *e)
{
	counted_release(e->batch.frames);
	buffer_reset(&e->bytes, KEPT);
	e->batch = (struct batch){ 0 };
}

void edition_end(struct edition *e)
{
	counted_release(e->batch.frames);
	buffer_free(&e->bytes);
	free(e->entries);
	*e = (struct edition){ 0 };
}
