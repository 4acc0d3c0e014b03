/*
 * tickets.c - see tickets.h.
 *
 * Four places in a ring: the current key, two older ones, and the one that is being
 * written by the next rotation, which nobody reads.
 *
 * They are in a memfd, so that a worker can put a mapping that is only for reading in the
 * place of the one that it was forked with. The seal, which is set behind the master's own
 * mapping, keeps it from making that one, or another, writable.
 */
#include "net/tickets.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PLACES = 4, VALID = 3 };

_Static_assert(PLACES > VALID, "the next key is written where nobody reads");

/* In shared memory. */
struct table {
	_Atomic uint32_t current; /* counts rotations; its remainder is the place */
	struct ticket_key keys[PLACES];
};

struct tickets {
	struct table *table;
	int fd; /* of that memory; -1: not open any more */
	uint64_t rotated; /* when, by the clock of tickets_tick */
};

static int map(struct tickets *t)
{
	const int size_seals = F_SEAL_SHRINK | F_SEAL_GROW;
	void *p;

	t->fd = memfd_create("ignyx-tickets", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (t->fd < 0 || ftruncate(t->fd, sizeof(*t->table)) < 0)
		return -1;
	p = mmap(NULL, sizeof(*t->table), PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
	if (p == MAP_FAILED)
		return -1;
	t->table = p;
	madvise(p, sizeof(*t->table), MADV_DONTDUMP);
	/* a kernel before 5.1 does not know the first one */
	fcntl(t->fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE);
	return fcntl(t->fd, F_ADD_SEALS, size_seals | F_SEAL_SEAL);
}

struct tickets *tickets_new(void)
{
	struct tickets *t = calloc(1, sizeof(*t));
	bool ok;

	if (!t)
		return NULL;
	t->fd = -1;
	ok = map(t) == 0;
	/* A name of zeros is none that a client could have. */
	for (int i = 0; ok && i < VALID; i++)
		ok = tickets_rotate(t) == 0;
	if (ok)
		return t;
	tickets_free(t);
	return NULL;
}

void tickets_free(struct tickets *t)
{
	const int error = errno;

	if (!t)
		return;
	if (t->table)
		munmap(t->table, sizeof(*t->table));
	if (t->fd >= 0)
		close(t->fd);
	free(t);
	errno = error;
}

int tickets_only_read(struct tickets *t)
{
	void *p = mmap(t->table, sizeof(*t->table), PROT_READ, MAP_SHARED | MAP_FIXED, t->fd, 0);

	if (p == MAP_FAILED)
		return -1;
	madvise(p, sizeof(*t->table), MADV_DONTDUMP);
	close(t->fd);
	t->fd = -1;
	return 0;
}

int tickets_rotate(struct tickets *t)
{
	uint32_t next = atomic_load_explicit(&t->table->current, memory_order_relaxed) + 1;
	struct ticket_key *k = &t->table->keys[next % PLACES];

	if (RAND_bytes(k->name, sizeof(k->name)) != 1 ||
	    RAND_priv_bytes(k->aes, sizeof(k->aes)) != 1 ||
	    RAND_priv_bytes(k->hmac, sizeof(k->hmac)) != 1)
		return -1;
	atomic_store_explicit(&t->table->current, next, memory_order_release);
	return 0;
}

int tickets_tick(struct tickets *t, uint64_t now)
{
	if (now - t->rotated < (uint64_t)TICKET_ROTATION * 1000)
		return 0;
	t->rotated = now;
	return tickets_rotate(t);
}

struct ticket_key tickets_current(const struct tickets *t)
{
	return t->table
		->keys[atomic_load_explicit(&t->table->current, memory_order_acquire) % PLACES];
}

bool tickets_find(const struct tickets *t, const uint8_t name[TICKET_NAME_LEN],
		  struct ticket_key *key, bool *old)
{
	uint32_t current = atomic_load_explicit(&t->table->current, memory_order_acquire);

	for (uint32_t age = 0; age < VALID; age++) {
		*key = t->table->keys[(current - age) % PLACES];
		*old = age > 0;
		if (CRYPTO_memcmp(key->name, name, TICKET_NAME_LEN) == 0)
			return true;
	}
	return false;
}
