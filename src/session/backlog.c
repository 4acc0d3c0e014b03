/*
 * backlog.c - see backlog.h.
 *
 * Frames lie one behind the other in a counted block, so that they leave as one write per member,
 * and those whose sockets are full hold the block itself. What comes while a batch waits is put
 * in with it: a room that falls behind is delivered in fewer and larger pieces.
 */
#include "session/backlog.h"

#include <stdlib.h>
#include <string.h>

#include "base/counted.h"
#include "session/turn.h"

/* FIRST: what a batch has space for at first. */
enum { ENTRIES_FIRST = 16, BYTES_FIRST = 4096 };

static TAILQ_HEAD(, backlog) waiting = TAILQ_HEAD_INITIALIZER(waiting);
static size_t all_bytes;

static void stand_in_line(struct backlog *b)
{
	TAILQ_INSERT_TAIL(&waiting, b, entry);
	turn_counters_wait(LINE_ROOMS, &b->wait);
}

static void leave_line(struct backlog *b)
{
	TAILQ_REMOVE(&waiting, b, entry);
	turn_counters_serve(LINE_ROOMS, &b->wait);
}

static void account(struct backlog *b, size_t taken, size_t given)
{
	b->bytes += taken - given;
	all_bytes += taken - given;
}

static size_t memory_of(const struct backlog_batch *w)
{
	return sizeof(*w) + w->size * sizeof(*w->entries) +
	       (w->batch.frames ? w->batch.frames->size : 0) + edition_memory(&w->edition);
}

static void free_batch(struct backlog *b, struct backlog_batch *w)
{
	account(b, 0, memory_of(w));
	renditions_end(&w->renditions);
	renditions_end(&w->of_edition);
	edition_end(&w->edition);
	counted_release(w->batch.frames);
	free(w->entries);
	free(w);
}

/* Entries and frames may move: what points to them is put right when the batch begins. */
static bool has_space(struct backlog_batch *w, size_t entries, size_t bytes)
{
	size_t size = w->size ? w->size : ENTRIES_FIRST;
	struct batched *grown;

	while (size < w->batch.entries + entries)
		size *= 2;
	if (size > w->size) {
		grown = realloc(w->entries, size * sizeof(*grown));
		if (!grown)
			return false;
		w->entries = grown;
		w->size = size;
	}
	size = w->batch.frames ? w->batch.frames->size : BYTES_FIRST;
	while (size < w->batch.bytes + bytes)
		size *= 2;
	return counted_resize(&w->batch.frames, w->batch.bytes, size);
}

static void add(struct backlog_batch *w, const struct batched *e)
{
	struct batch *to = &w->batch;

	turn_spend_on(e->e.frame_len, TURN_KEEP);
	w->entries[to->entries++] = *e;
	memcpy(to->frames->bytes + to->bytes, e->e.frame, e->e.frame_len);
	to->bytes += e->e.frame_len;
	to->selective |= e->e.meta.not_to_sender;
}

/* The last batch, if it has not begun and may have so much more. */
static struct backlog_batch *open_batch(struct backlog *b, const struct batch *more)
{
	struct backlog_batch *w =
		backlog_is_empty(b) ? NULL : TAILQ_LAST(&b->batches, backlog_list);

	if (!w || w->begun || w->batch.entries + more->entries > BATCH_ENTRIES ||
	    w->batch.bytes + more->bytes > BATCH_BYTES)
		return NULL;
	return w;
}

static struct backlog_batch *new_batch(struct backlog *b)
{
	struct backlog_batch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	if (backlog_is_empty(b)) {
		TAILQ_INIT(&b->batches);
		stand_in_line(b);
	}
	TAILQ_INSERT_TAIL(&b->batches, w, next);
	account(b, memory_of(w), 0);
	return w;
}

static void drop_batch(struct backlog *b, struct backlog_batch *w)
{
	TAILQ_REMOVE(&b->batches, w, next);
	free_batch(b, w);
	if (backlog_is_empty(b))
		leave_line(b);
}

/* Who points to whom in a batch that stays as it is. */
static void seal(struct backlog_batch *w)
{
	batch_link(&w->batch, w->entries, w->batch.frames->bytes);
	w->begun = true;
}

bool backlog_put(struct backlog *b, const struct batch *batch, bool begun)
{
	struct backlog_batch *w = open_batch(b, batch), *made = NULL;
	size_t had;

	if (!w)
		w = made = new_batch(b);
	if (!w)
		return false;
	had = memory_of(w);
	if (!has_space(w, batch->entries, batch->bytes)) {
		account(b, memory_of(w), had);
		if (made)
			drop_batch(b, made);
		return false;
	}
	account(b, memory_of(w), had);
	for (const struct batched *e = batch->first; e; e = e->next)
		add(w, e);
	if (begun)
		seal(w);
	return true;
}

struct backlog_batch *backlog_begin(struct backlog *b)
{
	struct backlog_batch *w = TAILQ_FIRST(&b->batches);

	if (!w->begun)
		seal(w);
	return w;
}

bool backlog_need_edition(struct backlog *b, struct backlog_batch *w, const struct envelope *v)
{
	size_t had = memory_of(w);
	bool made = edition_make(&w->edition, &w->batch, v, true);

	account(b, memory_of(w), had);
	return made;
}

void backlog_end(struct backlog *b)
{
	drop_batch(b, TAILQ_FIRST(&b->batches));
}

void backlog_forget(struct backlog *b)
{
	while (!backlog_is_empty(b))
		backlog_end(b);
}

struct backlog *backlog_next(void)
{
	struct backlog *b = TAILQ_FIRST(&waiting);

	if (b) {
		leave_line(b);
		stand_in_line(b);
	}
	return b;
}

size_t backlog_bytes(void)
{
	return all_bytes;
}
