/*
 * attempts.c - see attempts.h.
 *
 * Of an address there are up to three buckets in the table that all workers share (meters.h): of its
 * requests, of its failures, and one that stands for the time in which it is not listened to. Who is
 * refused by one of them takes no token: a flood passes as often as it may, and costs a look each time.
 *
 * The times are those of turns, which begin milliseconds apart in different workers; see rate.h.
 */
#include "session/attempts.h"

#include <sys/socket.h>

#include "base/meters.h"
#include "config/config.h"
#include "proto/refusal.h"
#include "session/conn_internal.h"
#include "session/network.h"
#include "session/session.h"
#include "session/turn.h"

enum { MS = 1000000, SECOND = 1000 * MS };

enum what { REQUESTS = 1, FAILURES, PENALTY };

static struct meters_key key_of(const struct conn *c, enum what what)
{
	return (struct meters_key){ { network_of(&c->peer), what } };
}

static bool refuse(struct refusal *why, enum reason reason, int64_t ns)
{
	refusal_plain(why, reason);
	why->retry_after = (unsigned)((ns + SECOND - 1) / SECOND);
	return false;
}

bool attempts_request(const struct conn *c, struct refusal *why)
{
	const struct rate_size *size = &session.config->connection_rate;
	struct meters_key k;
	int64_t ns;

	if (size->every == 0 || c->peer.family == AF_UNIX)
		return true;
	k = key_of(c, REQUESTS);
	ns = meters_take(session.meters, &k, size, turn_time());
	return ns == 0 || refuse(why, REASON_CONNECTION_RATE, ns);
}

static bool are_counted(const struct conn *c)
{
	return session.config->failure_rate.every > 0 && c->peer.family != AF_UNIX;
}

bool attempts_are_heard(const struct conn *c, struct refusal *why)
{
	const int64_t penalty = session.config->auth_penalty * MS;
	struct meters_key k;
	int64_t ns;

	if (!are_counted(c))
		return true;
	k = key_of(c, PENALTY);
	ns = meters_held(session.meters, &k, penalty, turn_time());
	return ns == 0 || refuse(why, REASON_TOO_MANY_FAILURES, ns);
}

/*
 * Who has shown nothing has guessed nothing: so a browser asks first what it is to show. Nor has who is
 * not allowed to go where others may: it is known who he is.
 */
static bool is_failure(enum reason r)
{
	return r == REASON_BAD_TOKEN || r == REASON_BAD_PASSWORD;
}

void attempts_refused(const struct conn *c, enum reason r)
{
	const int64_t now = turn_time();
	struct meters_key failures, penalty;

	if (!is_failure(r) || !are_counted(c))
		return;
	failures = key_of(c, FAILURES);
	penalty = key_of(c, PENALTY);
	if (meters_take(session.meters, &failures, &session.config->failure_rate, now) > 0)
		meters_hold(session.meters, &penalty, session.config->auth_penalty * MS, now);
}

bool attempts_are_kept(enum reason r)
{
	static const struct rate_size size = { .every = SECOND, .depth = INT64_C(100) * SECOND };
	static struct rate kept;

	return (r != REASON_CONNECTION_RATE && r != REASON_TOO_MANY_FAILURES) ||
	       rate_take(&kept, &size, turn_time()) == 0;
}
