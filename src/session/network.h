/*
 * network.h - what limits count as one address: as long a prefix of it as the settings say
 * (address_prefix_ipv4, address_prefix_ipv6).
 */
#ifndef SESSION_NETWORK_H
#define SESSION_NETWORK_H

#include <stdint.h>

struct net_peer;

/*
 * As a number, the same in all workers. p has an IP address. Two prefixes of more than 64 bits have the
 * same by chance alone: nobody chooses two that do.
 */
uint64_t network_of(const struct net_peer *p);

#endif
