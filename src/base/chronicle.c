/*
 * chronicle.c - see chronicle.h.
 *
 * A writer takes a number from the ring, which also says where its entry goes. It then stores the
 * words of it, in whatever order, and a sum of them and of the number. That is all that makes an
 * entry: whoever reads copies words and sum, and believes them if they belong together and to the
 * number that he asked for. So it needs no order of stores, and it does not matter what a place has
 * that is being written, whose writer was ended, or on which one that stood still for a whole round
 * writes together with one that came after it: the sum is wrong, and it is passed over.
 *
 * The sum is against accidents. A process that wants to lie can: so what is read is bounded as if
 * it came from a stranger.
 */
#include "base/chronicle.h"

#include <stdatomic.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/reason.h"

enum { WORDS = sizeof(struct chronicle_entry) / sizeof(uint64_t) };

_Static_assert(sizeof(struct chronicle_entry) % sizeof(uint64_t) == 0, "an entry is made of words");

struct place {
	_Atomic uint64_t words[WORDS];
	_Atomic uint64_t sum;
};

struct chronicle {
	struct segment_header header;
	struct {
		_Alignas(128) _Atomic uint64_t next;
	} rings[CHRONICLE_RINGS];
	_Alignas(128) struct place places[];
};

static const struct {
	size_t first, size; /* in places */
} rings[CHRONICLE_RINGS] = {
	[CHRONICLE_ENDS] = { 0, CHRONICLE_ENDS_SIZE },
	[CHRONICLE_REFUSALS] = { CHRONICLE_ENDS_SIZE, CHRONICLE_REFUSALS_SIZE },
	[CHRONICLE_OPENS] = { CHRONICLE_ENDS_SIZE + CHRONICLE_REFUSALS_SIZE, CHRONICLE_OPENS_SIZE },
	[CHRONICLE_DAEMON] = { CHRONICLE_ENDS_SIZE + CHRONICLE_REFUSALS_SIZE + CHRONICLE_OPENS_SIZE,
			       CHRONICLE_DAEMON_SIZE },
};

enum {
	PLACES = CHRONICLE_ENDS_SIZE + CHRONICLE_REFUSALS_SIZE + CHRONICLE_OPENS_SIZE +
		 CHRONICLE_DAEMON_SIZE
};

struct chronicle *chronicle_new(struct segment *s)
{
	static const struct segment_layout layout = {
		.name = "ignyx-chronicle",
		.version = 3,
		.size = sizeof(struct chronicle) + PLACES * sizeof(struct place),
		.parts = { sizeof(struct chronicle_entry), CHRONICLE_ENDS_SIZE,
			   CHRONICLE_REFUSALS_SIZE, CHRONICLE_OPENS_SIZE },
	};

	return segment_make(s, &layout) == 0 ? s->at : NULL;
}

/* --- to write --- */

static size_t put_text(struct chronicle_entry *e, size_t at, const char *text, size_t most)
{
	size_t n = text ? strnlen(text, most + 1) : 0;

	if (n > most)
		n = bytes_whole(text, most);
	bytes_copy(e->text + at, text, n);
	return n;
}

void chronicle_put_texts(struct chronicle_entry *e, const char *what, const char *name)
{
	size_t most = CHRONICLE_TEXT_MAX - (name ? strnlen(name, CHRONICLE_NAME_MAX) : 0);

	e->what = (uint8_t)put_text(e, 0, what, most);
	e->name = (uint8_t)put_text(e, e->what, name, CHRONICLE_NAME_MAX);
}

void chronicle_put_user(struct chronicle_entry *e, const char *user)
{
	const size_t at = (size_t)e->what + e->name, space = CHRONICLE_TEXT_MAX - at;

	e->user = (uint8_t)put_text(e, at, user,
				    space < CHRONICLE_NAME_MAX ? space : CHRONICLE_NAME_MAX);
}

void chronicle_put_room(struct chronicle_entry *e, const char *room)
{
	const size_t at = (size_t)e->what + e->name + e->user;

	e->room = (uint8_t)put_text(e, at, room, CHRONICLE_TEXT_MAX - at);
}

/* Those that the texts need, whatever their lengths are; what is behind them is not kept. */
static size_t words_of(const struct chronicle_entry *e)
{
	size_t bytes =
		offsetof(struct chronicle_entry, text) + e->what + e->name + e->user + e->room;
	size_t words = (bytes + sizeof(uint64_t) - 1) / sizeof(uint64_t);

	return words < WORDS ? words : WORDS;
}

/* Odd, so that no word is lost; one more, for an empty memory is to have a wrong sum. */
static uint64_t sum_begin(uint64_t n)
{
	return (n + 1) * 0x9e3779b97f4a7c15;
}

static uint64_t sum_add(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * 0xff51afd7ed558ccd;
	return sum ^ sum >> 32;
}

