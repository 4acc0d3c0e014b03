/*
 * rendition.c - a batch is made once for all members that get the same bytes, see rendition.h.
 *
 * One plain entry needs no making: it goes out straight from where it lies. Several in the log are
 * gathered, so that they leave as one write per member; for those with compression they are
 * compressed, which may take many turns.
 */
#include "session/rendition.h"

#include <stdlib.h>

#include "base/counted.h"
#include "session/conn_internal.h"
#include "session/session.h"
#include "session/slices.h"
#include "session/turn.h"

enum { KEPT = 1024 * 1024 };

/* What a process put in the log is not believed. */
struct iovec rendition_payload(const struct bus_entry *e)
{
	uint64_t len;
	size_t header = e->frame_len < 2 ? 0 : ws_own_header(e->frame, &len);

	if (header == 0 || header > e->frame_len || len != e->frame_len - header)
		session_bus_corrupt();
	return (struct iovec){ (void *)(e->frame + header), (size_t)len };
}

/* What a member is sent: all of it, from where it lies. */
static void complete(struct rendition *v, const struct batch *b, const void *p, size_t len)
{
	v->part = (struct iovec){ (void *)p, len };
	v->run = (struct link_run){
		.parts = &v->part,
		.count = 1,
		.len = len,
		.marks = v->marks,
		.frames = b->entries,
		.messages = (uint32_t)b->entries,
		.others = v->header_more,
		.copy = &v->copy,
	};
}

static void put_mark(struct rendition *v, size_t i, size_t len, const struct batch *b,
		     const struct batched *e)
{
	v->marks[i] = batch_mark(b, len, e->e.sequence);
	v->header_more += link_header_more(len);
}

/* Everything lies in one piece already. */
static void point_at(struct rendition *v, const struct batch *b, const uint8_t *bytes)
{
	size_t i = 0;

	v->header_more = 0;
	for (const struct batched *e = b->first; e; e = e->next)
		put_mark(v, i++, e->e.frame_len, b, e);
	complete(v, b, bytes, b->bytes);
}

static enum compress_step render_entry(struct rendition *v, const struct bus_entry *e, int class,
				       const struct config_compression *k)
{
	struct iovec payload;

	if (class == 0)
		return buffer_append(&v->own, e->frame, e->frame_len) ? COMPRESS_DONE
								      : COMPRESS_NO_MEMORY;
	payload = rendition_payload(e);
	return compress_slice(&v->job, k, class, e->frame[0] & 0x0f, &payload, &v->own);
}

/* With the next entry, or a slice of it. */
static enum compress_step go_on(struct rendition *v, const struct batch *b, int class,
				const struct config_compression *k)
{
	size_t start = v->job.by ? v->job.start : v->own.len;
	enum compress_step step = render_entry(v, &v->next->e, class, k);

	if (step == COMPRESS_DONE) {
		put_mark(v, v->made++, v->own.len - start, b, v->next);
		v->next = v->next->next;
	}
	return step;
}

static void begin(struct rendition *v, const struct batch *b)
{
	v->own.len = v->made = v->header_more = 0;
	v->next = b->first;
}

static enum rendition_result render(struct rendition *v, const struct batch *b, int class,
				    const struct config_compression *k)
{
	if (!v->next)
		begin(v, b);
	while (v->next) {
		if (go_on(v, b, class, k) == COMPRESS_NO_MEMORY) {
			v->next = NULL;
			return RENDITION_NO_MEMORY;
		}
		if (v->next && b->frames && turn_is_over())
			return RENDITION_LATER;
	}
	complete(v, b, v->own.p, v->own.len);
	return RENDITION_MADE;
}

static struct rendition *need(struct renditions *all, int class)
{
	struct rendition **v = &all->by_class[class];

	if (!*v)
		*v = calloc(1, sizeof(**v));
	return *v;
}

__attribute__((noinline)) enum rendition_result rendition_make(struct renditions *all,
							       const struct batch *b, int class,
							       const struct config_compression *k)
{
	enum rendition_result result = RENDITION_MADE;
	struct rendition *v = need(all, class);

	if (!v)
		return RENDITION_NO_MEMORY;
	if (class > 0 && !b->frames && b->bytes > slices_short(k))
		return RENDITION_LATER;
	if (class == 0 && (b->frames || b->entries == 1))
		point_at(v, b, b->frames ? b->frames->bytes : b->first->e.frame);
	else
		result = render(v, b, class, k);
	if (result == RENDITION_MADE) {
		v->copy = (struct chunk_copy){ .shelf = all->shelf, .kind = all->kind + class };
		all->made |= 1u << class;
	}
	return result;
}

void renditions_forget(struct renditions *all)
{
	for (unsigned i = 0; all->made >> i != 0; i++) {
		if (!(all->made & 1u << i))
			continue;
		buffer_reset(&all->by_class[i]->own, KEPT);
		chunk_copy_forget(&all->by_class[i]->copy);
	}
	all->made = 0;
}

void renditions_end(struct renditions *all)
{
	for (unsigned i = 0; i <= DEFLATE_BITS_MAX; i++) {
		struct rendition *v = all->by_class[i];

		if (!v)
			continue;
		compress_give_up(&v->job);
		buffer_free(&v->own);
		chunk_copy_forget(&v->copy);
		free(v);
		all->by_class[i] = NULL;
	}
	all->made = 0;
}
