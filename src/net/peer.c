/*
 * peer.c - see peer.h.
 */
#include "net/peer.h"

#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/cidr.h"

struct credentials {
	uint32_t known, uid, pid;
};

/* Those of when the peer connected; it may have given the socket to others since. */
static void set_credentials(struct net_peer *p, int fd)
{
	struct credentials c = { .known = 1 };
	struct ucred u;
	socklen_t len = sizeof(u);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &len) < 0)
		return;
	c.uid = u.uid;
	c.pid = (uint32_t)u.pid;
	memcpy(p->address, &c, sizeof(c));
}

static const char *format_unix(const struct net_peer *p, char out[NET_PEER_TEXT_MAX])
{
	struct credentials c;

	memcpy(&c, p->address, sizeof(c));
	if (c.known)
		snprintf(out, NET_PEER_TEXT_MAX, "unix:uid=%u,pid=%u", c.uid, c.pid);
	else
		snprintf(out, NET_PEER_TEXT_MAX, "unix");
	return out;
}

struct net_peer net_peer_of(uint8_t family, const uint8_t *address, uint16_t port)
{
	struct net_peer p = { .port = port };

	memcpy(p.address, address, family == AF_INET ? 4 : sizeof(p.address));
	p.family = cidr_unmap(family, p.address);
	return p;
}

void net_peer_set(struct net_peer *p, const struct sockaddr_storage *sa, int fd)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;

	if (sa->ss_family == AF_INET) {
		*p = net_peer_of(AF_INET, (const uint8_t *)&in->sin_addr, ntohs(in->sin_port));
	} else if (sa->ss_family == AF_INET6) {
		*p = net_peer_of(AF_INET6, in6->sin6_addr.s6_addr, ntohs(in6->sin6_port));
	} else {
		*p = (struct net_peer){ .family = (uint8_t)sa->ss_family };
		set_credentials(p, fd);
	}
}

/* ffff:ffff::/32 is multicast's: nobody has such an address. */
uint64_t net_peer_network(const struct net_peer *p)
{
	const uint64_t ipv4 = (uint64_t)UINT32_MAX << 32;
	uint64_t first;

	memcpy(&first, p->address, sizeof(first));
	first = be64toh(first);
	return p->family == AF_INET ? ipv4 | first >> 32 : first;
}

const char *net_peer_format(const struct net_peer *p, char out[NET_PEER_TEXT_MAX])
{
	char text[INET6_ADDRSTRLEN];

	if (p->family != AF_INET && p->family != AF_INET6)
		return format_unix(p, out);
	if (!inet_ntop(p->family, p->address, text, sizeof(text)))
		snprintf(out, NET_PEER_TEXT_MAX, "?");
	else if (p->port == 0)
		snprintf(out, NET_PEER_TEXT_MAX, "%s", text);
	else
		snprintf(out, NET_PEER_TEXT_MAX, p->family == AF_INET ? "%s:%u" : "[%s]:%u", text,
			 p->port);
	return out;
}
