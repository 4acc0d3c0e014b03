/*
 * unsent.c - see unsent.h.
 */
#include "session/unsent.h"

#include <stdlib.h>
#include <string.h>

#include "session/link.h"
#include "session/turn.h"

/* OLD_MOST: messages that are dropped for their age in one go, a millisecond's worth. */
enum { PIECES_FIRST = 4, OLD_MOST = 250000 };

size_t unsent_bytes;

/* Bytes of a kind have come. */
static void add_bytes(struct unsent *b, size_t n, uint32_t kind)
{
	unsent_bytes += n;
	b->bytes += n;
	if (kind == LINK_TOLD)
		b->told += n;
}

static void take_bytes(struct unsent *b, size_t n, uint32_t kind)
{
	unsent_bytes -= n;
	b->bytes -= n;
	if (kind == LINK_TOLD)
		b->told -= n;
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

/*
 * Takes over the caller's hold of c. Where some wait already the peer is slow: then what it does not wait
 * for takes no memory.
 */
static void add_piece(struct unsent *b, struct chunk *c, uint32_t start, uint32_t mark,
		      uint32_t now, uint32_t kind)
{
	if (b->first < b->end) {
		chunk_trim(b->pieces[b->first].chunk, b->pieces[b->first].start);
		chunk_trim_end(b->pieces[b->first].chunk);
		chunk_trim_end(c);
	}
	b->pieces[b->end++] = (struct piece){ c, start, start, mark, now, kind };
}

static struct piece *last_piece(struct unsent *b)
{
	return (struct piece *)unsent_last(b);
}

static bool goes_on(const struct piece *p, const struct chunk *c, uint32_t start, uint32_t now)
{
	return p && p->chunk == c && p->end == start && p->since == now;
}

/* The chunk of one's own that a piece is the end of, if more can be put there. */
static struct chunk *open_chunk(const struct piece *p)
{
	struct chunk *c = p ? p->chunk : NULL;

	return c && !c->shared && c->gap.last == 0 && p->end == c->end ? c : NULL;
}

/* The chunk of one's own that bytes are put into next. NULL: no memory. */
static struct chunk *own_chunk(struct unsent *b, size_t len, uint64_t mark, uint32_t kind,
			       uint32_t now)
{
	struct piece *p = last_piece(b);
	struct chunk *c = open_chunk(p);

	if (c && chunk_space(c) <= (mark ? chunk_mark_size(mark) : 0))
		c = NULL;
	if (c && p->since == now && p->kind == kind)
		return c;
	if (!need_piece(b))
		return NULL;
	c = c ? chunk_hold(c) : chunk_new(b->bytes, len);
	if (c)
		add_piece(b, c, c->end, c->marks, now, kind);
	return c;
}

bool unsent_copy(struct unsent *b, const uint8_t *p, size_t len, uint64_t mark, size_t gone,
		 uint32_t now)
{
	const uint32_t kind = mark ? link_mark_kind(mark) : last_piece(b)->kind;

	while (len > 0) {
		struct chunk *c = own_chunk(b, len, mark, kind, now);
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
		add_bytes(b, n, kind);
		b->copied += n;
		p += n;
		len -= n;
	}
	if (gone > 0)
		b->gone = gone;
	return true;
}

bool unsent_give(struct unsent *b, struct buffer *from, size_t skip, uint64_t mark, size_t gone,
		 uint32_t now)
{
	const uint32_t kind = mark ? link_mark_kind(mark) : last_piece(b)->kind;
	struct chunk *c = need_piece(b) ? chunk_new_given(from) : NULL;

	if (!c)
		return false;
	add_piece(b, c, (uint32_t)skip, 0, now, kind);
	last_piece(b)->end = c->end;
	add_bytes(b, c->end - skip, kind);
	/* there is no space for a mark in it; of a frame that was not begun another piece has it */
	b->mark = mark ? mark : b->mark;
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
		add_piece(b, chunk_hold(c), start, mark, now, LINK_MESSAGE);
	}
	last_piece(b)->end = end;
	add_bytes(b, end - start, LINK_MESSAGE);
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
	take_bytes(b, n, p->kind);
	b->gone += n;
	*mark = b->mark;
	*whole = b->gone == len;
	if (*whole)
		b->mark = b->gone = 0;
	if (p->start == p->end)
		drop_first(b);
	else if (b->first + 1 < b->end)
		chunk_trim(p->chunk, p->start);
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

/* Makes space for a piece ahead of the last `behind` ones. False: no memory; pieces may have moved. */
static bool open_place(struct unsent *b, uint32_t behind)
{
	struct piece *p;

	if (!need_piece(b))
		return false;
	p = &b->pieces[b->end++ - behind];
	memmove(p + 1, p, behind * sizeof(*p));
	return true;
}

/* Piece i becomes two, the first of so many bytes. False: no memory; pieces may have moved. */
static bool split_piece(struct unsent *b, uint32_t i, uint32_t bytes)
{
	const uint32_t behind = b->end - i;
	struct piece *p;

	if (!open_place(b, behind))
		return false;
	p = &b->pieces[b->end - behind - 1];
	p[0] = p[1];
	chunk_hold(p->chunk);
	p[0].end = p[1].start = p->start + bytes;
	return true;
}

/* How many pieces there are of a frame of which some has left. False: no memory. */
static bool count_begun(struct unsent *b, uint32_t *count)
{
	size_t left = rest_of_first(b);
	uint32_t i = b->first;

	for (; left > 0 && left >= size_of(&b->pieces[i]); i++)
		left -= size_of(&b->pieces[i]);
	*count = i - b->first + (left > 0);
	return left == 0 || split_piece(b, i, (uint32_t)left);
}

/* --- what is forgotten, and what is told of it --- */

/* What is dropped, and where that has come to: places in the list move, what is behind does not. */
struct dropping {
	size_t most; /* bytes that may wait, */
	uint32_t before; /* if they began to wait then or later */
	size_t limit; /* messages that are dropped at most */
	const struct gap_form *form;
	uint32_t behind; /* pieces from the one on that is looked at */
	size_t messages;
	struct gap lost; /* of those in a row */
	uint32_t since;
};

static bool is_over(const struct unsent *b, const struct dropping *d, const struct piece *p)
{
	return p->kind == LINK_MESSAGE && d->messages < d->limit &&
	       (b->bytes - b->told > d->most || (int32_t)(p->since - d->before) < 0);
}

/* Takes the frame that begins piece i out, which may be the end of pieces. Returns its mark. */
static uint64_t drop_frame(struct unsent *b, uint32_t *i)
{
	struct piece *p = &b->pieces[*i];
	uint32_t at = p->mark, part;
	const uint64_t mark = chunk_mark_at(p->chunk, &at);
	size_t left = link_mark_length(mark);

	p->mark = at;
	take_bytes(b, left, LINK_MESSAGE);
	for (; left > 0; left -= part) {
		p = &b->pieces[*i];
		part = size_of(p) < left ? size_of(p) : (uint32_t)left;
		p->start += part;
		if (p->start < p->end)
			continue;
		chunk_release(p->chunk);
		++*i;
	}
	return mark;
}

static bool is_gap(const struct piece *p)
{
	return p->chunk->gap.last != 0;
}

/* A gap goes into the one that is being made. */
static void absorb(struct unsent *b, struct dropping *d, const struct piece *p)
{
	gap_add(&d->lost, p->chunk->gap);
	take_bytes(b, size_of(p), p->kind);
	chunk_release(p->chunk);
}

/* Drops messages from piece i on, with the gaps among them. Returns where that ends. */
static uint32_t drop_row(struct unsent *b, struct dropping *d, uint32_t i)
{
	while (i < b->end) {
		const struct piece *p = &b->pieces[i];
		uint64_t mark;

		if (is_gap(p)) {
			absorb(b, d, p);
			i++;
			continue;
		}
		if (!is_over(b, d, p))
			break;
		d->since = p->since;
		d->messages++;
		mark = drop_frame(b, &i);
		if (d->form)
			gap_add(&d->lost, link_mark_gap(mark, d->form->newest));
	}
	return i;
}

/* Pieces [from, to) are gone. */
static void close_places(struct unsent *b, uint32_t from, uint32_t to)
{
	if (from == b->first) {
		b->first = to;
		return;
	}
	memmove(b->pieces + from, b->pieces + to, (size_t)(b->end - to) * sizeof(*b->pieces));
	b->end -= to - from;
}

static void write_gap(struct unsent *b, struct piece *p, const struct gap_form *form)
{
	chunk_write_gap(p->chunk, form);
	p->mark = 0;
	p->end = p->chunk->end;
	add_bytes(b, p->end, LINK_TOLD);
}

/* Puts one ahead of the last `behind` pieces, at a place that is there or is made. False: no memory. */
static bool put_gap(struct unsent *b, uint32_t behind, bool there, const struct gap_form *form,
		    struct gap lost, uint32_t since)
{
	struct chunk *c = chunk_new_gap(form);
	struct piece *p;

	if (!c || (!there && !open_place(b, behind))) {
		if (c)
			chunk_release(c);
		return false;
	}
	c->gap = lost;
	p = &b->pieces[b->end - behind - 1];
	*p = (struct piece){ .chunk = c, .since = since, .kind = LINK_TOLD };
	write_gap(b, p, form);
	return true;
}

/* The next messages that are over; begun: pieces of a frame that stays. False: no memory. */
static bool drop_some(struct unsent *b, struct dropping *d, uint32_t begun)
{
	uint32_t from = b->end - d->behind, to = from;
	bool there;

	d->lost = (struct gap){ 0 };
	if (from > b->first + begun && is_gap(&b->pieces[from - 1]))
		absorb(b, d, &b->pieces[--from]);
	to = drop_row(b, d, to);
	d->behind = b->end - to;
	there = d->lost.last != 0 && to > from;
	close_places(b, from, there ? to - 1 : to);
	if (d->lost.last == 0)
		return true;
	if (put_gap(b, d->behind, there, d->form, d->lost, d->since))
		return true;
	if (there)
		close_places(b, b->end - d->behind - 1, b->end - d->behind);
	return false;
}

/* The oldest first, however many of those that stay are among them. */
static bool drop(struct unsent *b, struct dropping *d)
{
	uint32_t begun;

	if (!count_begun(b, &begun))
		return false;
	for (d->behind = b->end - b->first - begun; d->behind > 0;) {
		const struct piece *p = &b->pieces[b->end - d->behind];

		if (p->kind != LINK_MESSAGE)
			d->behind--;
		else if (!is_over(b, d, p))
			break;
		else if (!drop_some(b, d, begun))
			return false;
	}
	return true;
}

bool unsent_drop(struct unsent *b, size_t most, const struct gap_form *form, size_t *n)
{
	struct dropping d = { .most = most, .limit = SIZE_MAX, .form = form };
	bool done;

	*n = 0;
	if (b->bytes - b->told <= most)
		return true;
	d.before = unsent_since(b);
	done = drop(b, &d);
	turn_spend_on_each(d.messages, TURN_PASS);
	*n = d.messages;
	return done;
}

bool unsent_drop_old(struct unsent *b, uint32_t before, const struct gap_form *form, size_t *n)
{
	struct dropping d = { .most = SIZE_MAX, .before = before, .limit = OLD_MOST, .form = form };
	bool done;

	*n = 0;
	if (b->bytes == 0 || (int32_t)(unsent_since(b) - before) >= 0)
		return true;
	done = drop(b, &d);
	turn_spend_on_each(d.messages, TURN_PASS);
	*n = d.messages;
	return done;
}

bool unsent_lose(struct unsent *b, const struct gap_form *form, struct gap lost, uint32_t now)
{
	struct piece *p = last_piece(b);

	if (!p || !is_gap(p) || (p == &b->pieces[b->first] && b->gone > 0))
		return put_gap(b, 0, false, form, lost, now);
	gap_add(&p->chunk->gap, lost);
	take_bytes(b, size_of(p), LINK_TOLD);
	write_gap(b, p, form);
	return true;
}

void unsent_cut(struct unsent *b)
{
	size_t left = rest_of_first(b);
	uint32_t i = b->first;

	for (; left > 0; i++) {
		struct piece *p = &b->pieces[i];

		if (left < size_of(p)) {
			take_bytes(b, size_of(p) - left, p->kind);
			p->end = p->start + (uint32_t)left;
		}
		left -= size_of(p);
	}
	while (b->end > i) {
		const struct piece *p = &b->pieces[--b->end];

		take_bytes(b, size_of(p), p->kind);
		chunk_release(p->chunk);
	}
}

void unsent_end(struct unsent *b)
{
	while (b->first < b->end)
		drop_first(b);
	unsent_bytes -= b->bytes;
	free(b->pieces);
	*b = (struct unsent){ 0 };
}
