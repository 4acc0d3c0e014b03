/*
 * block.c - see block.h.
 *
 * A block's size is a power of two. What that rounds up costs addresses alone in a new one, for
 * memory that is not touched is not there; one that was used keeps what it had, up to its size.
 */
#include "base/block.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/queue.h>

#include "base/bytes.h"

enum { ORDERS = 40 };

/* At the beginning of a block that waits. */
struct block {
	SLIST_ENTRY(block) link;
};

/* The blocks of BLOCK_MIN << index bytes that wait. */
struct order {
	SLIST_HEAD(, block) blocks;
	size_t count;
	size_t least; /* the fewest since the last look: so many nobody has needed */
	size_t surplus; /* how many are to be given back */
};

static struct order orders[ORDERS];
static unsigned ticks; /* since the last look */

/* What is left of the block that is being given back. */
static uint8_t *going;
static size_t going_size;

static size_t size_of(unsigned order)
{
	return (size_t)BLOCK_MIN << order;
}

/* ORDERS: none is that large. */
static unsigned order_for(size_t size)
{
	unsigned order = 0;

	while (order < ORDERS && size_of(order) < size)
		order++;
	return order;
}

static void *take(struct order *o)
{
	struct block *b = SLIST_FIRST(&o->blocks);

	SLIST_REMOVE_HEAD(&o->blocks, link);
	o->count--;
	if (o->least > o->count)
		o->least = o->count;
	if (o->surplus > o->count)
		o->surplus = o->count;
	return b;
}

/* What waits is let go before memory is said to have run out. */
static void *map(size_t size)
{
	const int how = MAP_PRIVATE | MAP_ANONYMOUS;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, how, -1, 0);

	for (unsigned i = 0; i < ORDERS && p == MAP_FAILED; i++) {
		while (orders[i].count > 0)
			munmap(take(&orders[i]), size_of(i));
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
	unsigned order = order_for(size);

	if (size < BLOCK_MIN)
		return malloc(size);
	if (order == ORDERS)
		return NULL;
	return orders[order].count > 0 ? take(&orders[order]) : map(size_of(order));
}

/* Whether one block may grow into another, for none waits that could be taken instead. */
static bool can_grow(size_t had, size_t size)
{
	unsigned order = order_for(size);

	return had >= BLOCK_MIN && size >= BLOCK_MIN && order < ORDERS && orders[order].count == 0;
}

void *block_resize(void *p, size_t used, size_t had, size_t size)
{
	void *to;

	if (had < BLOCK_MIN && size < BLOCK_MIN)
		return realloc(p, size);
	to = can_grow(had, size) ? remap(p, order_for(had), order_for(size)) : NULL;
	if (to)
		return to;
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
	struct order *o;

	if (size < BLOCK_MIN) {
		free(p);
		return;
	}
	o = &orders[order_for(size)];
	SLIST_INSERT_HEAD(&o->blocks, b, link);
	o->count++;
}

/* How many of an order's idle blocks are kept while so many bytes may be; no order has all of that. */
static size_t share(const struct order *o, size_t size, size_t kept)
{
	size_t most = (kept < BLOCK_KEPT / 2 ? kept : BLOCK_KEPT / 2) / size;

	return o->least < most ? o->least : most;
}

static void look(void)
{
	size_t kept = BLOCK_KEPT;

	ticks = 0;
	for (unsigned i = 0; i < ORDERS; i++) {
		struct order *o = &orders[i];
		size_t stay = share(o, size_of(i), kept);

		kept -= stay * size_of(i);
		o->surplus = o->least - stay;
		o->least = o->count;
	}
}

static bool next_to_go(void)
{
	for (unsigned i = 0; i < ORDERS; i++) {
		if (orders[i].surplus == 0)
			continue;
		orders[i].surplus--;
		going = take(&orders[i]);
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

	for (unsigned i = 0; i < ORDERS; i++)
		bytes += orders[i].count * size_of(i);
	return bytes;
}
