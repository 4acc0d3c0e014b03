/*
 * access.c - see access.h.
 *
 * A kind of credential is a row: whether the rules ask for it, what of a request shows it, and whether
 * somebody who was let in by it would be again. Of a token its hash is kept for that: another line of
 * the same name is another token, and the same token under another name is somebody else.
 */
#include "session/access.h"

#include <string.h>
#include <sys/socket.h>

#include "base/cidr.h"
#include "config/config.h"
#include "config/tokens.h"
#include "proto/authorization.h"
#include "proto/upgrade.h"
#include "session/certified.h"
#include "session/conn_internal.h"
#include "session/jwt_holder.h"
#include "session/passwords.h"
#include "session/turn.h"

/* --- networks --- */

static bool is_in(const struct cidr *blocks, const struct net_peer *p)
{
	for (; blocks->family != 0; blocks++) {
		turn_spend(TURN_PASS);
		if (cidr_match(blocks, p->family, p->address))
			return true;
	}
	return false;
}

/* Whom a proxy does not name is in no network, whatever the proxy is in. */
static bool is_allowed(const struct cidr *blocks, const struct net_peer *p)
{
	return !(p->unnamed && p->family != AF_UNIX) && is_in(blocks, p);
}

enum reason access_by_network(const struct config_access *a, const struct conn *c)
{
	const struct config_networks *n = &a->networks;

	if ((n->denied && is_in(n->denied, &c->peer)) ||
	    (n->allowed && !is_allowed(n->allowed, &c->peer)))
		return REASON_BAD_NETWORK;
	return REASON_NONE;
}

/* --- credentials --- */

static bool wants_token(const struct config_access *a)
{
	return a->tokens;
}

static enum reason check_token(const struct config_access *a, struct access_request *rq,
			       struct identity *who)
{
	const struct http_text authorization = rq->up->authorization;
	const struct config_token *t;
	struct http_text token;

	if (!authorization.p || !authorization_bearer(authorization, &token))
		return REASON_NO_CREDENTIALS;
	t = tokens_find(a->tokens, token);
	if (!t)
		return REASON_BAD_TOKEN;
	who->user = t->name;
	memcpy(who->token, t->hash, sizeof(who->token));
	return REASON_NONE;
}

/* By a line of a file that is there still. */
static bool line_holds(const struct config_tokens *all, const struct identity *who)
{
	const struct config_token *t = who ? tokens_find_hash(all, who->token) : NULL;

	turn_spend(TURN_SORT);
	return t && strcmp(t->name, who->user) == 0;
}

static bool token_holds(const struct config_endpoint *e, const struct conn *c,
			const struct identity *who)
{
	(void)c;
	return line_holds(e->limits.access.tokens, who);
}

/* --- passwords --- */

static bool wants_password(const struct config_access *a)
{
	return a->users;
}

static enum reason check_password(const struct config_access *a, struct access_request *rq,
				  struct identity *who)
{
	const struct config_user *user = NULL;
	enum reason r = passwords_check(rq->c, a->users, rq->up->authorization, &user);

	if (r != REASON_NONE)
		return r;
	who->user = user->name;
	memcpy(who->token, user->line, sizeof(who->token));
	return REASON_NONE;
}

static bool password_holds(const struct config_endpoint *e, const struct conn *c,
			   const struct identity *who)
{
	(void)c;
	return line_holds(&e->limits.access.users->lines, who);
}

static bool wants_jwt(const struct config_access *a)
{
	return a->jwt.rules;
}

/* In the order of the manual; what takes long comes last. who of holds: NULL: nobody knows. */
static const struct kind {
	bool (*wanted)(const struct config_access *a);
	enum reason (*check)(const struct config_access *a, struct access_request *rq,
			     struct identity *who);
	bool (*holds)(const struct config_endpoint *e, const struct conn *c,
		      const struct identity *who);
} kinds[] = {
	{ certified_is_wanted, certified_check, certified_holds },
	{ wants_token, check_token, token_holds },
	{ wants_jwt, jwt_check_shown, jwt_holds },
	{ wants_password, check_password, password_holds },
};

enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

