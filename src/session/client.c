/*
 * client.c - who is at the other end of a connection, see client.h.
 *
 * A listener may take the PROXY protocol, or a header of the request, from those it
 * trusts. The client's address is then the connection's peer, for logs and limits;
 * the proxy's is kept beside it. Where a PROXY header came, a header of the request is
 * believed only if it names an IP address that is trusted itself: behind a proxy, too,
 * there may be a unix socket or a protocol that it has no word for, and anybody at its other end.
 */
#include "session/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "config/config.h"
#include "net/tls.h"
#include "proto/forwarded.h"
#include "proto/proxy.h"
#include "session/conn_internal.h"
#include "session/listener.h"
#include "session/opening.h"

enum { IDENTITY_MAX = 512 };

/* Of a certificate: it goes with every line about the connection. */
static void set_name(struct conn *c, const char *name)
{
	if (!conn_need_extra(c))
		return;
	free(c->extra->client);
	c->extra->client = strdup(name);
}

/* The first proxy that is met is the one that is told of. */
static void set_peer(struct conn *c, uint8_t family, const uint8_t *address, uint16_t port)
{
	if (conn_need_extra(c) && c->extra->proxy.family == 0)
		c->extra->proxy = c->peer;
	c->peer = net_peer_of(family, address, port);
}

void client_by_proxy(struct conn *c, const struct proxy_header *h)
{
	char name[PROXY_NAME_MAX + sizeof("CN=")];

	c->opening->nameless = h->local || h->family == AF_UNIX;
	c->peer.unnamed = h->local;
	if (h->local)
		return;
	set_peer(c, h->family, h->source, h->source_port);
	if (!h->client_verified || !*h->client_name)
		return;
	snprintf(name, sizeof(name), "CN=%s", h->client_name);
	set_name(c, name);
}

void client_by_certificate(struct conn *c)
{
	char text[IDENTITY_MAX];

	if (tls_peer_identity(&c->link.transport, text, sizeof(text)) > 0)
		set_name(c, text);
}

static bool is_trusted(const struct forwarded_address *a, void *listener)
{
	return listener_trusts(listener, a->family, a->address);
}

void client_by_request(struct conn *c, const struct http_head *h)
{
	struct listener *l = c->opening->listener;
	struct forwarded_address a;

	if (c->opening->nameless || l->forwarded == FORWARDED_NONE ||
	    !listener_trusts(l, c->peer.family, c->peer.address))
		return;
	if (forwarded_client(h, l->forwarded, is_trusted, l, &a))
		set_peer(c, a.family, a.address, a.port);
}
