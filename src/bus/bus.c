/*
 * The memory of the bus, and its life as the master sees it.
 *
 * One segment, mapped once before the workers are forked, so that all have it at the same address;
 * the ring's pages are there a second time right behind themselves. Core dumps leave it out, for
 * they would be large and hold what clients said.
 *
 * Sizes and places are kept in private memory and never read back from the shared part.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "bus/bus_internal.h"

enum { RING_MIN = 65536, ROOMS_MAX = 1 << 24 };

static size_t round_up(size_t n, size_t unit)
{
	return (n + unit - 1) / unit * unit;
}

static size_t power_of_two(size_t at_least)
{
	size_t n = 1;

	while (n < at_least)
		n *= 2;
	return n;
}

static bool set_limits(struct bus *b, const struct bus_limits *l)
{
	if (l->size > BUS_SIZE_MAX || l->max_rooms == 0 || l->max_rooms > ROOMS_MAX)
		return false;
	b->size = power_of_two(l->size < RING_MIN ? RING_MIN : l->size);
	b->lag = l->lag;
	b->max_rooms = l->max_rooms;
	b->members = l->members;
	return l->lag > 0 && l->lag <= b->size / 4;
}

static int map(struct bus *b)
{
	uint32_t chains = (uint32_t)power_of_two(b->max_rooms);
	size_t rooms_at = round_up(sizeof(struct bus_shared) + chains * sizeof(uint32_t), BUS_LINE);
	size_t names = b->max_rooms * sizeof(struct bus_dir_name);
	size_t counts = b->max_rooms * SLOTS * sizeof(*b->counts);
	size_t owners =
		round_up(sizeof(struct bus_owners) + b->max_rooms * sizeof(uint64_t), BUS_LINE);
	size_t keeping = sizeof(struct bus_keeping) + b->max_rooms * sizeof(struct bus_dir_keep);
	size_t rates = round_up(b->max_rooms * sizeof(*b->rates), BUS_LINE);
	size_t changes = round_up(b->max_rooms * sizeof(*b->changes), BUS_LINE);
	size_t listed = (size_t)b->members * SLOTS;
	size_t lists = round_up(listed * sizeof(*b->rows), BUS_LINE);
	size_t users = listed * (sizeof(*b->users) + sizeof(*b->user_lens));
	struct segment_layout l = {
		.name = "ignyx-bus",
		.version = 8,
		.parts = { sizeof(struct bus_shared), sizeof(struct bus_dir_room),
			   sizeof(struct bus_dir_name), b->max_rooms },
	};
	uint8_t *base;

	b->chain_mask = chains - 1;
	b->meta = round_up(rooms_at + b->max_rooms * sizeof(struct bus_dir_room),
			   (size_t)sysconf(_SC_PAGESIZE));
	l.size = b->meta + b->size + names + counts + sizeof(*b->keys) + keeping + owners + rates +
		 changes + counts + lists + users;
	l.twice_at = b->meta;
	l.twice = b->size;
	if (segment_make(&b->segment, &l) < 0)
		return -1;
	base = b->segment.at;
	b->shared = (struct bus_shared *)base;
	b->chains = (_Atomic uint32_t *)(base + sizeof(struct bus_shared));
	b->rooms = (struct bus_dir_room *)(base + rooms_at);
	b->ring = base + b->meta;
	b->names = (struct bus_dir_name *)(b->ring + 2 * b->size);
	b->counts = (_Atomic uint32_t *)(b->ring + 2 * b->size + names);
	b->keys = (struct bus_keys *)(b->ring + 2 * b->size + names + counts);
	b->keeping = (struct bus_keeping *)(b->keys + 1);
	b->keeping_words = keeping / sizeof(uint64_t);
	b->owners = (struct bus_owners *)((uint8_t *)b->keeping + keeping);
	b->rates = (struct rate *)((uint8_t *)b->owners + owners);
	b->changes = (_Atomic uint32_t *)((uint8_t *)b->rates + rates);
	b->heads = (_Atomic uint32_t *)((uint8_t *)b->changes + changes);
	b->rows = (struct bus_row *)((uint8_t *)b->heads + counts);
	b->users = (struct bus_user *)((uint8_t *)b->rows + lists);
	b->user_lens = (_Atomic uint8_t *)(b->users + listed);
	return 0;
}

static int make_lock(pthread_mutex_t *lock)
{
	pthread_mutexattr_t a;
	int error = pthread_mutexattr_init(&a);

	if (error == 0) {
		pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
		pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
		error = pthread_mutex_init(lock, &a);
		pthread_mutexattr_destroy(&a);
	}
	if (error == 0 && !bus_lock_names_owner(lock))
		error = ENOTSUP;
	errno = error;
	return error ? -1 : 0;
}

static void make_log(struct bus *b)
{
	atomic_init(&b->shared->tail, b->size);
	atomic_init(&b->shared->reserve, b->size);
	atomic_init(&b->keeping->edge, BUS_NO_EDGE);
	for (int i = 0; i < SLOTS; i++)
		atomic_init(&b->shared->slots[i].cursor, BUS_NO_CURSOR);
	bus_scan(b, b->size);
	b->full_freed = UINT64_MAX;
}

static int draw_secrets(struct bus *b)
{
	do {
		if (getrandom(&b->epoch, sizeof(b->epoch), 0) != (ssize_t)sizeof(b->epoch))
			return -1;
	} while (b->epoch == 0);
	return getrandom(b->key, sizeof(b->key), 0) == (ssize_t)sizeof(b->key) ? 0 : -1;
}

struct bus *bus_new(const struct bus_limits *l, const int wakeups[SLOTS])
{
	struct bus *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->segment = SEGMENT_NONE;
	b->slot = -1;
	memcpy(b->wakeups, wakeups, sizeof(b->wakeups));
	if (!set_limits(b, l)) {
		errno = EINVAL;
		goto fail;
	}
	if (draw_secrets(b) != 0 || map(b) != 0 || make_lock(&b->shared->lock) != 0)
		goto fail;
	make_log(b);
	return b;
fail:
	bus_free(b);
	return NULL;
}

void bus_free(struct bus *b)
{
	if (!b)
		return;
	segment_free(&b->segment);
	free(b);
}

/* For kernels before 5.14. Adding nothing leaves alone what a worker may be writing. */
static void touch(uint8_t *p, size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	for (size_t i = 0; i < len; i += page)
		atomic_fetch_add_explicit((_Atomic uint8_t *)(p + i), 0, memory_order_relaxed);
}

