/*
 * certified.c - see certified.h.
 */
#include "session/certified.h"

#include <ctype.h>
#include <string.h>

#include "base/printable.h"
#include "base/star.h"
#include "config/config.h"
#include "net/tls.h"
#include "session/access.h"
#include "session/conn_internal.h"
#include "session/session.h"
#include "session/turn.h"

bool certified_is_wanted(const struct config_access *a)
{
	return a->client_certificates && a->client_certificates[0];
}

/* --- names --- */

/* Those that certificates may have, and one of a client that is as one of them. */
struct wanted {
	char *const *patterns;
	char name[CONFIG_CLIENT_NAME_MAX + 1];
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
	struct wanted *w = arg;

	turn_spend(TURN_SORT);
	if (strlen(name) > CONFIG_CLIENT_NAME_MAX)
		return false;
	for (char *const *p = w->patterns; *p; p++)
		if (is_as(*p, kind, name)) {
			strcpy(w->name, name);
			return true;
		}
	return false;
}

/* By TLS, or by what a proxy says that has ended it. */
static bool find_name(const struct conn *c, const struct config_access *a, struct wanted *w)
{
	const char *by_proxy = c->link.transport.tls || !c->extra ? NULL : c->extra->client;

	w->patterns = a->client_certificates;
	if (by_proxy)
		return printable_whole(by_proxy, strlen(by_proxy)) &&
		       is_wanted("CN", by_proxy + strlen("CN="), w);
	return tls_peer_has_name(&c->link.transport, is_wanted, w);
}

/* What is longer names nobody. */
static bool is_user(const char *name)
{
	return strlen(name) <= CONFIG_USER_MAX;
}

/* Who has shown another credential is who that says. */
enum reason certified_check(const struct config_access *a, struct access_request *rq,
			    struct identity *who)
{
	static struct wanted w;

	if (!find_name(rq->c, a, &w)) {
		rq->why = rq->c->extra && rq->c->extra->client
				  ? "the client's certificate has none of the names that may"
				  : "the endpoint asks for a client certificate";
		return REASON_NOT_ALLOWED;
	}
	who->certified = !who->user && is_user(w.name);
	if (who->certified)
		who->user = w.name;
	return REASON_NONE;
}

/* --- trust --- */

static bool has_anchor(const struct config_tls *t, const uint8_t anchor[ANCHOR])
{
	for (size_t i = 0; i < t->anchor_count; i++) {
		turn_spend(TURN_PASS);
		if (memcmp(t->anchors[i], anchor, ANCHOR) == 0)
			return true;
	}
	return false;
}

/* By an authority of any listener of now; what a proxy says it answers for. */
static bool is_trusted(const struct conn *c)
{
	uint8_t anchor[ANCHOR];

	if (!c->link.transport.tls)
		return true;
	turn_spend(TURN_OPENING);
	if (!tls_peer_anchor(&c->link.transport, anchor))
		return false;
	for (size_t i = 0; i < session.config->listener_count; i++)
		if (has_anchor(&session.config->listeners[i].tls, anchor))
			return true;
	return false;
}

bool certified_is_revoked(const struct conn *c)
{
	for (size_t i = 0; c->link.transport.tls && i < session.config->listener_count; i++) {
		const struct config_tls *t = &session.config->listeners[i].tls;

		if (t->revoked_count == 0)
			continue;
		turn_spend(TURN_OPENING);
		turn_spend_on_each(t->revoked_count, TURN_SORT);
		if (tls_peer_is_revoked(&c->link.transport, t->revoked))
			return true;
	}
	return false;
}

/* --- those who are in --- */

bool certified_holds(const struct config_endpoint *e, const struct conn *c,
		     const struct identity *who)
{
	static struct wanted w;

	return is_trusted(c) && find_name(c, &e->limits.access, &w) &&
	       (!who || !who->certified || strcmp(w.name, who->user) == 0);
}
