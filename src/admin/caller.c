/*
 * caller.c - see caller.h.
 *
 * On a unix socket the kernel says who that is; over TCP the token does.
 */
#include "admin/caller.h"

#include <stdio.h>
#include <sys/socket.h>

#include "admin/admin_internal.h"
#include "admin/bearer.h"
#include "admin/rights.h"

/* In the order of enum config_scope. */
static const unsigned rights_of_scope[] = { MAY_READ, MAY_PUBLISH, MAY_ALL };

static void know_by_token(struct caller *c, const char *authorization)
{
	const struct config_token *t = bearer_find(&admin.config->admin, authorization);

	c->stranger = !t;
	c->has_guessed = !t && authorization;
	if (!t)
		return;
	c->rights = rights_of_scope[t->scope];
	snprintf(c->who, sizeof(c->who), "token %.*s", CONFIG_TOKEN_NAME_MAX, t->name);
}

void caller_know(struct caller *c, int fd, const char *authorization)
{
	struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(sa);

	*c = (struct caller){ .stranger = true };
	if (getpeername(fd, (struct sockaddr *)&sa, &len) < 0)
		return;
	net_peer_set(&c->address, &sa, fd);
	net_peer_format(&c->address, c->peer);
	if (sa.ss_family != AF_UNIX) {
		know_by_token(c, authorization);
		return;
	}
	c->stranger = false;
	c->rights = rights_of_peer(fd);
	rights_asker(fd, c->who);
}
