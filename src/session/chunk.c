/*
 * chunk.c - see chunk.h.
 *
 * A mark is kept in seven bits a byte, the lowest ones first, from the last byte of the chunk on
 * downwards: frames and marks share the space, whatever the length of the frames.
 */
#include "session/chunk.h"

#include <string.h>

#include "base/account.h"
#include "base/block.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "session/link.h"
#include "session/turn.h"

enum { OWN_FIRST = 1024, SHARED_FIRST = 8 * 1024 }; /* bytes of memory, with the header */
enum { MARK_BITS = 7, MARK_MORE = 0x80 };

static struct chunk *make(size_t memory)
{
	struct chunk *c = block_resize(NULL, 0, 0, memory);

	if (!c)
		return NULL;
	account_take(memory);
	*c = (struct chunk){ .holders = 1,
			     .size = (uint32_t)(memory - sizeof(*c)),
			     .bytes = (uint8_t *)(c + 1) };
	return c;
}

struct chunk *chunk_new(size_t had, size_t bytes)
{
	size_t memory = OWN_FIRST;

	while (memory < CHUNK_MAX && memory < had + bytes + sizeof(struct chunk) + CHUNK_MARK_MAX)
		memory *= 2;
	return make(memory);
}

struct chunk *chunk_new_given(struct buffer *from)
{
	struct chunk *c = make(sizeof(*c));

	if (!c)
		return NULL;
	c->size = c->end = (uint32_t)from->len;
	c->bytes = from->p;
	c->given = from->size;
	c->behind = c->end;
	*from = (struct buffer){ 0 };
	return c;
}

struct chunk *chunk_new_gap(const struct gap_form *f)
{
	return make(sizeof(struct chunk) + gap_frame_max(f) + CHUNK_MARK_MAX);
}

static void leave_shelf(struct chunk *c)
{
	if (c->on_shelf)
		LIST_REMOVE(c, entry);
	c->on_shelf = false;
}

void chunk_release(struct chunk *c)
{
	if (--c->holders > 0)
		return;
	leave_shelf(c);
	account_give(sizeof(*c) + c->size - c->ahead);
	if (c->given > 0)
		block_free(c->bytes, c->given);
	block_free(c, sizeof(*c) + (c->given > 0 ? 0 : c->size));
}

void chunk_trim(struct chunk *c, uint32_t start)
{
	const uint32_t before = c->ahead;

	if (c->given == 0)
		return;
	c->ahead = (uint32_t)block_untouch(c->bytes, c->given, before, start);
	turn_spend_on(c->ahead - before, TURN_UNMAP);
	account_give(c->ahead - before);
}

/* It is at most as long as what is ahead of it, and seldom there: a larger one had the block before. */
void chunk_trim_end(struct chunk *c)
{
	size_t from = c->behind, to;

	if (c->given == 0)
		return;
	for (; (to = block_untouch(c->bytes, c->given, from, c->given)) > from; from = to)
		turn_spend(TURN_CALL);
	c->behind = (uint32_t)from;
}

/* --- marks --- */

uint32_t chunk_mark_size(uint64_t mark)
{
	uint32_t n = 1;

	for (; mark >= MARK_MORE; mark >>= MARK_BITS)
		n++;
	return n;
}

void chunk_put_mark(struct chunk *c, uint64_t mark)
{
	uint8_t *p = c->bytes + c->size - c->marks;

	c->marks += chunk_mark_size(mark);
	for (; mark >= MARK_MORE; mark >>= MARK_BITS)
		*--p = (uint8_t)mark | MARK_MORE;
	*--p = (uint8_t)mark;
}

uint64_t chunk_mark_at(const struct chunk *c, uint32_t *at)
{
	const uint8_t *p = c->bytes + c->size - *at;
	uint64_t mark = 0;
	unsigned bits = 0;

	do {
		mark |= (uint64_t)(*--p & ~MARK_MORE) << bits;
		bits += MARK_BITS;
	} while (*p & MARK_MORE);
	*at += bits / MARK_BITS;
	return mark;
}

void chunk_write_gap(struct chunk *c, const struct gap_form *f)
{
	turn_spend(TURN_MESSAGE);
	c->end = (uint32_t)gap_write_frame(c->bytes, f, &c->gap);
	c->marks = 0;
	chunk_put_mark(c, link_mark(c->end, LINK_TOLD));
}

/* --- what is shared --- */

static struct chunk *on_shelf(const struct chunk_copy *k)
{
	struct chunk *c;

	LIST_FOREACH (c, &k->shelf->chunks, entry)
		if (c->kind == k->kind)
			return c;
	return NULL;
}

/* Each is twice as large as the one before it: who keeps little does not take much. */
static struct chunk *next_shared(const struct chunk_copy *k, struct chunk *full, size_t needed)
{
	size_t memory = full ? 2 * (sizeof(*full) + full->size) : SHARED_FIRST;
	struct chunk *c;

	while (memory < needed + sizeof(*c) && memory < CHUNK_MAX)
		memory *= 2;
	memory = memory < CHUNK_MAX ? memory : CHUNK_MAX;
	c = make(memory < needed + sizeof(*c) ? needed + sizeof(*c) : memory);
	if (!c)
		return NULL;
	if (full)
		leave_shelf(full);
	c->kind = k->kind;
	c->shared = c->on_shelf = true;
	LIST_INSERT_HEAD(&k->shelf->chunks, c, entry);
	return c;
}

static void put_run(struct chunk *c, const struct link_run *r)
{
	uint8_t *to = c->bytes + c->end;

	turn_spend_on(r->len, TURN_KEEP);
	for (int i = 0; i < r->count; i++)
		to = bytes_copy(to, r->parts[i].iov_base, r->parts[i].iov_len);
	c->end += (uint32_t)r->len;
	for (size_t i = 0; i < r->frames; i++)
		chunk_put_mark(c, r->marks[i]);
}

bool chunk_copy_run(struct chunk_copy *k, const struct link_run *r)
{
	struct chunk *c = k->chunk ? NULL : on_shelf(k);
	size_t needed = r->len;

	if (k->chunk)
		return true;
	for (size_t i = 0; i < r->frames; i++)
		needed += chunk_mark_size(r->marks[i]);
	c = c && chunk_space(c) >= needed ? chunk_hold(c) : next_shared(k, c, needed);
	if (!c)
		return false;
	k->chunk = c;
	k->at = c->end;
	k->mark = c->marks;
	put_run(c, r);
	return true;
}

void chunk_copy_forget(struct chunk_copy *k)
{
	if (k->chunk)
		chunk_release(k->chunk);
	*k = (struct chunk_copy){ 0 };
}

void chunk_shelf_clear(struct chunk_shelf *s)
{
	while (!LIST_EMPTY(&s->chunks))
		leave_shelf(LIST_FIRST(&s->chunks));
}
