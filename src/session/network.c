/*
 * network.c - see network.h.
 */
#include "session/network.h"

#include <string.h>

#include "base/tally.h"
#include "config/config.h"
#include "net/peer.h"
#include "session/session.h"

enum { BITS = 128, SHORT = 64 };

/* Behind so many bits there are zeroes. */
static void cut(uint8_t address[16], unsigned bits)
{
	unsigned whole = bits / 8;

	if (bits >= BITS)
		return;
	address[whole] &= (uint8_t)(0xff00 >> bits % 8);
	memset(address + whole + 1, 0, 15 - whole);
}

/* No IPv4 address has such a number, see net_peer_network. */
static uint64_t hash(const struct net_peer *p)
{
	const struct tally_key k = tally_key_of(session.tally, p->address, sizeof(p->address));

	return k.of[0] >> 1;
}

uint64_t network_of(const struct net_peer *p)
{
	const bool ipv4 = p->family == AF_INET;
	const int64_t bits =
		ipv4 ? session.config->address_prefix_ipv4 : session.config->address_prefix_ipv6;
	struct net_peer prefix = *p;

	cut(prefix.address, (unsigned)bits);
	return ipv4 || bits <= SHORT ? net_peer_network(&prefix) : hash(&prefix);
}
