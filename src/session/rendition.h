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

struct config_compression;

enum { BATCH_ENTRIES = 1024 };

/* One entry of a batch; its frame lies in the log, up to the end of the delivery. */
struct batched {
	struct bus_entry e;
	struct batched *next; /* of the same room */
};

/* What one delivery has for one room. */
struct batch {
	struct batched *first, *last;
	size_t entries; /* at most BATCH_ENTRIES */
	bool selective; /* an entry is not for its sender */
};

/*
 * A batch as members of one class (compress_class, 0: plain) get it: all of it, and how long each
 * entry is in it.
 */
struct rendition {
	const uint8_t *p;
	size_t len;
	uint64_t marks[BATCH_ENTRIES];
	struct buffer own; /* where it lies, unless that is in the log */
};

/* Those of one batch at a time. */
struct renditions {
	struct rendition by_class[DEFLATE_BITS_MAX + 1];
	unsigned made; /* a bit for each that is there */
};
extern struct renditions renditions;

/* Of b for a class (>= 0); k: how it compresses. NULL: no memory. */
const struct rendition *rendition_make(const struct batch *b, int class,
				       const struct config_compression *k);

/*
 * The same, made when the first member of the class comes. It is there up to rendition_forget,
 * which is to be called between one batch and the next.
 */
static inline const struct rendition *rendition_of(const struct batch *b, int class,
						   const struct config_compression *k)
{
	if (renditions.made & 1u << class)
		return &renditions.by_class[class];
	return rendition_make(b, class, k);
}
void rendition_forget(void);
void rendition_fini(void);

/* The payload of an entry's frame. */
struct iovec rendition_payload(const struct bus_entry *e);

#endif
