/*
 * edition.c - see edition.h.
 */
#include "session/edition.h"

#include <stdlib.h>

#include "base/counted.h"
#include "session/turn.h"

enum { KEPT = 1024 * 1024 };

static size_t size_of(const struct batch *b, const struct envelope *v)
{
	size_t size = 0;

	for (const struct batched *e = b->first; e; e = e->next) {
		rendition_payload(&e->e); /* is not believed elsewhere */
		size += envelope_size(v, &e->e);
	}
	return size;
}

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

static uint8_t *need_bytes(struct edition *e, size_t size, bool keep)
{
	if (keep)
		return counted_resize(&e->batch.frames, 0, size) ? e->batch.frames->bytes : NULL;
	e->bytes.len = 0;
	return buffer_reserve(&e->bytes, size) ? e->bytes.p : NULL;
}

static void write_entries(struct edition *to, const struct batch *b, const struct envelope *v,
			  uint8_t *out)
{
	size_t i = 0;

	for (const struct batched *e = b->first; e; e = e->next) {
		struct batched *made = &to->entries[i++];
		uint8_t *frame = out;

		out = envelope_write(out, v, &e->e);
		*made = *e;
		made->e.frame = frame;
		made->e.frame_len = (size_t)(out - frame);
		made->next = e->next ? made + 1 : NULL;
	}
}

bool edition_make(struct edition *e, const struct batch *b, const struct envelope *v, bool keep)
{
	size_t size;
	uint8_t *out;

	if (e->batch.entries > 0)
		return true;
	size = size_of(b, v);
	out = need_bytes(e, size, keep);
	if (!out || !need_entries(e, b->entries))
		return false;
	write_entries(e, b, v, out);
	turn_spend_on(size, TURN_KEEP);
	e->batch.first = e->entries;
	e->batch.last = &e->entries[b->entries - 1];
	e->batch.entries = b->entries;
	e->batch.bytes = size;
	e->batch.selective = b->selective;
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
