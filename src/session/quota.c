/*
 * quota.c - see quota.h.
 *
 * What is counted is in a table that all workers share (tally.h), from the moment that a client is
 * let in up to the end of its connection. Without a limit nothing is: so a connection remembers
 * which counts it is in, and by which names, for a reload may set or remove a limit, or give it
 * another endpoint.
 */
#include "session/quota.h"

#include <string.h>
#include <sys/socket.h>

#include "base/bucket.h"
#include "base/log.h"
#include "base/tally.h"
#include "config/config.h"
#include "session/conn_internal.h"
#include "session/network.h"
#include "session/session.h"

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
} counts[] = {
	{ has_address, address_limit, of_address, false, REASON_TOO_MANY_FROM_ADDRESS },
	{ has_address, address_limit_here, of_address, true, REASON_TOO_MANY_FROM_ADDRESS },
	{ has_user, user_limit, of_user, false, REASON_TOO_MANY_FROM_USER },
	{ has_user, user_limit_here, of_user, true, REASON_TOO_MANY_FROM_USER },
	{ is_any, endpoint_limit, of_endpoint, true, REASON_TOO_MANY_CONNECTIONS },
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

/* most: 0: whatever there is. False: there are as many. */
static bool count_as(struct conn *c, int which, const struct counted_as *as, uint32_t most)
{
	const struct tally_key k = key_of(c, which, as);
	enum tally_answer a = TALLY_FULL;

	if (most > 0)
		a = tally_take(session.tally, &k, most);
	else if (tally_add(session.tally, &k))
		a = TALLY_COUNTED;
	if (a == TALLY_FULL)
		tell_full();
	if (a == TALLY_COUNTED)
		c->extra->counted |= (uint8_t)(1 << which);
	return a != TALLY_OVER;
}

static void give_back(struct conn *c, int which)
{
	const struct tally_key k = key_of(c, which, &c->extra->counted_as);

	tally_give_back(session.tally, &k);
	c->extra->counted &= (uint8_t) ~(1 << which);
}

enum reason quota_take(struct conn *c)
{
	const struct counted_as as = names_of(c);

	for (int i = 0; i < COUNTS; i++) {
		int64_t most = limit_of(c, i);

		if (most == 0)
			continue;
		if (!conn_need_extra(c))
			return REASON_NO_MEMORY;
		c->extra->counted_as = as;
		if (count_as(c, i, &as, (uint32_t)most))
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
}
