/*
 * meters.c - see meters.h.
 *
 * A key may lie in one set of places, which its hash gives, and is known there by other bits of
 * it. So two keys meet only where 64 bits of a keyed hash are the same.
 *
 * A place is taken by one exchange of its tag. The bucket in it is then what its last owner has left:
 * a full one, and that of a place that nobody had, is as good as new, and one that is not is filled by
 * a store. Whoever dies between the two, or comes between them, leaves or finds the key with somebody
 * else's bucket: that is nearly full, and right again when its time has come. In the same way a token
 * may be taken of a bucket that has just changed hands. Two processes may give one key two places, of
 * which only the first is ever found again.
 *
 * Of a place that says it is further ahead of the clock than can be, nothing is believed.
 */
#include "base/meters.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/segment.h"
#include "base/siphash.h"

/* Two cache lines, which processors fetch together. TRIES: to take a place that others take, too. */
enum { SET = 8, TRIES = 16 };

struct place {
	_Atomic uint64_t tag; /* 0: it was never taken */
	struct rate rate;
};

_Static_assert(sizeof(struct place) == METERS_BYTES, "the manual says how much memory they take");

struct shared {
	struct segment_header header;
	struct place places[];
};

struct meters {
	struct segment segment;
	struct place *places;
	size_t sets;
	uint64_t secret[2];
};

struct search {
	struct place *set; /* SET of them */
	uint64_t tag;
};

struct meters *meters_new(size_t count)
{
	const struct segment_layout l = { .name = "ignyx-meters",
					  .version = 1,
					  .size = sizeof(struct shared) + count * METERS_BYTES,
					  .parts = { count } };
	struct meters *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->segment = SEGMENT_NONE;
	m->sets = count / SET;
	if (getrandom(m->secret, sizeof(m->secret), 0) != (ssize_t)sizeof(m->secret) ||
	    segment_make(&m->segment, &l) < 0) {
		meters_free(m);
		return NULL;
	}
	m->places = ((struct shared *)m->segment.at)->places;
	return m;
}

void meters_free(struct meters *m)
{
	if (!m)
		return;
	segment_free(&m->segment);
	free(m);
}

static struct search search_for(const struct meters *m, const struct meters_key *k)
{
	uint64_t hash[2];

	siphash(m->secret, k, sizeof(*k), hash);
	return (struct search){ .set = &m->places[hash[0] % m->sets * SET], .tag = hash[1] | 1 };
}

static uint64_t tag_of(const struct place *p)
{
	return atomic_load_explicit(&p->tag, memory_order_relaxed);
}

/* NULL: it has none. */
static struct place *find(const struct search *s)
{
	for (int i = 0; i < SET; i++)
		if (tag_of(&s->set[i]) == s->tag)
			return &s->set[i];
	return NULL;
}

/* How far it is from being full. */
static int64_t ahead(const struct place *p, int64_t now)
{
	int64_t ns = atomic_load_explicit(&p->rate.full_at, memory_order_relaxed);

	return ns > now && ns <= now + METERS_AHEAD + RATE_APART ? ns - now : 0;
}

/* A place that nobody has, or the one that is missed least; *tag: whose it was then. */
static struct place *least(const struct search *s, int64_t now, uint64_t *tag)
{
	struct place *found = s->set;
	int64_t nearest = INT64_MAX;

	*tag = 0;
	for (int i = 0; i < SET; i++) {
		struct place *p = &s->set[i];
		uint64_t owner = tag_of(p);
		int64_t ns = owner == 0 ? -1 : ahead(p, now);

		if (ns >= nearest)
			continue;
		found = p;
		nearest = ns;
		*tag = owner;
	}
	return found;
}

/* NULL: others were quicker each time. */
static struct place *place_of(const struct search *s, int64_t now)
{
	struct place *p = find(s);

	for (int i = 0; i < TRIES && !p; i++) {
		uint64_t owner;
		struct place *taken = least(s, now, &owner);

		if (atomic_compare_exchange_strong(&taken->tag, &owner, s->tag) && owner != 0 &&
		    ahead(taken, now) > 0)
			atomic_store_explicit(&taken->rate.full_at, now, memory_order_relaxed);
		p = find(s);
	}
	return p;
}

/* Less than a token. */
static int64_t slack(const struct rate_size *size)
{
	return size->every / 2 < METERS_APART ? size->every / 2 : METERS_APART;
}

int64_t meters_take(struct meters *m, const struct meters_key *k, const struct rate_size *size,
		    int64_t now)
{
	const struct search s = search_for(m, k);
	struct place *p = size->every > 0 ? place_of(&s, now) : NULL;
	const struct rate_size apart = { size->every, size->depth + slack(size) };

	return p ? rate_take(&p->rate, &apart, now) : 0;
}

void meters_hold(struct meters *m, const struct meters_key *k, int64_t ns, int64_t now)
{
	const struct search s = search_for(m, k);
	struct place *p = place_of(&s, now);

	if (p)
		atomic_store_explicit(&p->rate.full_at, now + ns, memory_order_relaxed);
}

int64_t meters_held(const struct meters *m, const struct meters_key *k, int64_t most, int64_t now)
{
	const struct search s = search_for(m, k);
	const struct place *p = find(&s);
	int64_t ns = p ? ahead(p, now) : 0;

	if (ns > most + RATE_APART)
		return 0;
	return ns < most ? ns : most;
}
