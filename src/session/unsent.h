/*
 * unsent.h - what waits for a socket: pieces of chunks, in order.
 *
 * Bytes are taken off the front as they leave, and the frame that this cuts is known to the end
 * of it. Each piece has frames of one kind, and the time at which its first byte began to wait, and
 * gets no longer when that is another one.
 *
 * What is forgotten may leave a gap in its place (gap.h), a piece by itself. It grows by what is
 * forgotten beside it until some of it has left.
 */
#ifndef SESSION_UNSENT_H
#define SESSION_UNSENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "session/chunk.h"

struct piece {
	struct chunk *chunk; /* held */
	uint32_t start, end; /* bytes of it */
	uint32_t mark; /* of the first frame that begins there */
	uint32_t since; /* the caller's clock */
	uint32_t kind; /* enum link_kind */
};

/* Zeroed: empty. */
struct unsent {
	struct piece *pieces; /* [first, end) of them */
	uint32_t first, end, size;
	uint64_t mark; /* of the frame that the first byte is of, 0: it is in its piece yet */
	size_t gone; /* bytes of that frame that have left */
	size_t bytes; /* of all pieces, */
	size_t told; /* and of those that are LINK_TOLD */
	size_t copied; /* since the last piece that is shared */
};

/* Bytes of all that there are, in this process. */
extern size_t unsent_bytes;

/*
 * Adds a frame, or what is behind its first `gone` bytes, which needs it to be empty:
 * by copying it from `len` bytes at p on, which may come in several calls (mark: 0 but for the
 * first of a frame), or as bytes of a shared chunk. False: no memory; what was copied then stays.
 */
bool unsent_copy(struct unsent *b, const uint8_t *p, size_t len, uint64_t mark, size_t gone,
		 uint32_t now);
/*
 * The same for what is behind `skip` bytes of a buffer, which are the rest of a frame, without a copy: the
 * buffer is empty then, but if there is no memory. Its bytes are counted already (base/account.h).
 */
bool unsent_give(struct unsent *b, struct buffer *from, size_t skip, uint64_t mark, size_t gone,
		 uint32_t now);
bool unsent_share(struct unsent *b, struct chunk *c, uint32_t start, uint32_t end, uint32_t mark,
		  size_t gone, uint32_t now);

/* The newest piece. NULL: none. */
static inline const struct piece *unsent_last(const struct unsent *b)
{
	return b->first < b->end ? &b->pieces[b->end - 1] : NULL;
}

/* When the first byte began to wait; there must be one. */
static inline uint32_t unsent_since(const struct unsent *b)
{
	return b->pieces[b->first].since;
}

/* What is to leave next, up to `most` bytes in up to `max` parts; returns how many. */
int unsent_parts(const struct unsent *b, struct iovec *parts, int max, size_t most);

/*
 * Takes up to n (> 0) bytes that have left, of one frame and one piece; returns how many. *whole:
 * that was the end of the frame that *mark is of.
 */
size_t unsent_take(struct unsent *b, size_t n, uint64_t *mark, bool *whole);

/*
 * Forgets messages, the oldest first, of which nothing has left: until no more than `most` bytes
 * wait that were not told; or those that began to wait before a tick, of very many not all of them
 * at once. *n: how many they were. form:
 * of the gaps that they leave, NULL: none. False: no memory.
 */
bool unsent_drop(struct unsent *b, size_t most, const struct gap_form *form, size_t *n);
bool unsent_drop_old(struct unsent *b, uint32_t before, const struct gap_form *form, size_t *n);

/* Puts a gap behind all: what would have followed is missing. False: no memory. */
bool unsent_lose(struct unsent *b, const struct gap_form *form, struct gap lost, uint32_t now);

/* Forgets all frames of which nothing has left. */
void unsent_cut(struct unsent *b);

/* Forgets all, and frees its memory. */
void unsent_end(struct unsent *b);

#endif
