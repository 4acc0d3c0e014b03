/*
 * admit.c - whether a request may have what it asks for, see opening.h.
 *
 * The checks are made in the order that the manual gives: the head itself (400; that was
 * opening.c), how often its address asks (429), the path (404), method (405), upgrade and version (426),
 * whether its address has failed too often (429), host (421), network (403), origin (403), credential (401,
 * 403), whose path it is (403), subprotocol (400), what the behaviour says, whether its room is full (503),
 * whether its address or user has too many connections (429), or its endpoint (503), and whether there is
 * space (503).
 */
#include <string.h>

#include "behaviour.h"
#include "config/config.h"
#include "proto/web_origin.h"
#include "session/access.h"
#include "session/attempts.h"
#include "session/compress.h"
#include "session/conn_internal.h"
#include "session/entering.h"
#include "session/late.h"
#include "session/opening.h"
#include "session/quota.h"
#include "session/replay.h"
#include "session/session.h"

const char *opening_subprotocol(const struct conn *c, const struct http_head *h)
{
	static const char *const room[] = { CONFIG_ROOM_SUBPROTOCOL, NULL };
	const struct config_limits *l = &c->endpoint->limits;
	const char *agreed = NULL;

	if (c->endpoint->room.format != FORMAT_TEXT)
		agreed = upgrade_subprotocol(h, room);
	return agreed ? agreed : upgrade_subprotocol(h, (const char *const *)l->subprotocols);
}

const char *opening_answered(const struct conn *c, const struct http_head *h)
{
	static const char *const bearer[] = { CONFIG_BEARER_SUBPROTOCOL, NULL };
	const char *agreed = opening_subprotocol(c, h);

	if (agreed || !c->endpoint->limits.access.jwt.subprotocol)
		return agreed;
	return upgrade_subprotocol(h, bearer);
}

static bool wants_json(const struct conn *c, const struct http_head *h)
{
	const char *agreed;

	if (c->endpoint->room.format != FORMAT_BOTH)
		return c->endpoint->room.format == FORMAT_JSON;
	agreed = opening_subprotocol(c, h);
	return agreed && strcmp(agreed, CONFIG_ROOM_SUBPROTOCOL) == 0;
}

static bool origin_is_good(const struct config_limits *l, const struct upgrade *up)
{
	char *const *origins = l->access.origins ? l->access.origins : l->allowed_origins;

	return !origins || web_origin_allowed(up->origin, (const char *const *)origins);
}

/* Where it goes, and from where it comes. */
static enum reason check_places(const struct conn *c, const struct opening_request *rq)
{
	const struct config_limits *l = &c->endpoint->limits;
	enum reason r;

	if (l->hosts && !web_host_allowed(rq->up.host, (const char *const *)l->hosts))
		return REASON_BAD_HOST;
	r = access_by_network(&l->access, c);
	return r == REASON_NONE && !origin_is_good(l, &rq->up) ? REASON_BAD_ORIGIN : r;
}

/* Who it is, and whether the path is his. */
static enum reason check_person(struct access_request *asks, struct identity *who)
{
	const struct config_endpoint *e = asks->c->endpoint;
	enum reason r = access_by_credential(&e->limits.access, asks, who);

	asks->late &= r == REASON_NO_CREDENTIALS;
	if (asks->late)
		return REASON_NONE;
	if (r != REASON_NONE || access_path_is_own(e, asks->name, who->user))
		return r;
	asks->why = "in this path {user} is another one than who comes";
	return REASON_NOT_ALLOWED;
}

/* What the endpoint asks of a client that knows how to ask. *who: as of access_by_credential. */
static enum reason check_limits(struct conn *c, const struct opening_request *rq,
				struct access_request *asks, struct identity *who)
{
	enum reason r = check_places(c, rq);

	if (r == REASON_NONE)
		r = check_person(asks, who);
	if (r == REASON_NONE && c->endpoint->limits.require_subprotocol &&
	    !opening_subprotocol(c, &rq->head))
		r = REASON_SUBPROTOCOL_REQUIRED;
	return r;
}

static bool behaviour_admits(const struct conn *c, struct refusal *why)
{
	const struct behaviour *b = c->endpoint->behaviour;

	return !b->admit || b->admit(c, c->endpoint->opts, why);
}

/* Counts first and checks then, so that workers together never exceed the limit. */
static enum reason count_open(void)
{
	_Atomic uint32_t *open = &session.row->open;

	atomic_fetch_add(open, 1);
	if (metrics_open(session.metrics) <= (uint64_t)session.config->max_connections)
		return REASON_NONE;
	atomic_fetch_sub(open, 1);
	return REASON_TOO_MANY_CONNECTIONS;
}

/* One that must not be open counts for nobody, and it may take its peer a while to end. */
static enum reason count(struct conn *c)
{
	enum reason r = quota_take(c);

