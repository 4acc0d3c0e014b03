/*
 * cidr.h - IP addresses as text, and blocks of them.
 *
 * Addresses are bytes in network order, of which IPv4 uses the first four. An
 * IPv4 address that is mapped into IPv6 (::ffff:192.0.2.1, RFC 4291 2.5.5.2) is
 * an IPv4 address to every block: listeners for both families report those.
 */
#ifndef BASE_CIDR_H
#define BASE_CIDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cidr {
	uint8_t address[16];
	uint8_t family; /* AF_INET or AF_INET6 */
	uint8_t bits; /* length of the prefix */
};

/*
 * Reads an address of either family, as inet_pton knows them: no zone, no
 * leading zeros in IPv4. Returns AF_INET or AF_INET6, or 0 (out is then
 * as it was) if all len bytes of text are not one.
 */
uint8_t cidr_parse_address(const char *text, size_t len, uint8_t out[16]);

/*
 * Reads "10.0.0.0/8", "2001:db8::/32" or an address alone, which is a block of
 * one. Returns false if that is not one, or if bits behind the prefix are set:
 * what was meant is then not known.
 */
bool cidr_parse(const char *text, struct cidr *out) __attribute__((warn_unused_result));

/*
 * Makes an IPv4 address of one that is mapped, in place; any other stays as it is. Returns
 * its family.
 */
uint8_t cidr_unmap(uint8_t family, uint8_t address[16]);

/* Whether an address is in the block. Of any other family than IPv4 and IPv6 none is. */
bool cidr_match(const struct cidr *c, uint8_t family, const uint8_t *address);

#endif
