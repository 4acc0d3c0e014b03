/*
 * peer.c - see peer.h.
 */
#include "net/peer.h"

#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
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

bool net_peer_is_known(const struct net_peer *p)
{
	struct credentials c;

	memcpy(&c, p->address, sizeof(c));
	return p->family != AF_UNIX || c.known;
}

static int parse_unix(struct net_peer *p, const char *text)
{
	struct credentials c = { .known = 1 };
	char again[NET_PEER_TEXT_MAX];

	*p = (struct net_peer){ .family = AF_UNIX };
	if (strcmp(text, "unix") == 0)
		return 0;
	if (sscanf(text, "unix:uid=%u,pid=%u", &c.uid, &c.pid) != 2)
		return -1;
	memcpy(p->address, &c, sizeof(c));
	return strcmp(format_unix(p, again), text) == 0 ? 0 : -1;
}

/* Cuts the address off what follows it; *port NULL: it has none. False: it is malformed. */
static bool split_port(char *text, const char **port)
{
	bool bracket = *text == '[';
	char *end = strchr(text, bracket ? ']' : ':');

	*port = NULL;
	if (bracket && !end)
		return false;
	/* more than one colon is an address of IPv6 */
	if (!end || (!bracket && strchr(end + 1, ':')))
		return true;
	if (bracket)
		*end++ = '\0';
	if (*end == '\0')
		return true;
	if (*end != ':')
		return false;
	*end = '\0';
	*port = end + 1;
	return true;
}

/* text NULL: there is none. */
static int parse_port(const char *text, uint16_t *port)
{
	unsigned long value = text ? strtoul(text, NULL, 10) : 0;

	*port = (uint16_t)value;
	if (!text)
		return 0;
	return text[strspn(text, "0123456789")] == '\0' && value > 0 && value <= UINT16_MAX ? 0
											    : -1;
}

int net_peer_parse(struct net_peer *p, const char *text)
{
	char copy[NET_PEER_TEXT_MAX];
	uint8_t address[16] = { 0 };
	const char *port, *host = copy + (*text == '[');
	uint16_t number;
	int family;

	if (strncmp(text, "unix", 4) == 0)
		return parse_unix(p, text);
	if (strlen(text) >= sizeof(copy))
		return -1;
	strcpy(copy, text);
	if (!split_port(copy, &port))
		return -1;
	family = *text == '[' || strchr(host, ':') ? AF_INET6 : AF_INET;
	if (parse_port(port, &number) < 0 || inet_pton(family, host, address) != 1)
		return -1;
	*p = net_peer_of((uint8_t)family, address, number);
	return 0;
}
