/*
 * tickets.c - see tickets.h.
 *
 * Four places in a ring: the current key, two older ones, and the one that is being
 * written by the next rotation, which nobody reads.
 */
#include "net/tickets.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

enum { PLACES = 4, VALID = 3 };

struct tickets {
	_Atomic uint32_t current; /* counts rotations; its remainder is the place */
	struct ticket_key keys[PLACES];
};

struct tickets *tickets_new(void)
{
	struct tickets *t =
		mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (t == MAP_FAILED)
		return NULL;
	madvise(t, sizeof(*t), MADV_DONTDUMP);
	/* A name of zeros is none that a client could have. */
	for (int i = 0; i < VALID; i++)
		if (tickets_rotate(t) < 0)
			return NULL;
	return t;
}

int tickets_rotate(struct tickets *t)
{
	uint32_t next = atomic_load_explicit(&t->current, memory_order_relaxed) + 1;
	struct ticket_key *k = &t->keys[next % PLACES];

	if (RAND_bytes(k->name, sizeof(k->name)) != 1 ||
	    RAND_priv_bytes(k->aes, sizeof(k->aes)) != 1 ||
	    RAND_priv_bytes(k->hmac, sizeof(k->hmac)) != 1)
		return -1;
	atomic_store_explicit(&t->current, next, memory_order_release);
	return 0;
}

struct ticket_key tickets_current(const struct tickets *t)
{
	return t->keys[atomic_load_explicit(&t->current, memory_order_acquire) % PLACES];
}

bool tickets_find(const struct tickets *t, const uint8_t name[TICKET_NAME_LEN],
		  struct ticket_key *key, bool *old)
{
	uint32_t current = atomic_load_explicit(&t->current, memory_order_acquire);

	for (uint32_t age = 0; age < VALID; age++) {
		*key = t->keys[(current - age) % PLACES];
		*old = age > 0;
		if (CRYPTO_memcmp(key->name, name, TICKET_NAME_LEN) == 0)
			return true;
	}
	return false;
}
