/*
 * listener.c - see listener.h.
 */
#include "session/listener.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cidr.h"
#include "config/config.h"
#include "net/tls.h"

static struct cidr *copy_blocks(const struct cidr *from)
{
	struct cidr *to;
	size_t n = 0;

	while (from[n].family != 0)
		n++;
	to = calloc(n + 1, sizeof(*to));
	if (to)
		memcpy(to, from, n * sizeof(*to));
	return to;
}

struct listener *listener_new(const struct config_listener *c, const struct tickets *tickets,
			      const char **why)
{
	struct listener *l = calloc(1, sizeof(*l));

	*why = "no memory";
	if (!l)
		return NULL;
	l->refs = 1;
	l->proxy_protocol = c->proxy_protocol;
	l->forwarded = c->forwarded;
	l->trusted = copy_blocks(c->blocks);
	if (l->trusted && !c->tls.on)
		return l;
	if (l->trusted)
		l->tls = tls_server_new(&c->tls, tickets, why);
	if (l->tls)
		return l;
	listener_unref(l);
	return NULL;
}

struct listener *listener_ref(struct listener *l)
{
	l->refs++;
	return l;
}

void listener_unref(struct listener *l)
{
	if (!l || --l->refs > 0)
		return;
	if (l->tls)
		tls_server_unref(l->tls);
	free(l->trusted);
	free(l);
}

bool listener_trusts(const struct listener *l, uint8_t family, const uint8_t *address)
{
	if (family == AF_UNIX)
		return true;
	for (const struct cidr *c = l->trusted; c->family != 0; c++)
		if (cidr_match(c, family, address))
			return true;
	return false;
}
