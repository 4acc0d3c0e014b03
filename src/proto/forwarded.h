/*
 * forwarded.h - who is the client, as the proxies in front tell it in a header.
 *
 * Each proxy adds the address that it was called from at the right of a list, so
 * what is left of the first proxy that is not known to be honest may be made up.
 */
#ifndef PROTO_FORWARDED_H
#define PROTO_FORWARDED_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/http.h"

/* Which header tells; a proxy that sets one of them lets clients write the others. */
enum forwarded_kind {
	FORWARDED_NONE,
	FORWARDED_X_FORWARDED_FOR,
	FORWARDED_RFC7239, /* Forwarded */
	FORWARDED_X_REAL_IP, /* a single address, that of the client */
};

struct forwarded_address {
	uint8_t address[16]; /* network order; IPv4 uses the first four */
	uint16_t port; /* host order; 0: not told */
	uint8_t family; /* AF_INET or AF_INET6 */
};

typedef bool forwarded_trusted(const struct forwarded_address *a, void *arg);

/*
 * Finds the client in the headers of one kind, which are one list in their order.
 * Goes from the right as long as a hop is an address that is trusted, and sets *out to
 * the first that is not, or to the last that could be read. Returns false if
 * there is none: then the client is the peer itself. trusted must give one answer for
 * one address; it may be asked about any hop. Whether to believe the peer is the caller's
 * decision, before.
 */
bool forwarded_client(const struct http_head *h, enum forwarded_kind kind,
		      forwarded_trusted *trusted, void *arg, struct forwarded_address *out)
	__attribute__((warn_unused_result));

#endif
