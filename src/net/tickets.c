/*
 * tickets.c - see tickets.h.
 *
 * Four places in a ring: the current key, two older ones, and the one that is being
 * written by the next rotation, which nobody reads.
 *
 * They are in a segment with one writer, the master. A worker, which was forked with the master's
 * mapping, puts one for reading alone in its place, and can have no other from then on.
 */
#include "net/tickets.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/segment.h"

enum { PLACES = 4, VALID = 3 };

_Static_assert(PLACES > VALID, "the next key is written where nobody reads");

/* In shared memory. */
struct table {
	struct segment_header header;
	_Atomic uint32_t current; /* counts rotations; its remainder is the place */
	struct ticket_key keys[PLACES];
};

struct tickets {
	struct segment segment;
	struct table *table; /* which is in it */
	uint64_t rotated; /* when, by the clock of tickets_tick */
};

static const struct segment_layout layout = {
	.name = "ignyx-tickets",
	.version = 1,
	.size = sizeof(struct table),
	.parts = { sizeof(struct ticket_key), PLACES },
	.one_writer = true,
};

struct tickets *tickets_new(void)
{
	struct tickets *t = calloc(1, sizeof(*t));
	bool ok;

	if (!t)
		return NULL;
	ok = segment_make(&t->segment, &layout) == 0;
	t->table = t->segment.at;
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
	if (!t)
		return;
	segment_free(&t->segment);
	free(t);
}

int tickets_only_read(struct tickets *t)
{
	struct segment s;
	const char *why;

	if (segment_attach(&s, t->segment.fd, &layout, false, &why) < 0)
		return -1;
	segment_free(&t->segment);
	t->segment = s;
	t->table = s.at;
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
