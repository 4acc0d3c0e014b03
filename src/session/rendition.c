/*
 * rendition.c - a batch is made once for all members that get the same bytes, see rendition.h.
 *
 * One plain entry needs no making: it goes out straight from the log. Several are gathered, so that
 * they leave as one write per member; for those with compression they are compressed.
 */
#include "session/rendition.h"

#include "session/compress.h"
#include "session/conn_internal.h"
#include "session/registry.h"

enum { KEPT = 1024 * 1024 };

struct renditions renditions;

void rendition_fini(void)
{
	for (size_t i = 0; i <= DEFLATE_BITS_MAX; i++)
		buffer_free(&renditions.by_class[i].own);
}

/* What a process put in the log is not believed. */
struct iovec rendition_payload(const struct bus_entry *e)
{
	uint64_t len;
	size_t header = e->frame_len < 2 ? 0 : ws_own_header(e->frame, &len);

	if (header == 0 || header > e->frame_len || len != e->frame_len - header)
		registry_corrupt();
	return (struct iovec){ (void *)(e->frame + header), (size_t)len };
}

static bool render_entry(const struct bus_entry *e, int class, const struct config_compression *k,
			 struct buffer *out)
{
	struct iovec payload;

	if (class == 0)
		return buffer_append(out, e->frame, e->frame_len);
	payload = rendition_payload(e);
	return compress_for_class(k, class, e->frame[0] & 0x0f, &payload, 1, out);
}

/* False: no memory. */
static bool render(struct rendition *v, const struct batch *b, int class,
		   const struct config_compression *k)
{
	size_t i = 0, start = 0;

	v->own.len = 0;
	for (const struct batched *e = b->first; e; e = e->next) {
		if (!render_entry(&e->e, class, k, &v->own))
			return false;
		v->marks[i++] = link_mark(v->own.len - start, LINK_MESSAGE);
		start = v->own.len;
	}
	v->p = v->own.p;
	v->len = v->own.len;
	return true;
}

const struct rendition *rendition_make(const struct batch *b, int class,
				       const struct config_compression *k)
{
	struct rendition *v = &renditions.by_class[class];

	if (class == 0 && b->entries == 1) {
		v->p = b->first->e.frame;
		v->len = b->first->e.frame_len;
		v->marks[0] = link_mark(v->len, LINK_MESSAGE);
	} else if (!render(v, b, class, k)) {
		return NULL;
	}
	renditions.made |= 1u << class;
	return v;
}

void rendition_forget(void)
{
	for (unsigned i = 0; renditions.made >> i != 0; i++)
		if (renditions.made & 1u << i)
			buffer_reset(&renditions.by_class[i].own, KEPT);
	renditions.made = 0;
}
