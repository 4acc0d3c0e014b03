/*
 * block.c - see block.h.
 *
 * A block's size is a power of two. What that rounds up costs addresses alone, for memory
 * that is not touched is not there.
 */
#include "base/block.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/queue.h>

#include "base/bytes.h"

enum { CLASSES = 40 };

/* At the beginning of a block that waits. */
struct block {
	SLIST_ENTRY(block) link;
};

/* The blocks of BLOCK_MIN << index bytes that wait. */
struct class
{
	SLIST_HEAD(, block) blocks;
	size_t count;
	size_t least; /* the fewest since the last look: so many nobody has needed */
	size_t surplus; /* how many are to be given back */
};

static struct class classes[CLASSES];
static unsigned ticks; /* since the last look */

/* What is left of the block that is being given back. */
static uint8_t *going;
static size_t going_size;

static size_t size_of(unsigned class)
{
	return (size_t)BLOCK_MIN << class;
}

/* CLASSES: none is that large. */
static unsigned class_for(size_t size)
{
	unsigned class = 0;

	while (class < CLASSES && size_of(class) < size)
		class ++;
	return class;
}

static void *take(struct class *k)
{
	struct block *b = SLIST_FIRST(&k->blocks);

	SLIST_REMOVE_HEAD(&k->blocks, link);
	k->count--;
	if (k->least > k->count)
		k->least = k->count;
	if (k->surplus > k->count)
		k->surplus = k->count;
	return b;
}

/* What waits is let go before memory is said to have run out. */
static void *map(size_t size)
{
	const int how = MAP_PRIVATE | MAP_ANONYMOUS;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, how, -1, 0);

	for (unsigned i = 0; i < CLASSES && p == MAP_FAILED; i++) {
		while (classes[i].count > 0)
			munmap(take(&classes[i]), size_of(i));
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, how, -1, 0);
	}
	return p == MAP_FAILED ? NULL : p;
}

/* Moves the memory, not the bytes. */
static void *remap(void *p, unsigned from, unsigned to)
{
	p = mremap(p, size_of(from), size_of(to), MREMAP_MAYMOVE);
	return p == MAP_FAILED ? NULL : p;
}

static void *allocate(size_t size)
{
	unsigned class = class_for(size);

	if (size < BLOCK_MIN)
		return malloc(size);
	if (class == CLASSES)
		return NULL;
	return classes[class].count > 0 ? take(&classes[class]) : map(size_of(class));
}

/* Whether one block may grow into another, for none waits that could be taken instead. */
static bool can_grow(size_t had, size_t size)
{
	unsigned class = class_for(size);

	return had >= BLOCK_MIN && size >= BLOCK_MIN && class < CLASSES &&
	       classes[class].count == 0;
}

void *block_resize(void *p, size_t used, size_t had, size_t size)
{
	void *to;

	if (had < BLOCK_MIN && size < BLOCK_MIN)
		return realloc(p, size);
	if (can_grow(had, size))
		return remap(p, class_for(had), class_for(size));
	to = allocate(size);
	if (!to)
		return NULL;
	bytes_copy(to, p, used);
	block_free(p, had);
	return to;
}

void block_free(void *p, size_t size)
{
	struct block *b = p;
	struct class *k;

	if (size < BLOCK_MIN) {
		free(p);
		return;
	}
	k = &classes[class_for(size)];
	SLIST_INSERT_HEAD(&k->blocks, b, link);
	k->count++;
}

/* How many of a class's idle blocks are kept while so many bytes may be; no class has all of that. */
static size_t share(const struct class *k, size_t size, size_t kept)
{
	size_t most = (kept < BLOCK_KEPT / 2 ? kept : BLOCK_KEPT / 2) / size;

	return k->least < most ? k->least : most;
}

static void look(void)
{
	size_t kept = BLOCK_KEPT;

	ticks = 0;
	for (unsigned i = 0; i < CLASSES; i++) {
		struct class *k = &classes[i];
		size_t stay = share(k, size_of(i), kept);

		kept -= stay * size_of(i);
		k->surplus = k->least - stay;
		k->least = k->count;
	}
}

static bool next_to_go(void)
{
	for (unsigned i = 0; i < CLASSES; i++) {
		if (classes[i].surplus == 0)
			continue;
		classes[i].surplus--;
		going = take(&classes[i]);
		going_size = size_of(i);
		return true;
	}
	return false;
}

/* Unmaps up to `most` bytes, from the end: what is before it goes on being a mapping. */
static size_t give_back(size_t most)
{
	size_t n = going_size < most ? going_size : most;

	going_size -= n;
	/* If there would be too many mappings the addresses stay; the memory goes. */
	if (munmap(going + going_size, n) < 0)
		madvise(going + going_size, n, MADV_DONTNEED);
	return n;
}

void block_tick(void)
{
	size_t portion = BLOCK_PORTION;

	if (++ticks == BLOCK_TICKS)
		look();
	for (int i = 0; i < BLOCK_CALLS && portion > 0; i++) {
		if (going_size == 0 && !next_to_go())
			break;
		portion -= give_back(portion);
	}
}

size_t block_waiting(void)
{
	size_t bytes = going_size;

	for (unsigned i = 0; i < CLASSES; i++)
		bytes += classes[i].count * size_of(i);
	return bytes;
}
