/*
 * unsent.c - see unsent.h.
 */
#include "session/unsent.h"

#include <stdlib.h>
#include <string.h>

#include "session/link.h"

enum { PIECES_FIRST = 4 };

size_t unsent_bytes;

/* Of one, after it was changed. */
static void set_bytes(struct unsent *b, size_t bytes)
{
	unsent_bytes += bytes - b->bytes;
	b->bytes = bytes;
}

/* Space for one more: they are moved where at least half of them have gone. */
static bool need_piece(struct unsent *b)
{
	uint32_t used = b->end - b->first, size = b->size ? 2 * b->size : PIECES_FIRST;
	struct piece *p;

	if (b->end < b->size)
		return true;
	if (b->first > 0 && b->first >= used) {
		memmove(b->pieces, b->pieces + b->first, used * sizeof(*b->pieces));
		b->first = 0;
		b->end = used;
		return true;
	}
	p = realloc(b->pieces, size * sizeof(*p));
	if (!p)
		return false;
	b->pieces = p;
	b->size = size;
	return true;
}

/* Takes over the caller's hold of c. */
static void add_piece(struct unsent *b, struct chunk *c, uint32_t start, uint32_t mark,
		      uint32_t now)
{
	b->pieces[b->end++] = (struct piece){ c, start, start, mark, now };
}

static struct piece *last_piece(struct unsent *b)
{
	return (struct piece *)unsent_last(b);
}

static bool goes_on(const struct piece *p, const struct chunk *c, uint32_t start, uint32_t now)
{
	return p && p->chunk == c && p->end == start && p->since == now;
}

/* The chunk of one's own that bytes are put into next. NULL: no memory. */
static struct chunk *own_chunk(struct unsent *b, size_t len, uint64_t mark, uint32_t now)
{
	struct piece *p = last_piece(b);
	struct chunk *c = p && !p->chunk->shared && p->end == p->chunk->end ? p->chunk : NULL;

	if (c && chunk_space(c) <= (mark ? chunk_mark_size(mark) : 0))
		c = NULL;
	if (c && p->since == now)
		return c;
	if (!need_piece(b))
		return NULL;
	c = c ? chunk_hold(c) : chunk_new(b->bytes, len);
	if (c)
		add_piece(b, c, c->end, c->marks, now);
	return c;
}

bool unsent_copy(struct unsent *b, const uint8_t *p, size_t len, uint64_t mark, size_t gone,
		 uint32_t now)
{
	while (len > 0) {
		struct chunk *c = own_chunk(b, len, mark, now);
		size_t n;

		if (!c)
			return false;
		if (mark)
			chunk_put_mark(c, mark);
		mark = 0;
		n = chunk_space(c) < len ? chunk_space(c) : len;
		memcpy(c->bytes + c->end, p, n);
		c->end += (uint32_t)n;
		last_piece(b)->end = c->end;
		set_bytes(b, b->bytes + n);
		b->copied += n;
		p += n;
		len -= n;
	}
	if (gone > 0)
		b->gone = gone;
	return true;
}

bool unsent_share(struct unsent *b, struct chunk *c, uint32_t start, uint32_t end, uint32_t mark,
		  size_t gone, uint32_t now)
{
	if (!goes_on(last_piece(b), c, start, now)) {
		if (!need_piece(b))
			return false;
		add_piece(b, chunk_hold(c), start, mark, now);
	}
	last_piece(b)->end = end;
	set_bytes(b, b->bytes + (end - start));
	b->copied = 0;
	if (gone > 0)
		b->gone = gone;
	return true;
}

int unsent_parts(const struct unsent *b, struct iovec *parts, int max, size_t most)
{
	int n = 0;

	for (uint32_t i = b->first; i < b->end && n < max && most > 0; i++, n++) {
		const struct piece *p = &b->pieces[i];
		size_t len = p->end - p->start < most ? p->end - p->start : most;

		parts[n] = (struct iovec){ p->chunk->bytes + p->start, len };
		most -= len;
	}
	return n;
}

static void drop_first(struct unsent *b)
{
	chunk_release(b->pieces[b->first++].chunk);
}

/* The length of the first frame, whose mark is taken out of its piece. */
static size_t first_length(struct unsent *b)
{
	struct piece *p = &b->pieces[b->first];

	if (b->mark == 0)
		b->mark = chunk_mark_at(p->chunk, &p->mark);
	return link_mark_length(b->mark);
}

size_t unsent_take(struct unsent *b, size_t n, uint64_t *mark, bool *whole)
{
	struct piece *p = &b->pieces[b->first];
	size_t len = first_length(b), left = len - b->gone;

	n = n < left ? n : left;
	n = n < p->end - p->start ? n : p->end - p->start;
	p->start += (uint32_t)n;
	set_bytes(b, b->bytes - n);
	b->gone += n;
	*mark = b->mark;
	*whole = b->gone == len;
	if (*whole)
		b->mark = b->gone = 0;
	if (p->start == p->end)
		drop_first(b);
	return n;
}

void unsent_cut(struct unsent *b)
{
	size_t left = b->gone > 0 ? first_length(b) - b->gone : 0;
	uint32_t i = b->first;

	set_bytes(b, left);
	for (; left > 0; i++) {
		struct piece *p = &b->pieces[i];

		if (left < p->end - p->start)
			p->end = p->start + (uint32_t)left;
		left -= p->end - p->start;
	}
	while (b->end > i)
		chunk_release(b->pieces[--b->end].chunk);
}

void unsent_end(struct unsent *b)
{
	while (b->first < b->end)
		drop_first(b);
	set_bytes(b, 0);
	free(b->pieces);
	*b = (struct unsent){ 0 };
}
