/*
 * rendition.h - what a room's batch looks like to members of one class.
 */
#ifndef SESSION_RENDITION_H
#define SESSION_RENDITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "bus/bus.h"
#include "proto/deflate.h"
#include "session/chunk.h"
#include "session/compress.h"
#include "session/link.h"

struct counted;

/* What is delivered together at most; one entry may have more bytes. */
enum { BATCH_ENTRIES = 1024, BATCH_BYTES = 256 * 1024 };

/* One entry of a batch, and where its frame lies: see struct batch. */
struct batched {
	struct bus_entry e;
	struct batched *next; /* of the same room */
};

/* What one delivery has for one room. */
struct batch {
	struct batched *first, *last;
	size_t entries; /* at most BATCH_ENTRIES */
	size_t bytes; /* of their frames */
	bool selective; /* an entry is not for its sender */
	bool numbered; /* who does not get one of them is told (struct gap) */
	bool told; /* they are ours (LINK_TOLD) */
	struct counted
		*frames; /* one behind the other; NULL: in the log, up to the end of the turn */
};

/* Of one of its frames, by its number (link.h). */
static inline uint64_t batch_mark(const struct batch *b, size_t len, uint64_t number)
{
	if (b->numbered)
		return link_mark_numbered(len, number);
	return link_mark(len, b->told ? LINK_TOLD : LINK_MESSAGE);
}

/*
 * The entries of a batch lie in one row, and their frames one behind the other from `frames` on, each
 * of the length that is in its entry: they are told where, and linked.
 */
static inline void batch_link(struct batch *b, struct batched *entries, const uint8_t *frames)
{
	for (size_t i = 0; i < b->entries; i++) {
		entries[i].e.frame = frames;
		entries[i].next = i + 1 < b->entries ? &entries[i + 1] : NULL;
		frames += entries[i].e.frame_len;
	}
	b->first = b->entries > 0 ? entries : NULL;
	b->last = b->entries > 0 ? &entries[b->entries - 1] : NULL;
}

/*
 * A batch as members of one class (compress_class, 0: plain) get it: all of it, and how long each
 * entry is in it.
 */
struct rendition {
	struct link_run run;
	struct iovec part; /* of the run, the only one */
	uint64_t marks[BATCH_ENTRIES];
	uint32_t header_more; /* of all that is in it, see link.h */
	uint32_t takers; /* members that have taken all of it at once, and are not counted yet */
	struct buffer own; /* where it lies, unless that is in the log, or the batch */
	struct chunk_copy copy; /* for members that take it slowly */
	const struct batched *next; /* the entry that it is being made of; NULL: none yet */
	size_t made; /* entries that are in it */
	struct compress_job job; /* of that entry */
};

/* Those of one batch. Zeroed: there are none. */
struct renditions {
	struct rendition *by_class[DEFLATE_BITS_MAX + 1];
	unsigned made; /* a bit for each that is whole */
	struct chunk_shelf *shelf; /* the room's */
	int kind; /* what is first of theirs there: those of other batches of the room have others */
};

enum rendition_result {
	RENDITION_MADE,
	RENDITION_LATER, /* it takes more than this turn: of a batch in the log it is not begun */
	RENDITION_NO_MEMORY,
};

/* Goes on with that of b for a class (>= 0); k: how it compresses. */
enum rendition_result rendition_make(struct renditions *all, const struct batch *b, int class,
				     const struct config_compression *k);

/*
 * The same, which is made when the first member of the class comes, and is all->by_class[class]
 * then, up to renditions_forget: that is to be called between one batch and the next.
 */
static inline enum rendition_result rendition_need(struct renditions *all, const struct batch *b,
						   int class, const struct config_compression *k)
{
	if (all->made & 1u << class)
		return RENDITION_MADE;
	return rendition_make(all, b, class, k);
}
void renditions_forget(struct renditions *all);
/* The same, and nothing is kept for the next. */
void renditions_end(struct renditions *all);

/* The payload of an entry's frame. */
struct iovec rendition_payload(const struct bus_entry *e);

#endif
