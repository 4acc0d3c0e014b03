/*
 * Keys with which a message is published once, however often it is asked for.
 *
 * They are kept for BUS_KEY_MS and come in the order of time, so the oldest is always the next to
 * go: keys lie in a ring of places that are used in turn, and their answers, a number and members
 * for each item, in another. The oldest goes when its place is needed and its time is over; a place
 * is never taken from a younger one, for then something could be published twice. A key is found by
 * a hash table with chains, newest first, so that one whose time is over does not hide the one that
 * came after it.
 *
 * All is done under the lock. A key is written to its place, out of every chain, before the tail is
 * stored, and the redo record says that it belongs to that append. Behind the tail two stores are
 * left, which may be repeated: its chain, and `end`. So wherever the author dies there is the key
 * with the messages or neither. One goes by two stores, too: it leaves its chain, then `first`
 * moves; a chain that it has left already stays as it is.
 *
 * Chains and counts are checked as they are followed, and a loop has a bound that is not in the
 * memory. The time of a key that is ahead of the clock by as much as one is kept is not
 * believed, so that no place is lost for ever.
 */
#include <string.h>

#include "base/siphash.h"
#include "bus/bus_internal.h"

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)
/* Release, so that the compiler keeps the order of the steps. */
#define STORE(field, value) atomic_store_explicit(&(field), (value), memory_order_release)

_Static_assert(sizeof(struct bus_key) == BUS_LINE, "the manual says how much memory keys take");

static struct bus_key *key_at(struct bus_keys *k, uint64_t n)
{
	return &k->keys[n % BUS_KEYS];
}

static struct bus_answer *answer_at(struct bus_keys *k, uint64_t n)
{
	return &k->answers[n % BUS_KEY_ANSWERS];
}

static _Atomic uint32_t *chain_of(struct bus_keys *k, uint64_t hash)
{
	return &k->chains[hash % BUS_KEYS];
}

/*
 * The link that leads to the first key of this digest (or, with only set, to that one). NULL: the
 * chain is not one. The link holds 0: there is none.
 */
static _Atomic uint32_t *find_link(struct bus_keys *k, const uint64_t digest[2],
				   const struct bus_key *only)
{
	_Atomic uint32_t *link = chain_of(k, digest[0]);

	for (int steps = 0; steps <= BUS_KEYS; steps++) {
		uint32_t next = LOAD(*link);
		struct bus_key *key;

		if (next == 0)
			return link;
		if (next > BUS_KEYS)
			return NULL;
		key = &k->keys[next - 1];
		if (only ? key == only
			 : LOAD(key->key[0]) == digest[0] && LOAD(key->key[1]) == digest[1])
			return link;
		link = &key->next;
	}
	return NULL;
}

static bool is_kept(const struct bus_key *key, int64_t now)
{
	uint64_t time = (uint64_t)LOAD(key->time);
	int64_t age = (int64_t)((uint64_t)now - time);

	return age < BUS_KEY_MS && age > -BUS_KEY_MS;
}

static bool drop_oldest(struct bus_keys *k)
{
	uint64_t first = LOAD(k->first);
	struct bus_key *key = key_at(k, first);
	uint64_t digest[2] = { LOAD(key->key[0]), LOAD(key->key[1]) };
	_Atomic uint32_t *link = find_link(k, digest, key);

	if (!link)
		return false;
	if (LOAD(*link) != 0)
		STORE(*link, LOAD(key->next));
	STORE(k->first, first + 1);
	return true;
}

/* The first answer of the next key. */
static uint64_t next_answer(struct bus_keys *k)
{
	uint64_t end = LOAD(k->end);
	const struct bus_key *newest = key_at(k, end - 1);

	return end == 0 ? 0 : LOAD(newest->answer) + LOAD(newest->count);
}

static bool has_place(struct bus_keys *k, size_t count)
{
	uint64_t first = LOAD(k->first), keys = LOAD(k->end) - first;

	return keys == 0 ||
	       (keys < BUS_KEYS &&
		next_answer(k) - LOAD(key_at(k, first)->answer) + count <= BUS_KEY_ANSWERS);
}

/* Of those whose time is over, no more go than have to: as many as there are items, at most. */
static enum bus_result make_place(struct bus_keys *k, size_t count, int64_t now)
{
	if (LOAD(k->end) - LOAD(k->first) > BUS_KEYS)
		return BUS_CORRUPT;
	while (!has_place(k, count)) {
		if (is_kept(key_at(k, LOAD(k->first)), now))
			return BUS_KEYS_FULL;
		if (!drop_oldest(k))
			return BUS_CORRUPT;
	}
	return BUS_OK;
}

static enum bus_result repeat(struct bus_keys *k, const struct bus_key *key,
			      const struct bus_once *once, struct bus_item *items, size_t count)
{
	uint64_t answer = LOAD(key->answer);

	if (LOAD(key->request[0]) != once->request.half[0] ||
	    LOAD(key->request[1]) != once->request.half[1] || LOAD(key->count) != count)
		return BUS_CONFLICT;
	for (size_t i = 0; i < count; i++) {
		items[i].sequence = LOAD(answer_at(k, answer + i)->sequence);
		items[i].members = LOAD(answer_at(k, answer + i)->members);
	}
	return BUS_REPEATED;
}

enum bus_result bus_key_look(struct bus *b, const struct bus_once *once, struct bus_item *items,
			     size_t count)
{
	struct bus_keys *k = b->keys;
	_Atomic uint32_t *link = find_link(k, once->key.half, NULL);
	uint32_t place = link ? LOAD(*link) : 0;

	if (!link)
		return BUS_CORRUPT;
	if (place != 0 && is_kept(&k->keys[place - 1], once->now))
		return repeat(k, &k->keys[place - 1], once, items, count);
	return make_place(k, count, once->now);
}

uint64_t bus_key_write(struct bus *b, const struct bus_once *once, const struct bus_item *items,
		       size_t count)
{
	struct bus_keys *k = b->keys;
	uint64_t end = LOAD(k->end), answer = next_answer(k);
	struct bus_key *key = key_at(k, end);

	for (int i = 0; i < 2; i++) {
		STORE(key->key[i], once->key.half[i]);
		STORE(key->request[i], once->request.half[i]);
	}
	STORE(key->time, once->now);
	STORE(key->answer, answer);
	STORE(key->count, (uint32_t)count);
	STORE(key->next, LOAD(*chain_of(k, once->key.half[0])));
	for (size_t i = 0; i < count; i++) {
		STORE(answer_at(k, answer + i)->sequence, items[i].sequence);
		STORE(answer_at(k, answer + i)->members, items[i].members);
	}
	return end + 1;
}

bool bus_key_finish(struct bus *b, uint64_t keys)
{
	struct bus_keys *k = b->keys;
	const struct bus_key *key;

	if (keys == 0 || LOAD(k->end) == keys)
		return true;
	if (LOAD(k->end) + 1 != keys)
		return false;
	key = key_at(k, keys - 1);
	STORE(*chain_of(k, LOAD(key->key[0])), (uint32_t)((keys - 1) % BUS_KEYS) + 1);
	STORE(k->end, keys);
	return true;
}

struct bus_digest bus_digest_of(const struct bus *b, const struct bus_part *parts, int count)
{
	struct bus_digest both[2] = { 0 };

	for (int i = 0; i < count; i++) {
		siphash(b->key, parts[i].p, parts[i].len, both[1].half);
		siphash(b->key, both, sizeof(both), both[0].half);
	}
	return both[0];
}