bool access_asks(const struct config_access *a)
{
	for (int i = 0; i < KINDS; i++)
		if (kinds[i].wanted(a))
			return true;
	return false;
}

/* How much it tells a client that one of several things would have let it in. */
static int weight(enum reason r)
{
	switch (r) {
	case REASON_NONE:
		return 0;
	case REASON_NOT_ALLOWED: /* it can do nothing about that */
		return 1;
	case REASON_NO_CREDENTIALS:
		return 2;
	default: /* what it has shown is bad */
		return 3;
	}
}

static enum reason satisfy_any(const struct config_access *a, struct access_request *rq,
			       struct identity *who)
{
	enum reason telling = REASON_NONE;
	const char *why = NULL, *detail = NULL;

	for (int i = 0; i < KINDS; i++) {
		enum reason r;

		if (!kinds[i].wanted(a))
			continue;
		identity_end(who);
		rq->why = rq->detail = NULL;
		r = kinds[i].check(a, rq, who);
		if (r == REASON_NONE)
			return r;
		if (weight(r) >= weight(telling)) {
			telling = r;
			why = rq->why;
			detail = rq->detail;
		}
	}
	rq->why = why;
	rq->detail = detail;
	return telling;
}

/* One of several kinds has been shown. Credentials are of one person; a certificate is of his device. */
static enum reason check_next(const struct kind *k, const struct config_access *a,
			      struct access_request *rq, struct identity *who)
{
	const bool certified = who->certified;
	const char *before = who->user;
	enum reason r = k->check(a, rq, who);

	if (r != REASON_NONE || !before || who->user == before)
		return r;
	who->certified = false;
	if (certified || strcmp(before, who->user) == 0)
		return r;
	rq->why = "the credentials are of different users";
	return REASON_NOT_ALLOWED;
}

/* What may come later is no reason not to look at the rest now. */
static enum reason satisfy_all(const struct config_access *a, struct access_request *rq,
			       struct identity *who)
{
	for (int i = 0; i < KINDS; i++) {
		const bool late = rq->late;
		enum reason r;

		if (!kinds[i].wanted(a))
			continue;
		r = check_next(&kinds[i], a, rq, who);
		if (r == REASON_NONE || rq->late != late)
			continue;
		rq->late = false;
		return r;
	}
	return rq->late ? REASON_NO_CREDENTIALS : REASON_NONE;
}

enum reason access_by_credential(const struct config_access *a, struct access_request *rq,
				 struct identity *who)
{
	*who = (struct identity){ .user = NULL };
	if (certified_is_revoked(rq->c)) {
		rq->why = "the client's certificate has been revoked";
		return REASON_NOT_ALLOWED;
	}
	return a->satisfy == SATISFY_ANY ? satisfy_any(a, rq, who) : satisfy_all(a, rq, who);
}

bool access_path_is_own(const struct config_endpoint *e, const char *name, const char *user)
{
	struct http_text owner;

	if (!e->placeholders || !config_route_value(e, name, "user", &owner))
		return true;
	if (!user)
		return !access_asks(&e->limits.access);
	return owner.len == strlen(user) && memcmp(owner.p, user, owner.len) == 0;
}

/* --- those who are in --- */

/* All that is asked for, or any of it. */
static bool credentials_hold(const struct config_endpoint *e, const struct conn *c,
			     const struct identity *who)
{
	const struct config_access *a = &e->limits.access;
	const bool any = a->satisfy == SATISFY_ANY;
	bool asked = false;

	for (int i = 0; i < KINDS; i++) {
		if (!kinds[i].wanted(a))
			continue;
		asked = true;
		if (kinds[i].holds(e, c, who) == any)
			return any;
	}
	return !asked || !any;
}

/* Who was let in by a token that nobody asks for any more is that user still. */
bool access_holds(const struct config_endpoint *e, const struct conn *c)
{
	const struct config_access *a = &e->limits.access;
	const struct identity *who = c->admission ? c->admission->who : NULL;

	return access_by_network(a, c) == REASON_NONE && !certified_is_revoked(c) &&
	       access_path_is_own(e, conn_name(c), conn_user(c)) && credentials_hold(e, c, who);
}
