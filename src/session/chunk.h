/*
 * chunk.h - memory for frames that wait, and for their marks.
 *
 * Frames lie in a chunk from the front, one behind the other, their marks from the back towards
 * them. A chunk is held by all that waits in it, and is gone with the last of that.
 *
 * A long message that has memory of its own is a chunk with that memory.
 *
 * What several links have to keep of the same runs is in chunks that they share. The one that is
 * being filled stands on a shelf, so that one run lies behind the other there, and a link that
 * keeps both has one piece of the chunk. A shelf holds nothing.
 */
#ifndef SESSION_CHUNK_H
#define SESSION_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "session/gap.h"

struct buffer;
struct link_run;

enum { CHUNK_MAX = 64 * 1024 }; /* bytes of memory; more only for a run that is longer */

struct chunk {
	LIST_ENTRY(chunk) entry; /* if it is on a shelf */
	uint32_t holders;
	uint32_t size; /* of `bytes` */
	uint32_t end; /* of the frames; behind it is free space */
	uint32_t marks; /* bytes, at the end of `bytes` */
	int kind; /* of a shared one: whose bytes differ by it stand apart */
	bool shared, on_shelf;
	struct gap gap; /* it has one frame, which tells of this; none: it has others */
	uint8_t *bytes; /* they lie behind it, or in memory that was given */
	size_t given; /* bytes of that; 0: none was */
	uint32_t ahead,
		behind; /* of which the first were given back; those behind the end, up to here */
};

/* Chunks that are being filled, one of each kind. Zeroed: none. */
struct chunk_shelf {
	LIST_HEAD(, chunk) chunks;
};

/* Where one run is kept, for all who get it. Zeroed but for shelf and kind: nobody has kept it. */
struct chunk_copy {
	struct chunk_shelf *shelf;
	int kind;
	struct chunk *chunk; /* held; NULL: nobody has kept it */
	uint32_t at, mark; /* where it begins there, and its first mark */
};

/*
 * One of one's own, held by the caller, for `bytes` more where `had` wait already: it grows with
 * what waits, up to CHUNK_MAX. It has space for one frame and its mark at least in part. NULL: no
 * memory.
 */
struct chunk *chunk_new(size_t had, size_t bytes);
/*
 * One of the bytes of a buffer, without space for more: the memory is the chunk's from here on, and the
 * buffer empty. Its bytes are counted already (base/account.h). NULL: no memory, and nothing has changed.
 */
struct chunk *chunk_new_given(struct buffer *from);
/* One for a gap, which is not written yet. */
struct chunk *chunk_new_gap(const struct gap_form *f);
/* Writes what it tells of: all of its frame, whose mark is the only one. */
void chunk_write_gap(struct chunk *c, const struct gap_form *f);
static inline struct chunk *chunk_hold(struct chunk *c)
{
	c->holders++;
	return c;
}
void chunk_release(struct chunk *c);

/*
 * Gives memory that it was given back to the system: a portion of what is ahead of `start`, which is not
 * read again; and all that is behind its bytes. Of other chunks: nothing.
 */
void chunk_trim(struct chunk *c, uint32_t start);
void chunk_trim_end(struct chunk *c);

/* Bytes that are free in it. */
static inline uint32_t chunk_space(const struct chunk *c)
{
	return c->size - c->end - c->marks;
}

/* How many bytes a mark takes: at most CHUNK_MARK_MAX, and never over half of its frame. */
enum { CHUNK_MARK_MAX = 10 };
uint32_t chunk_mark_size(uint64_t mark);
/* Puts it behind the others, where space must be. */
void chunk_put_mark(struct chunk *c, uint64_t mark);
/* The mark at *at, which moves on to the next. */
uint64_t chunk_mark_at(const struct chunk *c, uint32_t *at);

/* Copies the run, unless somebody has done so already. False: no memory. */
bool chunk_copy_run(struct chunk_copy *k, const struct link_run *r);
/* The run has been sent to all who get it. */
void chunk_copy_forget(struct chunk_copy *k);
/* Nothing will be put there any more. */
void chunk_shelf_clear(struct chunk_shelf *s);

#endif
