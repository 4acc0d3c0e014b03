/*
 * access.c - see access.h.
 *
 * A kind of credential is a row: whether the rules ask for it, what of a request shows it, and whether
 * somebody who was let in by it would be again. Of a token its hash is kept for that: another line of
 * the same name is another token, and the same token under another name is somebody else.
 */
#include "session/access.h"

#include <ctype.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cidr.h"
#include "base/printable.h"
#include "base/star.h"
#include "config/config.h"
#include "config/tokens.h"
#include "net/tls.h"
#include "proto/authorization.h"
#include "proto/upgrade.h"
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

/* --- client certificates --- */

static bool wants_certificate(const struct config_access *a)
{
	return a->client_certificates && a->client_certificates[0];
}

/* Names that certificates may have, and one of a client that is as one of them. */
struct wanted {
	char *const *patterns;
	char *name; /* of CONFIG_CLIENT_NAME_MAX + 1 bytes; NULL: it does not matter which */
};

static bool is_as(const char *pattern, const char *kind, const char *name)
{
	const size_t n = strlen(kind), len = strlen(name);

	turn_spend(TURN_PASS);
	if (strcmp(pattern, "*") == 0)
		return true;
	/* a "=" or a ":" is behind the kind, and only hosts are the same in any case */
	return strncmp(pattern, kind, n) == 0 && !isalpha((unsigned char)pattern[n]) &&
	       star_matches(pattern + n + 1, name, len, strcmp(kind, "DNS") == 0);
}

static bool is_wanted(const char *kind, const char *name, void *arg)
{
	const struct wanted *w = arg;

	if (strlen(name) > CONFIG_CLIENT_NAME_MAX)
		return false;
	for (char *const *p = w->patterns; *p; p++)
		if (is_as(*p, kind, name)) {
			if (w->name)
				strcpy(w->name, name);
			return true;
		}
	return false;
}

/* By TLS, or by what a proxy says that has ended it. */
static bool has_name(const struct conn *c, struct wanted *w)
{
	const char *by_proxy = c->link.transport.tls || !c->extra ? NULL : c->extra->client;

	if (by_proxy)
		return printable_whole(by_proxy, strlen(by_proxy)) &&
		       is_wanted("CN", by_proxy + strlen("CN="), w);
	return tls_peer_has_name(&c->link.transport, is_wanted, w);
}

/* Who has shown another credential is who that says. */
static enum reason check_certificate(const struct config_access *a, struct access_request *rq,
				     struct identity *who)
{
	static char name[CONFIG_CLIENT_NAME_MAX + 1];
	struct wanted w = { a->client_certificates, name };

	if (!has_name(rq->c, &w)) {
		rq->why = rq->c->extra && rq->c->extra->client
				  ? "the client's certificate has none of the names that may"
				  : "the endpoint asks for a client certificate";
		return REASON_NOT_ALLOWED;
	}
	if (!who->user && strlen(name) <= CONFIG_USER_MAX)
		who->user = name;
	return REASON_NONE;
}

static bool certificate_holds(const struct config_endpoint *e, const struct conn *c,
			      const struct identity *who)
{
	struct wanted w = { e->limits.access.client_certificates, NULL };

	(void)who;
	return has_name(c, &w);
}

/* Whoever has shown a certificate that is revoked now, be it that nobody asked for one. */
static bool is_revoked(const struct config *config, const struct conn *c)
{
	for (size_t i = 0; i < config->listener_count; i++)
		if (tls_peer_is_revoked(&c->link.transport, config->listeners[i].tls.revoked))
			return true;
	return false;
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
	{ wants_certificate, check_certificate, certificate_holds },
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

/* What may come later is no reason not to look at the rest now. */
static enum reason satisfy_all(const struct config_access *a, struct access_request *rq,
			       struct identity *who)
{
	for (int i = 0; i < KINDS; i++) {
		const bool late = rq->late;
		enum reason r;

		if (!kinds[i].wanted(a))
			continue;
		r = kinds[i].check(a, rq, who);
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
	return a->satisfy == SATISFY_ANY ? satisfy_any(a, rq, who) : satisfy_all(a, rq, who);
}

bool access_path_is_own(const struct config_endpoint *e, const char *name, const char *user)
{
	struct http_text owner;

	if (!user || !e->placeholders || !config_route_value(e, name, "user", &owner))
		return true;
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

	return access_by_network(a, c) == REASON_NONE && !is_revoked(e->config, c) &&
	       access_path_is_own(e, conn_name(c), conn_user(c)) && credentials_hold(e, c, who);
}
