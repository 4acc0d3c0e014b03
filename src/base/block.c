/*
 * block.c - see block.h.
 *
 * A block's size is a power of two. What that rounds up costs addresses alone in a new one, for
 * memory that is not touched is not there; one that was used keeps what it had, up to its size.
 */
#include "base/block.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/queue.h>

#include "base/bytes.h"
#include "base/poison.h"

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
static bool any_surplus; /* there may be some: not to be looked for in every turn */

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

/* What rounding up added is nobody's. */
static void *lend(void *p, size_t size)
{
	poison((uint8_t *)p + size, size_of(order_for(size)) - size);
	return p;
}

static void *take(unsigned order)
{
	struct order *o = &orders[order];
	struct block *b = SLIST_FIRST(&o->blocks);

	unpoison(b, size_of(order));
	SLIST_REMOVE_HEAD(&o->blocks, link);
	o->count--;
	if (o->least > o->count)
		o->least = o->count;
	if (o->surplus > o->count)
		o->surplus = o->count;
	return b;
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

/* The largest goes first: that takes the fewest calls. */
static bool any_to_go(void)
{
	for (unsigned i = ORDERS; i-- > 0 && going_size == 0;) {
		if (orders[i].count == 0)
			continue;
		going = take(i);
		going_size = size_of(i);
	}
	return going_size > 0;
}

static void *try_to_map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/*
 * What waits is let go before memory is said to have run out: as many bytes as are asked for,
 * and no more, for a spike's whole memory in one turn is a pause for everybody.
 */
static void *map(size_t size)
{
	void *p = try_to_map(size);

	for (size_t gone = 0; !p && gone < size && any_to_go(); p = try_to_map(size))
		gone += give_back(BLOCK_PORTION);
	return p;
}

/* Moves the memory, not the bytes. */
static void *remap(void *p, size_t had, size_t size)
{
	size_t from = size_of(order_for(had));
	void *moved;

	unpoison(p, from);
	moved = mremap(p, from, size_of(order_for(size)), MREMAP_MAYMOVE);
	if (moved != MAP_FAILED)
		return lend(moved, size);
	lend(p, had);
	return NULL;
}

static void *allocate(size_t size)
{
	unsigned order = order_for(size);
	void *p;

	if (size < BLOCK_MIN)
		return malloc(size);
	if (order == ORDERS)
		return NULL;
	p = orders[order].count > 0 ? take(order) : map(size_of(order));
	return p ? lend(p, size) : NULL;
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
	to = can_grow(had, size) ? remap(p, had, size) : NULL;
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
	poison(p, size_of(order_for(size)));
}

/* In steps of BLOCK_MIN, which is a multiple of any size that pages have. */
size_t block_untouch(void *p, size_t size, size_t from, size_t to)
{
	const size_t first = (from + BLOCK_MIN - 1) / BLOCK_MIN * BLOCK_MIN;
	const size_t end =
		first + BLOCK_PORTION < to ? first + BLOCK_PORTION : to / BLOCK_MIN * BLOCK_MIN;

	if (size < BLOCK_MIN || end <= first ||
	    madvise((uint8_t *)p + first, end - first, MADV_DONTNEED) < 0)
		return from;
	return end;
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
		any_surplus |= o->surplus > 0;
	}
}

static bool next_to_go(void)
{
	for (unsigned i = 0; i < ORDERS; i++) {
		if (orders[i].surplus == 0)
			continue;
		orders[i].surplus--;
		going = take(i);
		going_size = size_of(i);
		return true;
	}
	return false;
}

void block_tick(void)
{
	if (++ticks == BLOCK_TICKS)
		look();
}

bool block_give_back(void)
{
	if (going_size == 0 && any_surplus)
		any_surplus = next_to_go();
	if (going_size == 0)
		return false;
	give_back(BLOCK_PORTION);
	return true;
}

size_t block_waiting(void)
{
	size_t bytes = going_size;

	for (unsigned i = 0; i < ORDERS; i++)
		bytes += orders[i].count * size_of(i);
	return bytes;
}
