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

/* Bytes of a frame of which some have left, at the front of all. */
static size_t rest_of_first(struct unsent *b)
{
	return b->gone > 0 ? first_length(b) - b->gone : 0;
}

static uint32_t size_of(const struct piece *p)
{
	return p->end - p->start;
}

/* Piece i becomes two, the first of so many bytes. False: no memory; pieces may have moved. */
static bool split_piece(struct unsent *b, uint32_t i, uint32_t bytes)
{
	const uint32_t k = i - b->first;
	struct piece *p;

	if (!need_piece(b))
		return false;
	p = &b->pieces[b->first + k];
	memmove(p + 1, p, (size_t)(b->end - b->first - k) * sizeof(*p));
	b->end++;
	p[1].chunk = chunk_hold(p->chunk);
	p[0].end = p[1].start = p->start + bytes;
	return true;
}

/* Where, counted from the first piece, frames begin of which nothing has left. -1: no memory. */
static int64_t first_whole(struct unsent *b)
{
	size_t left = rest_of_first(b);
	uint32_t i = b->first;

	for (; left > 0 && left >= size_of(&b->pieces[i]); i++)
		left -= size_of(&b->pieces[i]);
	i -= b->first;
	if (left == 0)
		return i;
	return split_piece(b, b->first + i, (uint32_t)left) ? (int64_t)i + 1 : -1;
}

/* Takes the frame that begins piece i out, which may be the end of pieces. False: it is no message. */
static bool drop_frame(struct unsent *b, uint32_t *i)
{
	struct piece *p = &b->pieces[*i];
	uint32_t at = p->mark, part;
	const uint64_t mark = chunk_mark_at(p->chunk, &at);
	size_t left = link_mark_length(mark);

	if (link_mark_kind(mark) != LINK_MESSAGE)
		return false;
	p->mark = at;
	set_bytes(b, b->bytes - left);
	for (; left > 0; left -= part) {
		p = &b->pieces[*i];
		part = size_of(p) < left ? size_of(p) : (uint32_t)left;
		p->start += part;
		if (p->start < p->end)
			continue;
		chunk_release(p->chunk);
		++*i;
	}
	return true;
}

/* Pieces [from, to) are gone. */
static void close_gap(struct unsent *b, uint32_t from, uint32_t to)
{
	if (from == b->first) {
		b->first = to;
		return;
	}
	memmove(b->pieces + from, b->pieces + to, (size_t)(b->end - to) * sizeof(*b->pieces));
	b->end -= to - from;
}

/* Those that are over one of the two bounds. */
static size_t drop(struct unsent *b, size_t most, uint32_t before)
{
	int64_t whole = first_whole(b);
	uint32_t from, i;
	size_t n = 0;

	if (whole < 0)
		return 0;
	from = i = b->first + (uint32_t)whole;
	while (i < b->end && (b->bytes > most || (int32_t)(b->pieces[i].since - before) < 0) &&
	       drop_frame(b, &i))
		n++;
	close_gap(b, from, i);
	return n;
}

size_t unsent_drop(struct unsent *b, size_t most)
{
	return b->bytes > most ? drop(b, most, unsent_since(b)) : 0;
}

size_t unsent_drop_old(struct unsent *b, uint32_t before)
{
	if (b->bytes == 0 || (int32_t)(unsent_since(b) - before) >= 0)
		return 0;
	return drop(b, SIZE_MAX, before);
}

void unsent_cut(struct unsent *b)
{
	size_t left = rest_of_first(b);
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
