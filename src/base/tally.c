/*
 * tally.c - see tally.h.
 *
 * A place belongs to one key and one slot, and only that slot's process writes to it: so what was
 * counted by whom is never in doubt, a place is whole after each single store, and to take a dead
 * process's out is to free its places. How often a key is there is the sum over its places, which
 * lie in CHOICES buckets, given by the key; a new one is taken in the emptiest of them. So many,
 * and not two, because a key may come with a place for every slot: such lumps level out over many
 * buckets only. (16 of 16, half full, all in lumps of 60: the fullest has 15, of 2^23 places.)
 *
 * One word of a place says all but its key:
 *
 *	owner	1 + slot, 0: free. Taken from 0 by compare and exchange, so by one alone
 *	count	how often it is there
 *	asking	and perhaps once more
 *	turn	one more whenever the place is freed
 *	tag	some bits of the key's hash, so that few others' keys are looked at
 *
 * A place counts nothing before its key is written, and a key is believed if turn and owner are
 * the same behind reading it as before.
 *
 * Whoever wants to count first says so (asking), and then looks at all places of the key. Of two
 * who do so at the same moment at least one sees the other, so if the sum with all who are asking
 * is within the limit, it stays so whatever they do: it has counted. If the limit is reached
 * without them, it is over. In between it is they who decide: who has the lowest slot keeps asking
 * until it sees what became of the others, and these withdraw until it has its answer. That takes
 * nanoseconds, unless one stands still between the two; it is waited for up to PATIENCE, and once
 * that was in vain it is only looked at for a while, before and after others were let run.
 */
#include "base/tally.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/patience.h"
#include "base/segment.h"
#include "base/siphash.h"
#include "base/slots.h"

/* Nanoseconds: how long one is waited for, and, behind that, nobody. */
enum { PATIENCE = 2000000, NO_PATIENCE = 20 * PATIENCE };

enum { WIDTH = 16, CHOICES = 16, BUCKETS_MIN = 64, LOOKS = 32 };

#define NO_PLACE SIZE_MAX

/* The multiplier of Knuth's MMIX for sequences modulo 2^64. */
#define STEP UINT64_C(6364136223846793005)

#define COUNT ((uint64_t)0xfffffff)
#define ASKING ((uint64_t)1 << 28)
#define OWNER_AT 29
#define OWNER ((uint64_t)0x7f << OWNER_AT)
#define TURN_AT 36
#define TURN ((uint64_t)0xfff << TURN_AT)
#define TAG_AT 48
#define TAG ((uint64_t)0xffff << TAG_AT)

_Static_assert(TALLY_MOST + SLOTS <= COUNT, "more than the limit is never counted");

struct shared {
	struct segment_header header;
	_Atomic uint64_t used; /* slots that may have places */
	_Atomic uint64_t words[]; /* of all places, then two for each place's key, then its mark */
};

struct tally {
	struct segment segment;
	struct shared *shared;
	_Atomic uint64_t *words;
	_Atomic uint64_t (*keys)[2];
	_Atomic uint64_t *marks;
	size_t places;
	uint64_t secret[4], naming[2];
	struct patience patience; /* with those that are asking */
	int slot;
};

/* What a key's places are looked for by. */
struct search {
	const struct tally_key *key;
	size_t buckets[CHOICES]; /* their first places */
	uint64_t tag;
};

/* What was seen at one look. */
struct view {
	size_t own; /* the place of this slot, NO_PLACE: none */
	size_t space; /* a free one */
	uint64_t others; /* counted by them */
	unsigned before, behind; /* that are asking, of lower and of higher slots */
};

/* --- its memory --- */

static size_t round_up(size_t places)
{
	size_t n = WIDTH * BUCKETS_MIN;

	while (n < places && n < TALLY_PLACES_MAX)
		n *= 2;
	return n;
}

struct tally *tally_new(size_t places)
{
	struct tally *t = calloc(1, sizeof(*t));
	struct segment_layout l = { .name = "ignyx-tally", .version = 1 };