static uint64_t word_of(const struct chronicle_entry *e, size_t i)
{
	uint64_t word;

	memcpy(&word, (const char *)e + i * sizeof(word), sizeof(word));
	return word;
}

static size_t place_of(enum chronicle_ring ring, uint64_t n)
{
	return rings[ring].first + n % rings[ring].size;
}

void chronicle_write(struct chronicle *c, enum chronicle_ring ring, const struct chronicle_entry *e)
{
	uint64_t n = atomic_fetch_add_explicit(&c->rings[ring].next, 1, memory_order_relaxed);
	struct place *p = &c->places[place_of(ring, n)];
	uint64_t sum = sum_begin(n);
	size_t count = words_of(e);

	for (size_t i = 0; i < count; i++) {
		uint64_t word = word_of(e, i);

		atomic_store_explicit(&p->words[i], word, memory_order_relaxed);
		sum = sum_add(sum, word);
	}
	atomic_store_explicit(&p->sum, sum, memory_order_relaxed);
}

/* --- to read --- */

uint64_t chronicle_next(const struct chronicle *c, enum chronicle_ring ring)
{
	return atomic_load_explicit(&c->rings[ring].next, memory_order_acquire);
}

struct chronicle_span chronicle_span(const struct chronicle *c, enum chronicle_ring ring)
{
	uint64_t next = chronicle_next(c, ring), size = rings[ring].size;

	return (struct chronicle_span){ .oldest = next > size ? next - size : 0, .next = next };
}

static bool is_sound(const struct chronicle_entry *e)
{
	return e->event > LOG_EVENT_NONE && e->event < LOG_EVENT_COUNT &&
	       e->reason < REASON_COUNT &&
	       e->what + e->name + e->user + e->room <= CHRONICLE_TEXT_MAX;
}

/* What a bool has in memory may be anything, which none may be. */
static void copy_words(const struct place *p, uint64_t words[WORDS])
{
	for (size_t i = 0; i < WORDS; i++)
		words[i] = atomic_load_explicit(&p->words[i], memory_order_relaxed);
	((uint8_t *)words)[offsetof(struct chronicle_entry, asked)] &= 1;
}

static bool copy(const struct place *p, uint64_t n, struct chronicle_entry *e)
{
	uint64_t words[WORDS], sum = sum_begin(n),
			       wanted = atomic_load_explicit(&p->sum, memory_order_relaxed);

	copy_words(p, words);
	memcpy(e, words, sizeof(*e));
	if (!is_sound(e))
		return false;
	for (size_t i = 0; i < words_of(e); i++)
		sum = sum_add(sum, words[i]);
	return sum == wanted;
}

enum chronicle_found chronicle_read(const struct chronicle *c, enum chronicle_ring ring, uint64_t n,
				    struct chronicle_entry *e)
{
	if (copy(&c->places[place_of(ring, n)], n, e))
		return CHRONICLE_WHOLE;
	return n < chronicle_span(c, ring).oldest ? CHRONICLE_GONE : CHRONICLE_TORN;
}

/* One word of an entry that may not be whole, as a place has it. */
static uint64_t peek(const struct place *p, size_t offset)
{
	return atomic_load_explicit(&p->words[offset / sizeof(uint64_t)], memory_order_relaxed);
}

static bool may_be(const struct place *p, const struct chronicle_key *k)
{
	uint64_t first;

	if (k->conn != 0)
		return peek(p, offsetof(struct chronicle_entry, conn)) == k->conn;
	memcpy(&first, k->address, sizeof(first));
	return k->any_address || peek(p, offsetof(struct chronicle_entry, address)) == first;
}

bool chronicle_is_of(const struct chronicle_entry *e, const struct chronicle_key *k)
{
	if (k->conn != 0)
		return e->conn == k->conn;
	return e->family == k->family && (k->port == 0 || e->port == k->port) &&
	       (k->any_address || memcmp(e->address, k->address, sizeof(e->address)) == 0);
}

/* A character has up to four bytes, and is not cut itself. */
bool chronicle_is_cut(const struct chronicle_entry *e)
{
	return e->what + e->name > CHRONICLE_TEXT_MAX - 4;
}

bool chronicle_search(const struct chronicle *c, enum chronicle_ring ring,
		      const struct chronicle_key *k, uint64_t *n, struct chronicle_entry *e)
{
	uint64_t oldest = chronicle_span(c, ring).oldest;

	/* what is further back has the same places; and *n may be of somebody's invention */
	for (size_t left = rings[ring].size; left > 0 && *n > oldest; left--) {
		--*n;
		if (may_be(&c->places[place_of(ring, *n)], k) &&
		    chronicle_read(c, ring, *n, e) == CHRONICLE_WHOLE && chronicle_is_of(e, k))
			return true;
	}
	return false;
}
