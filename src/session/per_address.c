/*
 * per_address.c - see per_address.h.
 *
 * What is counted is in a table that all workers share (tally.h), from the moment that a client is
 * let in up to the end of its connection. Without a limit nothing is: so a connection remembers
 * which counts it is in, and a reload that sets or removes a limit puts it in or takes it out.
 */
#include "session/per_address.h"

#include <sys/socket.h>

#include "base/tally.h"
#include "config/config.h"
#include "session/conn_internal.h"
#include "session/session.h"

/* Bits of extra->counted. */
enum count { OF_ALL = 1, OF_ENDPOINT = 2 };

static const enum count counts[] = { OF_ALL, OF_ENDPOINT };

enum { COUNTS = sizeof(counts) / sizeof(*counts) };

/* Of all: 0, which is no endpoint's. */
static struct tally_key key_of(const struct conn *c, enum count which)
{
	return (struct tally_key){ { net_peer_network(&c->peer),
				     which == OF_ALL ? 0 : c->endpoint->key } };
}

/* 0: there is none. */
static uint32_t limit_of(const struct conn *c, enum count which)
{
	if (c->peer.family == AF_UNIX)
		return 0;
	return (uint32_t)(which == OF_ALL ? session.config->max_connections_per_address
					  : c->endpoint->max_connections_per_address);
}

static bool is_counted(const struct conn *c, enum count which)
{
	return c->extra && c->extra->counted & which;
}

/* most: 0: whatever there is. */
static enum reason count_as(struct conn *c, enum count which, uint32_t most)
{
	const struct tally_key k = key_of(c, which);
	enum tally_answer a = TALLY_FULL;

	if (!conn_need_extra(c))
		return REASON_NO_MEMORY;
	if (most > 0)
		a = tally_take(session.tally, &k, most);
	else if (tally_add(session.tally, &k))
		a = TALLY_COUNTED;
	if (a == TALLY_OVER)
		return REASON_TOO_MANY_FROM_ADDRESS;
	if (a == TALLY_FULL)
		return REASON_NO_MEMORY;
	c->extra->counted |= (uint8_t)which;
	return REASON_NONE;
}

static void forget(struct conn *c, enum count which)
{
	const struct tally_key k = key_of(c, which);

	tally_give_back(session.tally, &k);
	c->extra->counted &= (uint8_t)~which;
}

enum reason per_address_count(struct conn *c)
{
	enum reason r = REASON_NONE;

	for (int i = 0; i < COUNTS && r == REASON_NONE; i++) {
		uint32_t most = limit_of(c, counts[i]);

		if (most > 0)
			r = count_as(c, counts[i], most);
	}
	if (r != REASON_NONE)
		per_address_forget(c);
	return r;
}

void per_address_forget(struct conn *c)
{
	for (int i = 0; i < COUNTS; i++)
		if (is_counted(c, counts[i]))
			forget(c, counts[i]);
}

/* One for which there is no place is not counted: it is there, and that is not to be its end. */
void per_address_recount(struct conn *c)
{
	for (int i = 0; i < COUNTS; i++) {
		bool limited = limit_of(c, counts[i]) > 0;

		if (limited && !is_counted(c, counts[i]))
			(void)count_as(c, counts[i], 0);
		else if (!limited && is_counted(c, counts[i]))
			forget(c, counts[i]);
	}
}