	if (!t)
		return NULL;
	t->slot = -1;
	t->segment = SEGMENT_NONE;
	t->places = round_up(places);
	l.size = sizeof(struct shared) + t->places * TALLY_BYTES;
	l.parts[0] = t->places;
	if (getrandom(t->secret, sizeof(t->secret), 0) != (ssize_t)sizeof(t->secret) ||
	    getrandom(t->naming, sizeof(t->naming), 0) != (ssize_t)sizeof(t->naming) ||
	    segment_make(&t->segment, &l) < 0) {
		tally_free(t);
		return NULL;
	}
	t->shared = t->segment.at;
	t->words = t->shared->words;
	t->keys = (_Atomic uint64_t(*)[2])(t->words + t->places);
	t->marks = (_Atomic uint64_t *)(t->keys + t->places);
	return t;
}

void tally_free(struct tally *t)
{
	if (!t)
		return;
	segment_free(&t->segment);
	free(t);
}

void tally_use(struct tally *t, int slot)
{
	t->slot = slot;
}

/* --- where a key is --- */

struct tally_key tally_key_of(const struct tally *t, const void *name, size_t len)
{
	struct tally_key k;

	siphash(t->naming, name, len, k.of);
	return k;
}

/* Odd factors that nobody knows, and shifts that bring the upper bits, which depend on all, down. */
static uint64_t mix(uint64_t h, uint64_t secret)
{
	h = (h ^ h >> 32) * (secret | 1);
	return h ^ h >> 29;
}

/* Of each part of the places it has one bucket; their numbers are a sequence that h begins. */
static struct search search_for(const struct tally *t, const struct tally_key *k)
{
	struct search s = { .key = k };
	uint64_t h = mix(k->of[0] ^ t->secret[0], t->secret[1]);
	const size_t part = t->places / CHOICES;

	h = mix(mix(h + k->of[1], t->secret[2]), t->secret[3]);
	s.tag = h << TAG_AT;
	for (size_t i = 0; i < CHOICES; i++) {
		s.buckets[i] = i * part + ((h >> 32) * (part / WIDTH) >> 32) * WIDTH;
		h = h * STEP + t->secret[3];
	}
	return s;
}

static uint64_t owner_of(const struct tally *t)
{
	return (uint64_t)(t->slot + 1) << OWNER_AT;
}

static bool has_key(const struct tally *t, size_t at, const struct tally_key *k)
{
	return atomic_load_explicit(&t->keys[at][0], memory_order_relaxed) == k->of[0] &&
	       atomic_load_explicit(&t->keys[at][1], memory_order_relaxed) == k->of[1];
}

/* Whether a place whose word was w a moment ago is s's. */
static bool is_of(const struct tally *t, size_t at, uint64_t w, const struct search *s)
{
	uint64_t again;

	if ((w & TAG) != s->tag || !(w & (COUNT | ASKING)) || !has_key(t, at, s->key))
		return false;
	atomic_thread_fence(memory_order_acquire);
	again = atomic_load_explicit(&t->words[at], memory_order_relaxed);
	return ((w ^ again) & (OWNER | TURN)) == 0;
}

static void note(struct view *v, uint64_t own, uint64_t w, size_t at)
{
	if ((w & OWNER) == own) {
		v->own = at;
		return;
	}
	v->others += w & COUNT;
	if (w & ASKING && (w & OWNER) < own)
		v->before++;
	else if (w & ASKING)
		v->behind++;
}

/* In the bucket that begins there. Returns how many places are free in it, of which *space is one. */
static unsigned look_in(const struct tally *t, const struct search *s, size_t first, size_t *space,
			struct view *v)
{
	unsigned free_ones = 0;

	for (size_t at = first; at < first + WIDTH; at++) {
		uint64_t w = atomic_load(&t->words[at]);

		if ((w & OWNER) == 0) {
			free_ones++;
			*space = at;
		} else if (is_of(t, at, w, s)) {
			note(v, owner_of(t), w, at);
		}
	}
	return free_ones;
}

