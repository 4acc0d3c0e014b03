/*
 * quota.c - see quota.h.
 *
 * What is counted is in a table that all workers share (tally.h), from the moment that a client is
 * let in up to the end of its connection. Without a limit nothing is: so a connection remembers
 * which counts it is in, and by which names, for a reload may set or remove a limit, or give it
 * another endpoint.
 *
 * Where the oldest of a user's connections is to make place for another one, each worker has them in
 * order (seats.h), and the table says which worker has the oldest of all. Who lets one in over the limit
 * leaves an order with that worker (orders.h), which looks again: if somebody has gone by himself
 * meanwhile nothing has to be done, and if another one has the oldest by now it is passed on, until there
 * are no more than there may be. Who goes so counts no more from then on, and who was leaving already is
 * the first.
 */
#include "session/quota.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/bucket.h"
#include "base/log.h"
#include "base/orders.h"
#include "base/tally.h"
#include "config/config.h"
#include "session/conn_internal.h"
#include "session/network.h"
#include "session/seats.h"
#include "session/session.h"
#include "session/turn.h"

/* --- whose a connection is --- */

/* endpoint: 0, which is none's, where all of them count. */
static struct tally_key of_address(const struct conn *c, const struct counted_as *as,
				   uint64_t endpoint)
{
	(void)c;
	return (struct tally_key){ { as->network, endpoint } };
}

/* Behind the key of the endpoint his name, and nothing that could be either. */
static struct tally_key of_user(const struct conn *c, const struct counted_as *as,
				uint64_t endpoint)
{
	const char *user = conn_user(c);
	char name[sizeof(endpoint) + CONFIG_USER_MAX];
	size_t len = strnlen(user, CONFIG_USER_MAX);

	(void)as;
	memcpy(name, &endpoint, sizeof(endpoint));
	memcpy(name + sizeof(endpoint), user, len);
	return tally_key_of(session.tally, name, sizeof(endpoint) + len);
}

/* Keys of endpoints are odd, so that it is no address's. */
static struct tally_key of_endpoint(const struct conn *c, const struct counted_as *as,
				    uint64_t endpoint)
{
	(void)c;
	(void)as;
	return (struct tally_key){ { endpoint, 2 } };
}

static bool has_address(const struct conn *c)
{
	return c->peer.family != AF_UNIX;
}

static bool has_user(const struct conn *c)
{
	return conn_user(c) != NULL;
}

static bool is_any(const struct conn *c)
{
	(void)c;
	return true;
}

/* --- the counts --- */

enum { NO_SEAT = -1, SEATS = 2 };

static int64_t address_limit(const struct conn *c)
{
	(void)c;
	return session.config->max_connections_per_address;
}

static int64_t address_limit_here(const struct conn *c)
{
	return c->endpoint->max_connections_per_address;
}

static int64_t user_limit(const struct conn *c)
{
	(void)c;
	return session.config->max_connections_per_user;
}

static int64_t user_limit_here(const struct conn *c)
{
	return c->endpoint->max_connections_per_user;
}

static int64_t endpoint_limit(const struct conn *c)
{
	return c->endpoint->max_connections;
}

/* A bit of extra->counted is one of these. */
static const struct count {
	bool (*is_of)(const struct conn *c); /* else it is not counted there */
	int64_t (*limit)(const struct conn *c); /* 0: there is none */
	struct tally_key (*key)(const struct conn *c, const struct counted_as *as,
				uint64_t endpoint);
	bool here; /* those to the endpoint alone */
	enum reason over;
	int seat; /* which of extra->seats; NO_SEAT: the oldest makes no place for others */
} counts[] = {
	{ has_address, address_limit, of_address, false, REASON_TOO_MANY_FROM_ADDRESS, NO_SEAT },
	{ has_address, address_limit_here, of_address, true, REASON_TOO_MANY_FROM_ADDRESS,
	  NO_SEAT },
	{ has_user, user_limit, of_user, false, REASON_TOO_MANY_FROM_USER, 0 },
	{ has_user, user_limit_here, of_user, true, REASON_TOO_MANY_FROM_USER, 1 },
	{ is_any, endpoint_limit, of_endpoint, true, REASON_TOO_MANY_CONNECTIONS, NO_SEAT },
};

enum { COUNTS = sizeof(counts) / sizeof(*counts) };

static int64_t limit_of(const struct conn *c, int which)
{
	return counts[which].is_of(c) ? counts[which].limit(c) : 0;
}

static struct tally_key key_of(const struct conn *c, int which, const struct counted_as *as)
{
	return counts[which].key(c, as, counts[which].here ? as->endpoint : 0);
}

static struct counted_as names_of(const struct conn *c)
{
	return (struct counted_as){ .network = has_address(c) ? network_of(&c->peer) : 0,
				    .endpoint = c->endpoint->key };
}

