/*
 * crowd.c - see crowd.h.
 *
 * Addresses are found in a hash table, under a secret, so that nobody chooses who shares a
 * chain. Beside it they form a heap by how many openings each has, and among those with as many by
 * the age of the oldest one: who has to make way is at its top. Either grows with the number of
 * addresses, of which there are no more than openings, and takes 24 bytes for each.
 *
 * Nobody asks whose the openings are while there are few. So they wait in one list, the oldest
 * first, and are sorted from half of max_handshakes on, two with each that comes: when there is no
 * place left all of them are.
 */
#include "session/crowd.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "config/config.h"
#include "net/acceptor.h"
#include "proto/forwarded.h"
#include "session/conn_internal.h"
#include "session/listener.h"
#include "session/network.h"
#include "session/opening.h"
#include "session/session.h"

/*
 * In ticks. GROWN_UP: behind which an opening makes way for others. PACE: in which those that get
 * through are counted; LULL: behind which nobody does any more.
 */
enum { GROWN_UP = 1000 / SESSION_TICK, PACE = 1000 / SESSION_TICK, LULL = 200 / SESSION_TICK };

enum { SIZE_MIN = 64, SPARE_MAX = 64, SORTED_AT_ONCE = 64 };

TAILQ_HEAD(places, crowd_place);

struct crowd_address {
	struct places places;
	struct crowd_address *next; /* in its chain, or of those that are free */
	uint64_t name; /* see network_of */
	uint32_t count; /* of places */
	uint32_t at; /* in the heap */
	bool hashed; /* else nobody's, and cannot be found */
};

struct heap_entry {
	uint64_t rank;
	struct crowd_address *address;
};

static struct {
	uint32_t openings;
	bool wanted; /* somebody was told that there is no place */
	struct places unsorted;
	uint32_t addresses;
	uint32_t size; /* of both tables: a power of two; 0: none yet */
	uint32_t shift; /* 64 less its logarithm */
	uint64_t secret;
	struct crowd_address **chains;
	struct heap_entry *heap;
	struct crowd_address *spare; /* some that are free, by next */
	uint32_t spares;
	struct {
		uint32_t since, count, before; /* the tick; since then; in the PACE before it */
		uint32_t last; /* tick */
	} through;
} crowd = { .unsorted = TAILQ_HEAD_INITIALIZER(crowd.unsorted) };

/* --- the heap --- */

static uint64_t rank_of(const struct crowd_address *a)
{
	return (uint64_t)a->count << 32 | (UINT32_MAX - TAILQ_FIRST(&a->places)->since);
}

static void put(uint32_t at, struct heap_entry e)
{
	crowd.heap[at] = e;
	e.address->at = at;
}

static void sift_up(uint32_t at, struct heap_entry e)
{
	while (at > 0 && crowd.heap[(at - 1) / 2].rank < e.rank) {
		put(at, crowd.heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	put(at, e);
}

static void sift_down(uint32_t at, struct heap_entry e)
{
	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child + 1 < crowd.addresses &&
		    crowd.heap[child + 1].rank > crowd.heap[child].rank)
			child++;
		if (child >= crowd.addresses || crowd.heap[child].rank <= e.rank)
			break;
		put(at, crowd.heap[child]);
		at = child;
	}
	put(at, e);
}

static void sift(uint32_t at, struct heap_entry e)
{
	if (at > 0 && crowd.heap[(at - 1) / 2].rank < e.rank)
		sift_up(at, e);
	else
		sift_down(at, e);
}

static void heap_add(struct crowd_address *a)
{
	sift_up(crowd.addresses++, (struct heap_entry){ rank_of(a), a });
}

static void heap_move(struct crowd_address *a)
{
	sift(a->at, (struct heap_entry){ rank_of(a), a });
}

static void heap_remove(const struct crowd_address *a)
{
	const struct heap_entry last = crowd.heap[--crowd.addresses];

	if (last.address != a)
		sift(a->at, last);
}

/* --- the table --- */

/* The upper bits of a product with an odd number that nobody knows. */
static struct crowd_address **chain_of(uint64_t name)
{
	return &crowd.chains[name * crowd.secret >> crowd.shift];
}

static struct crowd_address *find(uint64_t name)
{
	struct crowd_address *a = *chain_of(name);

	while (a && a->name != name)
		a = a->next;
	return a;
}

static void hash(struct crowd_address *a)
{
	struct crowd_address **chain = chain_of(a->name);

	a->next = *chain;
	*chain = a;
}

static void unhash(const struct crowd_address *a)
{
	struct crowd_address **link = chain_of(a->name);

	while (*link != a)
		link = &(*link)->next;
	*link = a->next;
}

/* All that are there are hashed anew: as rarely as the number of them doubles. */
static bool grow(void)
{
	uint32_t size = crowd.size ? 2 * crowd.size : SIZE_MIN;
	struct crowd_address **chains = calloc(size, sizeof(struct crowd_address *));
	struct heap_entry *heap = realloc(crowd.heap, size * sizeof(*heap));

	if (heap)
		crowd.heap = heap;
	if (!chains || !heap ||
	    (!crowd.secret && getrandom(&crowd.secret, sizeof(crowd.secret), 0) < 0)) {
		free(chains);
		return false;
	}
	crowd.secret |= 1;
	free(crowd.chains);
	crowd.chains = chains;
	crowd.size = size;
	crowd.shift = 64 - (uint32_t)__builtin_ctz(size);
	for (uint32_t i = 0; i < crowd.addresses; i++)
		if (heap[i].address->hashed)
			hash(heap[i].address);
	return true;
}

static struct crowd_address *take_spare(void)
{
	struct crowd_address *a = crowd.spare;

	if (!a)
		return malloc(sizeof(*a));
	crowd.spare = a->next;
	crowd.spares--;
	return a;
}

