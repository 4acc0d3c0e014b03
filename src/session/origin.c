/*
 * origin.c - who the client is, where a proxy is in between.
 *
 * A listener may take the PROXY protocol, or a header of the request, from those it
 * trusts. The client's address is then the connection's peer, for logs and limits;
 * the proxy's is kept beside it. Where a PROXY header came, a header of the request is
 * believed only if it names an IP address that is trusted itself: behind a proxy, too,
 * there may be a unix socket or a protocol that it has no word for, and anybody at its other end.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "config/config.h"
#include "proto/forwarded.h"
#include "proto/proxy.h"
#include "session/conn_internal.h"
#include "session/listener.h"

void origin_done(struct conn *c)
{
	if (c->judged)
		return;
	listener_unref(c->listener);
	c->deflate = NULL;
	c->judged = true;
}

void origin_set_client(struct conn *c, const char *name)
{
	if (!conn_need_extra(c))
		return;
	free(c->extra->client);
	c->extra->client = strdup(name);
}

static void refuse(struct conn *c, enum reason reason, const char *why)
{
	entry_refused(c, reason, 0, NULL, why);
	conn_kill(c, reason);
}

void origin_timeout(struct conn *c)
{
	refuse(c, REASON_HANDSHAKE_TIMEOUT, "the PROXY header did not come in time");
}

/* The first proxy that is met is the one that is told of. */
static void set_peer(struct conn *c, uint8_t family, const uint8_t *address, uint16_t port)
{
	if (conn_need_extra(c) && c->extra->proxy.family == 0)
		c->extra->proxy = c->peer;
	c->peer = net_peer_of(family, address, port);
}

static void take_header(struct conn *c, const struct proxy_header *h)
{
	char name[PROXY_NAME_MAX + sizeof("CN=")];

	c->nameless = h->local || h->family == AF_UNIX;
	if (h->local)
		return;
	set_peer(c, h->family, h->source, h->source_port);
	if (!h->client_verified || !*h->client_name)
		return;
	snprintf(name, sizeof(name), "CN=%s", h->client_name);
	origin_set_client(c, name);
}

/* The header is over; what follows it is still in the socket. */
static bool finish(struct conn *c)
{
	free(c->proxy);
	c->proxy = NULL;
	if (!c->listener->tls) {
		conn_set_state(c, CONN_UPGRADE);
		return true;
	}
	if (!secure_begin(c))
		return false;
	conn_set_state(c, CONN_TLS);
	return true;
}

/* Takes n bytes out of the socket that were looked at before. */
static bool consume(struct conn *c, void *bytes, size_t n)
{
	if (recv(c->transport.fd, bytes, n, 0) == (ssize_t)n)
		return true;
	conn_kill(c, REASON_RESET);
	return false;
}

/* Keeps what is known of a header that goes on. */
static void keep(struct conn *c, const struct proxy_reader *r)
{
	if (!c->proxy)
		c->proxy = malloc(sizeof(*c->proxy));
	if (!c->proxy)
		conn_kill(c, REASON_NO_MEMORY);
	else
		*c->proxy = *r;
}

/*
 * Not a byte behind the header may be taken out of the socket, for TLS reads that itself.
 * So bytes are looked at first, and taken when it is known that they belong to it. Who goes
 * away without a word is no proxy, but a check whether we are there.
 */
bool origin_go_on(struct conn *c)
{
	uint8_t bytes[4096];
	struct proxy_reader r = { .step = 0 };
	ssize_t n = recv(c->transport.fd, bytes, sizeof(bytes), MSG_PEEK), used;

	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			conn_kill(c, n == 0 ? REASON_PEER_GONE : REASON_RESET);
		return false;
	}
	if (!listener_trusts(c->listener, c->peer.family, c->peer.address)) {
		refuse(c, REASON_UNTRUSTED_PROXY, NULL);
		return false;
	}
	if (c->proxy)
		r = *c->proxy;
	used = proxy_read(&r, bytes, (size_t)n);
	if (used == PROXY_BAD) {
		refuse(c, REASON_BAD_PROXY_HEADER, NULL);
		return false;
	}
	if (!consume(c, bytes, (size_t)used))
		return false;
	if (!r.done) {
		keep(c, &r);
		return false;
	}
	take_header(c, &r.header);
	return finish(c);
}

static bool is_trusted(const struct forwarded_address *a, void *listener)
{
	return listener_trusts(listener, a->family, a->address);
}

void origin_from_request(struct conn *c, const struct http_head *h)
{
	struct forwarded_address a;

	if (c->judged || c->nameless || c->listener->forwarded == FORWARDED_NONE ||
	    !listener_trusts(c->listener, c->peer.family, c->peer.address))
		return;
	if (forwarded_client(h, c->listener->forwarded, is_trusted, c->listener, &a))
		set_peer(c, a.family, a.address, a.port);
}
