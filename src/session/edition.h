/*
 * edition.h - a batch as members of the format "json" get it (envelope.h).
 *
 * It is a batch of its own, with as many entries in the same order, and is made once for all of
 * them; what it looks like with compression is made of it as of any other (rendition.h).
 */
#ifndef SESSION_EDITION_H
#define SESSION_EDITION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "session/envelope.h"
#include "session/rendition.h"

/* Zeroed: it is none. */
struct edition {
	struct batch batch; /* entries 0: it is not made */
	struct batched *entries;
	size_t size; /* of entries, the array */
	struct buffer bytes; /* where its frames lie, unless batch.frames has them */
};

/*
 * Makes that of b, unless it is made. keep: b is out of the log, and so is this; else it lasts as
 * long as b. False: no memory.
 */
bool edition_make(struct edition *e, const struct batch *b, const struct envelope *v, bool keep);

/* Bytes of memory that it takes, where it is kept. */
size_t edition_memory(const struct edition *e);

/* It is none any more, and keeps a little memory for the next. */
void edition_forget(struct edition *e);
void edition_end(struct edition *e);

#endif