static struct view look(const struct tally *t, const struct search *s)
{
	struct view v = { .own = NO_PLACE, .space = NO_PLACE };
	unsigned most = 0;

	for (size_t i = 0; i < CHOICES; i++) {
		size_t space = NO_PLACE;
		unsigned n = look_in(t, s, s->buckets[i], &space, &v);

		if (n > most) {
			most = n;
			v.space = space;
		}
	}
	return v;
}

/* --- one's own place --- */

static void put(const struct tally *t, size_t at, uint64_t w)
{
	atomic_store(&t->words[at], w);
}

static uint64_t word(const struct tally *t, size_t at)
{
	return atomic_load_explicit(&t->words[at], memory_order_relaxed);
}

/* What is left of the word of a place that is free. */
static uint64_t freed(uint64_t w)
{
	return (w + ((uint64_t)1 << TURN_AT)) & TURN;
}

/* A place that was free becomes this slot's, unless another was quicker. */
static bool claim(struct tally *t, const struct search *s, size_t at)
{
	uint64_t w = word(t, at);

	if ((w & OWNER) != 0 || !atomic_compare_exchange_strong(&t->words[at], &w, w | owner_of(t)))
		return false;
	for (int i = 0; i < 2; i++)
		atomic_store_explicit(&t->keys[at][i], s->key->of[i], memory_order_relaxed);
	atomic_store_explicit(&t->marks[at], 0, memory_order_relaxed);
	put(t, at, (w & TURN) | s->tag | owner_of(t) | ASKING);
	return true;
}

/* Ahead of the first place: who clears up looks only for those that have some. */
static void note_use(struct tally *t)
{
	const uint64_t bit = (uint64_t)1 << t->slot;

	if (!(atomic_load_explicit(&t->shared->used, memory_order_relaxed) & bit))
		atomic_fetch_or(&t->shared->used, bit);
}

/* So many are counted at it now, and nothing is asked for. */
static void settle(struct tally *t, size_t at, uint64_t count)
{
	uint64_t w = word(t, at);

	put(t, at, count == 0 ? freed(w) : (w & ~(COUNT | ASKING)) | count);
}

/* --- asking --- */

/* For what others that are asking decide. */
struct wait {
	unsigned looks;
	uint64_t until; /* 0: it is only looked */
};

/* After some looks the others are let run, should they be waiting for this CPU. */
static bool wait_a_bit(struct tally *t, struct wait *w)
{
	if (++w->looks % LOOKS != 0)
		return true;
	if (w->looks == LOOKS)
		w->until = patience_until(&t->patience, PATIENCE);
	else if (w->until == 0)
		return false;
	sched_yield();
	if (w->until == 0 || patience_clock() < w->until)
		return true;
	patience_lost(&t->patience, NO_PATIENCE);
	return false;
}

static enum tally_answer counted(struct tally *t, size_t at, uint64_t own)
{
	settle(t, at, own + 1);
	return TALLY_COUNTED;
}

static enum tally_answer over(struct tally *t, size_t at, uint64_t own)
{
	settle(t, at, own);
	return TALLY_OVER;
}

/* Withdraws until nobody before it is asking; a place with nothing counted stays its own. */
static bool give_way(struct tally *t, const struct search *s, size_t at, struct wait *w)
{
	bool more = true;

	put(t, at, word(t, at) & ~ASKING);
	while (more && look(t, s).before > 0)
		more = wait_a_bit(t, w);
	put(t, at, word(t, at) | ASKING);
	return more;
}

/* at is this slot's place, and it is asking. */
static enum tally_answer ask(struct tally *t, const struct search *s, size_t at, uint32_t most)
{
	const uint64_t own = word(t, at) & COUNT;
	struct wait wait = { 0 };

	for (;;) {
		struct view v = look(t, s);
		bool more;

		if (own + v.others + v.before + v.behind < most)
			return counted(t, at, own);
		if (own + v.others >= most)
			return over(t, at, own);
		more = v.before > 0 ? give_way(t, s, at, &wait) : wait_a_bit(t, &wait);
		if (!more)
			return over(t, at, own);
	}
}

