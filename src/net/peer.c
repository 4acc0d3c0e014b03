/*
 * peer.c - see peer.h.
 */
#include "net/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

void net_peer_set(struct net_peer *p, const struct sockaddr_storage *sa)
{
	memset(p, 0, sizeof(*p));
	p->family = (uint8_t)sa->ss_family;
	if (sa->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)sa;

		memcpy(p->address, &in->sin_addr, 4);
		p->port = ntohs(in->sin_port);
	} else if (sa->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;

		memcpy(p->address, &in6->sin6_addr, 16);
		p->port = ntohs(in6->sin6_port);
	}
}

const char *net_peer_format(const struct net_peer *p, char out[NET_PEER_TEXT_MAX])
{
	char text[INET6_ADDRSTRLEN];

	if (p->family != AF_INET && p->family != AF_INET6)
		snprintf(out, NET_PEER_TEXT_MAX, "unix");
	else if (!inet_ntop(p->family, p->address, text, sizeof(text)))
		snprintf(out, NET_PEER_TEXT_MAX, "?");
	else
		snprintf(out, NET_PEER_TEXT_MAX, p->family == AF_INET ? "%s:%u" : "[%s]:%u", text,
			 p->port);
	return out;
}
