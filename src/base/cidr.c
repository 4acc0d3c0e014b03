/*
 * cidr.c - see cidr.h.
 */
#include "base/cidr.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

enum { MAPPED_BITS = 96, MAPPED_BYTES = MAPPED_BITS / 8 };

static const uint8_t mapped[MAPPED_BYTES] = { [10] = 0xff, [11] = 0xff };

static bool is_mapped(uint8_t family, const uint8_t *address)
{
	return family == AF_INET6 && memcmp(address, mapped, MAPPED_BYTES) == 0;
}

uint8_t cidr_unmap(uint8_t family, uint8_t address[16])
{
	if (!is_mapped(family, address))
		return family;
	memmove(address, address + MAPPED_BYTES, 4);
	memset(address + 4, 0, MAPPED_BYTES);
	return AF_INET;
}

uint8_t cidr_parse_address(const char *text, size_t len, uint8_t out[16])
{
	char copy[INET6_ADDRSTRLEN];
	uint8_t family;

	if (len == 0 || len >= sizeof(copy) || memchr(text, '\0', len))
		return 0;
	memcpy(copy, text, len);
	copy[len] = '\0';
	family = memchr(copy, ':', len) ? AF_INET6 : AF_INET;
	return inet_pton(family, copy, out) == 1 ? family : 0;
}

/* Decimal digits, no more than are needed. Returns -1 if the text is no such number. */
static int parse_bits(const char *p, int max)
{
	int n = 0;

	if (*p == '\0' || (p[0] == '0' && p[1] != '\0'))
		return -1;
	for (; *p; p++) {
		if (*p < '0' || *p > '9')
			return -1;
		n = n * 10 + (*p - '0');
		if (n > max)
			return -1;
	}
	return n;
}

/* Whether the first `bits` bits of both are the same. */
static bool same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned rest = bits % 8;

	if (memcmp(a, b, bits / 8) != 0)
		return false;
	return rest == 0 || ((a[bits / 8] ^ b[bits / 8]) >> (8 - rest)) == 0;
}

static bool has_host_bits(const struct cidr *c)
{
	unsigned size = c->family == AF_INET ? 4 : 16, at = c->bits / 8;

	if (at < size && (uint8_t)(c->address[at] << c->bits % 8) != 0)
		return true;
	for (at++; at < size; at++)
		if (c->address[at] != 0)
			return true;
	return false;
}

bool cidr_parse(const char *text, struct cidr *out)
{
	const char *slash = strchr(text, '/');
	int max, bits;

	memset(out, 0, sizeof(*out));
	out->family = cidr_parse_address(text, slash ? (size_t)(slash - text) : strlen(text),
					 out->address);
	if (out->family == 0)
		return false;
	max = out->family == AF_INET ? 32 : 128;
	bits = slash ? parse_bits(slash + 1, max) : max;
	if (bits < 0)
		return false;
	out->bits = (uint8_t)bits;
	if (has_host_bits(out))
		return false;
	out->family = cidr_unmap(out->family, out->address);
	/* no host bits: a mapped address has a prefix of 96 bits or more */
	if (max == 128 && out->family == AF_INET)
		out->bits = (uint8_t)(out->bits - MAPPED_BITS);
	return true;
}

bool cidr_match(const struct cidr *c, uint8_t family, const uint8_t *address)
{
	if (is_mapped(family, address)) {
		family = AF_INET;
		address += MAPPED_BYTES;
	}
	return family == c->family && same_prefix(c->address, address, c->bits);
}