/* The place of this slot, which is asking. NO_PLACE: there is none. v: what was seen just now. */
static size_t begin_to_ask(struct tally *t, const struct search *s, struct view v)
{
	if (v.own != NO_PLACE) {
		put(t, v.own, word(t, v.own) | ASKING);
		return v.own;
	}
	note_use(t);
	while (v.space != NO_PLACE && !claim(t, s, v.space))
		v = look(t, s);
	return v.space;
}

static uint64_t sum(const struct tally *t, const struct view *v)
{
	return v->others + (v->own != NO_PLACE ? word(t, v->own) & COUNT : 0);
}

enum tally_answer tally_take(struct tally *t, const struct tally_key *k, uint32_t most)
{
	struct search s = search_for(t, k);
	struct view v = look(t, &s);
	size_t at;

	if (sum(t, &v) >= most)
		return TALLY_OVER;
	at = begin_to_ask(t, &s, v);
	return at == NO_PLACE ? TALLY_FULL : ask(t, &s, at, most);
}

bool tally_add(struct tally *t, const struct tally_key *k)
{
	struct search s = search_for(t, k);
	size_t at = begin_to_ask(t, &s, look(t, &s));

	if (at == NO_PLACE)
		return false;
	settle(t, at, (word(t, at) & COUNT) + 1);
	return true;
}

void tally_give_back(struct tally *t, const struct tally_key *k)
{
	struct search s = search_for(t, k);
	size_t at = look(t, &s).own;

	if (at != NO_PLACE)
		settle(t, at, (word(t, at) & COUNT) - 1);
}

/* --- marks --- */

void tally_mark(struct tally *t, const struct tally_key *k, uint64_t mark)
{
	struct search s = search_for(t, k);
	size_t at = look(t, &s).own;

	if (at != NO_PLACE)
		atomic_store_explicit(&t->marks[at], mark, memory_order_relaxed);
}

/* Goes on from what was found; one whose place changed hands meanwhile is none. */
static void compare(const struct tally *t, const struct search *s, size_t at, int *slot,
		    uint64_t *lowest)
{
	uint64_t w = atomic_load(&t->words[at]);
	uint64_t mark = atomic_load_explicit(&t->marks[at], memory_order_relaxed);

	if ((w & OWNER) == 0 || mark == 0 || mark >= *lowest || !is_of(t, at, w, s))
		return;
	*lowest = mark;
	*slot = (int)((w & OWNER) >> OWNER_AT) - 1;
}

int tally_lowest(const struct tally *t, const struct tally_key *k)
{
	struct search s = search_for(t, k);
	uint64_t lowest = UINT64_MAX;
	int slot = -1;

	for (size_t i = 0; i < CHOICES; i++)
		for (size_t n = 0; n < WIDTH; n++)
			compare(t, &s, s.buckets[i] + n, &slot, &lowest);
	return slot;
}

/* --- all places --- */

uint64_t tally_count(const struct tally *t, const struct tally_key *k)
{
	struct search s = search_for(t, k);
	struct view v = look(t, &s);

	return sum(t, &v);
}

size_t tally_places_taken(const struct tally *t)
{
	size_t n = 0;

	for (size_t at = 0; at < t->places; at++)
		n += (atomic_load(&t->words[at]) & OWNER) != 0;
	return n;
}

void tally_clear_slot(struct tally *t, int slot)
{
	const uint64_t bit = (uint64_t)1 << slot, owner = (uint64_t)(slot + 1) << OWNER_AT;

	if (!(atomic_load(&t->shared->used) & bit))
		return;
	for (size_t at = 0; at < t->places; at++) {
		uint64_t w = atomic_load_explicit(&t->words[at], memory_order_relaxed);

		if ((w & OWNER) == owner)
			put(t, at, freed(w));
	}
	atomic_fetch_and(&t->shared->used, ~bit);
}