static bool is_counted(const struct conn *c, int which)
{
	return c->extra && c->extra->counted & 1 << which;
}

/* What was in the table before allows more than the settings do. */
static void tell_full(void)
{
	static const struct bucket_size size = { 1, 60000 };
	static struct bucket bucket;

	if (bucket_take(&bucket, &size, session.now * SESSION_TICK))
		log_warning(NULL,
			    "the table in which connections are counted is full: some are not, "
			    "and limits per address, user and endpoint let more in; it has the "
			    "size for max_connections at the start, so restart the daemon");
}

/* --- who is the oldest --- */

/* Milliseconds: the turn began before that connection opened. */
enum { BEHIND = 60000 };

static uint64_t since(const struct conn *c, bool fresh)
{
	const uint64_t now = (uint64_t)turn_time() / 1000;
	uint32_t age = (uint32_t)(now / 1000) - c->opened;

	if (fresh)
		return now;
	if (c->state_now != CONN_OPEN)
		return SEAT_LEAVING;
	return age > UINT32_MAX - BEHIND ? now : now - (uint64_t)age * 1000;
}

static struct seat *seat_of(const struct conn *c, int which)
{
	struct seat *s = counts[which].seat == NO_SEAT || !c->extra->seats
				 ? NULL
				 : &c->extra->seats[counts[which].seat];

	return s && s->conn ? s : NULL;
}

/* fresh: it comes now, else it is there. Without memory it is none: then others are the oldest. */
static void seat(struct conn *c, int which, const struct tally_key *k, bool fresh)
{
	struct conn_extra *e = c->extra;

	if (counts[which].seat == NO_SEAT || !session.config->replaces)
		return;
	if (!e->seats)
		e->seats = calloc(SEATS, sizeof(*e->seats));
	if (!e->seats)
		return;
	e->seats[counts[which].seat] =
		(struct seat){ .conn = c, .since = since(c, fresh), .id = c->id, .key = *k };
	(void)!seats_add(&e->seats[counts[which].seat]);
}

static void unseat(const struct conn *c, int which)
{
	struct seat *s = seat_of(c, which);

	if (s)
		seats_remove(s);
}

/* --- counting --- */

/* Let in over a limit whose oldest have not gone yet, such as those of a worker that stands still. */
enum { OVER_MOST = 64 };

static bool makes_place(const struct conn *c, int which, const struct tally_key *k)
{
	return counts[which].seat != NO_SEAT && c->endpoint->limits.over_user == OVER_USER_OLDEST &&
	       tally_count(session.tally, k) < (uint64_t)limit_of(c, which) + OVER_MOST &&
	       tally_lowest(session.tally, k) >= 0;
}

/* most: 0: whatever there is. */
static enum tally_answer count_by(const struct tally_key *k, uint32_t most)
{
	if (most > 0)
		return tally_take(session.tally, k, most);
	return tally_add(session.tally, k) ? TALLY_COUNTED : TALLY_FULL;
}

/* The same. False: there are as many. */
static bool count_as(struct conn *c, int which, const struct counted_as *as, uint32_t most)
{
	const struct tally_key k = key_of(c, which, as);
	enum tally_answer a = count_by(&k, most);

	if (a == TALLY_OVER && makes_place(c, which, &k)) {
		a = count_by(&k, 0);
		c->extra->over |= (uint8_t)(1 << which);
	}
	if (a == TALLY_FULL)
		tell_full();
	if (a == TALLY_COUNTED) {
		c->extra->counted |= (uint8_t)(1 << which);
		seat(c, which, &k, most > 0);
	}
	return a != TALLY_OVER;
}

static void give_back(struct conn *c, int which)
{
	const struct tally_key k = key_of(c, which, &c->extra->counted_as);
	const unsigned bit = 1U << which;

	/* in this order: who sees another to be the oldest sees that there is one less, too */
	tally_give_back(session.tally, &k);
	unseat(c, which);
	c->extra->counted &= (uint8_t)~bit;
}

enum reason quota_take(struct conn *c)
{
	for (int i = 0; i < COUNTS; i++) {
		int64_t most = limit_of(c, i);

		if (most == 0)
			continue;
		if (!conn_need_extra(c))
			return REASON_NO_MEMORY;
		c->extra->counted_as = names_of(c);
		if (count_as(c, i, &c->extra->counted_as, (uint32_t)most))
			continue;
		quota_give_back(c);
		return counts[i].over;
	}
	return REASON_NONE;
}

void quota_give_back(struct conn *c)
{
	for (int i = 0; i < COUNTS; i++)
		if (is_counted(c, i))
			give_back(c, i);
}

static bool same_key(const struct tally_key *a, const struct tally_key *b)
{
	return a->of[0] == b->of[0] && a->of[1] == b->of[1];
}