	if (r != REASON_NONE)
		return r;
	r = count_open();
	if (r == REASON_NONE && !quota_replace(c)) {
		atomic_fetch_sub(&session.row->open, 1);
		r = REASON_TOO_MANY_FROM_USER;
	}
	if (r != REASON_NONE && c->extra)
		quota_give_back(c);
	return r;
}

/* Who is not let in is no member. */
static enum reason count_member(struct conn *c)
{
	enum reason r = entering_join(c);

	if (r != REASON_NONE)
		return r;
	r = count(c);
	if (r != REASON_NONE)
		entering_leave(c);
	return r;
}

/* An administrator lets connections go, and wants no new ones. */
static bool is_drained(const struct conn *c)
{
	const char *of = session.drained;

	return of && (!*of || strcmp(of, c->endpoint->path) == 0);
}

/* Who is to say later who it is has nothing yet but its connection. */
static enum reason prepare_late(struct conn *c, const struct access_request *asks,
				const struct replay_wish *wish)
{
	enum reason r;

	if (compress_agree(c, asks->head) < 0)
		return REASON_NO_MEMORY;
	r = count(c);
	if (r != REASON_NONE)
		return r;
	return late_begin(c, asks->name, wants_json(c, asks->head), wish) ? REASON_NONE
									  : REASON_NO_MEMORY;
}

/* What it asked for of the room's past is there from the moment on at which it is a member. */
static enum reason prepare_now(struct conn *c, const struct access_request *asks,
			       const struct identity *who, const struct replay_wish *wish)
{
	enum reason r = entering_admit(c, asks->name, who, wants_json(c, asks->head));

	if (r == REASON_NONE && compress_agree(c, asks->head) < 0)
		r = REASON_NO_MEMORY;
	if (r == REASON_NONE)
		r = count_member(c);
	if (r == REASON_NONE && c->endpoint->has_room)
		replay_take(c, wish);
	return r;
}

static enum reason prepare(struct conn *c, const struct access_request *asks,
			   const struct identity *who, const struct replay_wish *wish)
{
	if (session.stopping)
		return REASON_SHUTDOWN;
	if (is_drained(c))
		return REASON_DRAINED;
	return asks->late ? prepare_late(c, asks, wish) : prepare_now(c, asks, who, wish);
}

/* Where nobody is asked who he is there is nothing to try. */
static bool may_try(const struct conn *c, struct refusal *why)
{
	return !access_asks(&c->endpoint->limits.access) || attempts_are_heard(c, why);
}

/* What is particular to it, and what else the client may send. */
static void refuse_person(const struct conn *c, struct refusal *why, enum reason r,
			  const struct access_request *asks)
{
	if (asks->why)
		refusal_set(why, r, "%s", asks->why);
	else
		refusal_plain(why, r);
	if (asks->detail)
		refusal_explain(why, "%s", asks->detail);
	if (c->endpoint) {
		const struct config_access *a = &c->endpoint->limits.access;

		why->bearer = a->tokens || a->jwt.rules;
		why->basic = a->users;
	}
}

static enum opening_step admit(struct conn *c, struct opening_request *rq, struct identity *who,
			       struct refusal *why)
{
	struct config_route route;
	struct replay_wish wish;
	struct access_request asks = { .c = c, .up = &rq->up, .head = &rq->head };
	enum reason r = upgrade_check(&rq->up);

	replay_forget();
	if (!c->opening->waited && !attempts_request(c, why))
		return OPENING_REFUSE;
	config_route(session.config, &rq->up, &route);
	conn_set_endpoint(c, route.endpoint);
	asks.name = route.name;
	if (!c->endpoint)
		r = REASON_NOT_FOUND;
	if (r == REASON_NONE && !may_try(c, why))
		return OPENING_REFUSE;
	if (r == REASON_NONE)
		r = check_limits(c, rq, &asks, who);
	if (r != REASON_NONE && awaiting_is(c))
		return OPENING_WAIT;
	if (r == REASON_NONE && !behaviour_admits(c, why))
		return OPENING_REFUSE;
	if (r == REASON_NONE && !replay_read(c, rq->head.target, &wish, why))
		return OPENING_REFUSE;
	if (r == REASON_NONE)
		r = prepare(c, &asks, who, &wish);
	if (r == REASON_NONE)
		return OPENING_GO;
	refuse_person(c, why, r, &asks);
	return OPENING_REFUSE;
}

/* What is kept of who it is goes with its admission. */
enum opening_step opening_admit(struct conn *c, struct opening_request *rq, struct refusal *why)
{
	struct identity who = { .user = NULL };
	enum opening_step step = admit(c, rq, &who, why);

	if (!c->admission || !c->admission->who)
		identity_end(&who);
	return step;
}
