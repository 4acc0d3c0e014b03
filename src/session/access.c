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
#include "session/conn_internal.h"
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

static enum reason check_token(const struct config_access *a, const struct upgrade *up,
			       struct identity *who)
{
	const struct config_token *t;
	struct http_text token;

	if (!up->authorization.p || !authorization_bearer(up->authorization, &token))
		return REASON_NO_CREDENTIALS;
	t = tokens_find(a->tokens, token);
	if (!t)
		return REASON_BAD_TOKEN;
	who->user = t->name;
	memcpy(who->token, t->hash, sizeof(who->token));
	return REASON_NONE;
}

static bool token_holds(const struct config_access *a, const struct identity *who)
{
	const struct config_token *t = tokens_find_hash(a->tokens, who->token);

	turn_spend(TURN_SORT);
	return t && strcmp(t->name, who->user) == 0;
}

static const struct kind {
	bool (*wanted)(const struct config_access *a);
	enum reason (*check)(const struct config_access *a, const struct upgrade *up,
			     struct identity *who);
	bool (*holds)(const struct config_access *a, const struct identity *who);
} kinds[] = {
	{ wants_token, check_token, token_holds },
};

enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

enum reason access_by_credential(const struct config_access *a, const struct upgrade *up,
				 struct identity *who)
{
	enum reason r = REASON_NONE;

	who->user = NULL;
	for (int i = 0; i < KINDS && r == REASON_NONE; i++)
		if (kinds[i].wanted(a))
			r = kinds[i].check(a, up, who);
	return r;
}

bool access_path_is_own(const struct config_endpoint *e, const char *name, const char *user)
{
	struct http_text owner;

	if (!user || !e->placeholders || !config_route_value(e, name, "user", &owner))
		return true;
	return owner.len == strlen(user) && memcmp(owner.p, user, owner.len) == 0;
}

/* --- those who are in --- */

/* Who was let in by a token that nobody asks for any more is that user still. */
bool access_holds(const struct config_endpoint *e, const struct conn *c)
{
	const struct config_access *a = &e->limits.access;
	const struct identity *who = c->admission ? c->admission->who : NULL;

	if (access_by_network(a, c) != REASON_NONE ||
	    !access_path_is_own(e, conn_name(c), conn_user(c)))
		return false;
	for (int i = 0; i < KINDS; i++)
		if (kinds[i].wanted(a) && !(who && kinds[i].holds(a, who)))
			return false;
	return true;
}