/* It is counted, as it is to be: under the key that it has by now. */
static bool is_right(const struct conn *c, int which, const struct counted_as *as)
{
	const struct tally_key was = key_of(c, which, &c->extra->counted_as),
			       is = key_of(c, which, as);

	return limit_of(c, which) > 0 && same_key(&was, &is);
}

/* The settings may have begun to ask who is the oldest, or ask no more. */
static void seat_anew(struct conn *c, int which)
{
	const struct tally_key k = key_of(c, which, &c->extra->counted_as);

	if (!session.config->replaces)
		unseat(c, which);
	else if (!seat_of(c, which))
		seat(c, which, &k, false);
}

/* One for which there is no place is not counted: it is there, and that is not to be its end. */
void quota_recount(struct conn *c)
{
	const struct counted_as as = names_of(c);

	for (int i = 0; i < COUNTS; i++)
		if (is_counted(c, i) && !is_right(c, i, &as))
			give_back(c, i);
	for (int i = 0; i < COUNTS; i++)
		if (!is_counted(c, i) && limit_of(c, i) > 0 && conn_need_extra(c))
			(void)count_as(c, i, &as, 0);
	if (c->extra)
		c->extra->counted_as = as;
	for (int i = 0; i < COUNTS; i++)
		if (is_counted(c, i))
			seat_anew(c, i);
}

/* --- who makes place for others --- */

/* How often an order is passed on, at most: who comes next begins anew. */
enum { PASSED_ON = 255 };

enum word { KEY, KEY_REST, MOST, PASSED };

static bool leave_order(int slot, const struct order *o)
{
	if (slot < 0 || !orders_leave(session.orders, slot, o))
		return false;
	if (slot == session.slot)
		session.chores = true;
	else
		bus_wake(session.bus, slot);
	return true;
}

/* False: it was one too many, and nobody was asked. */
static bool replace(const struct conn *c, int which)
{
	const struct tally_key k = key_of(c, which, &c->extra->counted_as);
	const uint64_t most = (uint64_t)limit_of(c, which);
	const struct order o = { { k.of[0], k.of[1], most, 0 } };

	return tally_count(session.tally, &k) <= most ||
	       leave_order(tally_lowest(session.tally, &k), &o);
}

bool quota_replace(struct conn *c)
{
	bool asked = true;

	for (int i = 0; i < COUNTS && c->extra && c->extra->over; i++) {
		const unsigned bit = 1U << i;

		if (!(c->extra->over & bit))
			continue;
		c->extra->over &= (uint8_t)~bit;
		asked &= replace(c, i);
	}
	return asked;
}

static void give_user_back(struct conn *c)
{
	for (int i = 0; i < COUNTS; i++)
		if (counts[i].seat != NO_SEAT && is_counted(c, i))
			give_back(c, i);
}

/* Another worker has the oldest; should it be none of them, or too often, nobody goes. */
static void pass_on(struct order *o, int slot)
{
	if (o->of[PASSED]++ < PASSED_ON)
		(void)leave_order(slot, o);
}

/* The seat of the oldest of all, of too many, where that is here. NULL: there is nothing to do, here. */
static struct seat *first_of(struct order *o)
{
	const struct tally_key k = { { o->of[KEY], o->of[KEY_REST] } };
	int slot;

	turn_spend(TURN_SORT);
	if (tally_count(session.tally, &k) <= o->of[MOST])
		return NULL;
	slot = tally_lowest(session.tally, &k);
	if (slot == session.slot)
		return seats_oldest(&k);
	pass_on(o, slot);
	return NULL;
}

/* Returns who has to go for it; it is not done then. NULL: it is. */
static struct conn *obey(struct order *o)
{
	struct seat *s;

	while ((s = first_of(o))) {
		struct conn *c = s->conn;

		if (c->state_now < CONN_OPEN)
			return NULL;
		/* who is on his way out goes anyway */
		give_user_back(c);
		if (c->state_now == CONN_OPEN)
			return c;
	}
	return NULL;
}

struct conn *quota_next_to_go(void)
{
	static struct order o; /* that is being done; MOST 0: none is */
	struct conn *c = o.of[MOST] > 0 ? obey(&o) : NULL;

	while (!c && orders_take(session.orders, &o))
		c = obey(&o);
	if (!c)
		o.of[MOST] = 0;
	return c;
}

void quota_leaves(struct conn *c)
{
	for (int i = 0; i < COUNTS; i++) {
		struct seat *s = seat_of(c, i);
		const struct seat was = s ? *s : (struct seat){ .conn = NULL };

		if (!s || was.since == SEAT_LEAVING)
			continue;
		seats_remove(s);
		*s = was;
		s->since = SEAT_LEAVING;
		(void)!seats_add(s);
	}
}