static void give_back(struct crowd_address *a)
{
	if (crowd.spares == SPARE_MAX) {
		free(a);
		return;
	}
	a->next = crowd.spare;
	crowd.spare = a;
	crowd.spares++;
}

/* --- places --- */

/* NULL: nobody. */
static const struct net_peer *whose(const struct conn *c)
{
	const struct listener *l = c->opening->listener;
	const struct net_peer *p = &c->peer;
	bool speaks = c->state_now == CONN_PROXY || l->forwarded != FORWARDED_NONE;

	if (p->family == AF_UNIX || c->opening->nameless ||
	    (speaks && listener_trusts(l, p->family, p->address)))
		return NULL;
	return p;
}

/* A new one, of which the first place is p. NULL: no memory. */
static struct crowd_address *new_address(const struct net_peer *peer, struct crowd_place *p)
{
	struct crowd_address *a = take_spare();

	if (!a)
		return NULL;
	*a = (struct crowd_address){ .count = 1, .hashed = peer != NULL };
	TAILQ_INIT(&a->places);
	TAILQ_INSERT_TAIL(&a->places, p, entry);
	if (peer) {
		a->name = network_of(peer);
		hash(a);
	}
	heap_add(a);
	return a;
}

static struct crowd_address *join(struct crowd_address *a, struct crowd_place *p)
{
	TAILQ_INSERT_TAIL(&a->places, p, entry);
	a->count++;
	heap_move(a);
	return a;
}

/* False: no memory; p is in no list. */
static bool sort_in(struct crowd_place *p)
{
	const struct net_peer *peer = whose(p->conn);
	struct crowd_address *a;

	if (crowd.addresses == crowd.size && !grow())
		return false;
	a = peer ? find(network_of(peer)) : NULL;
	p->address = a ? join(a, p) : new_address(peer, p);
	return p->address != NULL;
}

static void sort_some(unsigned count)
{
	struct crowd_place *p;

	while (count-- > 0 && (p = TAILQ_FIRST(&crowd.unsorted))) {
		TAILQ_REMOVE(&crowd.unsorted, p, entry);
		if (sort_in(p))
			continue;
		TAILQ_INSERT_HEAD(&crowd.unsorted, p, entry);
		break;
	}
}

static void take_out(struct crowd_place *p)
{
	struct crowd_address *a = p->address;

	TAILQ_REMOVE(a ? &a->places : &crowd.unsorted, p, entry);
	p->address = NULL;
	if (!a)
		return;
	if (--a->count > 0) {
		heap_move(a);
		return;
	}
	heap_remove(a);
	if (a->hashed)
		unhash(a);
	give_back(a);
}

void crowd_enter(struct conn *c)
{
	struct crowd_place *p = &c->opening->place;

	p->conn = c;
	p->since = session.now;
	TAILQ_INSERT_TAIL(&crowd.unsorted, p, entry);
	if (++crowd.openings > session.config->max_handshakes / 2)
		sort_some(2);
}

void crowd_rename(struct conn *c)
{
	struct crowd_place *p = &c->opening->place;

	if (!p->address)
		return;
	take_out(p);
	if (!sort_in(p))
		TAILQ_INSERT_HEAD(&crowd.unsorted, p, entry);
}

static bool is_full(void)
{
	return crowd.openings >= session.config->max_handshakes;
}

void crowd_leave(struct conn *c)
{
	struct crowd_place *p = &c->opening->place;

	if (!p->conn)
		return;
	take_out(p);
	p->conn = NULL;
	crowd.openings--;
	if (crowd.wanted && !is_full()) {
		crowd.wanted = false;
		acceptor_go_on();
	}
}

/* --- who gets through --- */

static void look_at_pace(void)
{
	const uint32_t passed = session.now - crowd.through.since;

	if (passed < PACE)
		return;
	crowd.through.before = passed < 2 * PACE ? crowd.through.count : 0;
	crowd.through.count = 0;
	crowd.through.since = session.now;
}

void crowd_through(void)
{
	look_at_pace();
	crowd.through.count++;
	crowd.through.last = session.now;
}

/* There will be places soon, without anybody having to make way. */
static bool is_moving(void)
{
	uint32_t count;

	look_at_pace();
	count = crowd.through.count > crowd.through.before ? crowd.through.count
							   : crowd.through.before;
	return count > 0 && count >= session.config->max_handshakes / 4 &&
	       session.now - crowd.through.last <= LULL;
}

/* What it has said was not listened to yet, or not answered; of who was refused nothing is. */
static bool waits_for_us(struct conn *c)
{
	uint8_t byte;

	if (c->state_now == CONN_ADMIT)
		return true;
	return c->state_now < CONN_OPEN && transport_peek(&c->link.transport, &byte, 1) > 0;
}

/* --- whether there is one more --- */

struct conn *crowd_in_the_way(void)
{
	const struct crowd_place *p;

	if (!is_full())
		return NULL;
	/* there are some if a reload has made it full, or memory was short */
	sort_some(SORTED_AT_ONCE);
	if (crowd.addresses == 0 || is_moving())
		return NULL;
	p = TAILQ_FIRST(&crowd.heap[0].address->places);
	return session.now - p->since > GROWN_UP && !waits_for_us(p->conn) ? p->conn : NULL;
}

bool crowd_has_place(void)
{
	if (!is_full() || crowd_in_the_way())
		return true;
	crowd.wanted = true;
	return false;
}

void crowd_fini(void)
{
	while (crowd.spare)
		free(take_spare());
	free(crowd.chains);
	free(crowd.heap);
	crowd.chains = NULL;
	crowd.heap = NULL;
	crowd.size = 0;
	memset(&crowd.through, 0, sizeof(crowd.through));
}