/* fallocate first: it fails where touching would be a SIGBUS. */
int bus_populate(struct bus *b)
{
	/* but for what is behind it */
	size_t whole = b->meta + 2 * b->size;

	if (b->populated)
		return 0;
	if (fallocate(b->segment.fd, 0, 0, (off_t)(b->meta + b->size)) != 0)
		return -1;
#ifdef MADV_POPULATE_WRITE
	if (madvise(b->segment.at, whole, MADV_POPULATE_WRITE) == 0)
		b->populated = true;
	else if (errno != EINVAL)
		return -1;
#endif
	if (!b->populated)
		touch(b->segment.at, whole);
	b->populated = true;
	return 0;
}

void bus_set_slot(struct bus *b, int slot)
{
	assert(slot >= 0 && slot < SLOTS);
	b->slot = slot;
	bus_presence_begin(b);
}

/* The lock may still be the dead worker's; whoever wants it next is told. */
void bus_clear_slot(struct bus *b, int slot)
{
	struct bus_slot *s = &b->shared->slots[slot];

	atomic_store(&s->sleeping, 0);
	bus_directory_clear(b, slot);
	atomic_store(&s->cursor, BUS_NO_CURSOR);
	bus_release_dead(b, slot);
}

uint64_t bus_epoch(const struct bus *b)
{
	return b->epoch;
}
