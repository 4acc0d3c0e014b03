/*
 * peer.h - the address of the other side, small enough to keep per connection.
 */
#ifndef NET_PEER_H
#define NET_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { NET_PEER_TEXT_MAX = 64 };

struct net_peer {
	uint8_t address[16]; /* network order; IPv4 uses the first four; of unix: uid and pid */
	uint16_t port; /* host order; 0: not known */
	uint8_t family; /* AF_INET, AF_INET6 or AF_UNIX */
	bool unnamed; /* it is a proxy, which did not say for whom it speaks */
};

/*
 * A peer by its address (16 bytes; IPv4 uses the first four). An IPv4 address that is mapped
 * into IPv6, as a socket for both families has it, is that of an IPv4 peer.
 */
struct net_peer net_peer_of(uint8_t family, const uint8_t *address, uint16_t port);

/* fd: of the connection, which is asked who is at the other end of a unix socket. */
void net_peer_set(struct net_peer *p, const struct sockaddr_storage *sa, int fd);

/*
 * One that is not to be told from its neighbours, as a number: an IPv4 address, or the /64 of an IPv6
 * one, of which one host has as many as it likes. p has an IP address.
 */
uint64_t net_peer_network(const struct net_peer *p);

/*
 * Writes "192.0.2.1:4711", "[2001:db8::1]:4711", either without the port if that is not
 * known, "unix:uid=1000,pid=42" or "unix"; returns out.
 */
const char *net_peer_format(const struct net_peer *p, char out[NET_PEER_TEXT_MAX]);

/*
 * Reads what net_peer_format writes, with a port or without, an IPv6 address in brackets or not. -1:
 * it is nothing of that.
 */
int net_peer_parse(struct net_peer *p, const char *text) __attribute__((warn_unused_result));

/* Whether it is known who is at the other end: of a unix socket that may not be so. */
bool net_peer_is_known(const struct net_peer *p);

#endif
