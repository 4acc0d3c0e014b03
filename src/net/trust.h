/*
 * trust.h - what a client's certificate was believed by, as its TLS session keeps it.
 *
 * Of a session that is resumed OpenSSL has the client's certificate, and not those that lead from it to
 * an authority. Who is connected by one is to go all the same when one of these is revoked, or the
 * authority is none any more.
 */
#ifndef NET_TRUST_H
#define NET_TRUST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/anchor.h"

struct ssl_st;
struct stack_st_X509_CRL;

enum {
	TRUST_LINKS_MAX = 4,
	TRUST_ISSUER = 32,
	TRUST_SERIAL_MAX = 31, /* bytes; RFC 5280 4.1.2.2 has 20 */
};

/* A certificate, as revocation lists have it. */
struct trust_link {
	uint8_t issuer[TRUST_ISSUER]; /* digest of its name */
	uint8_t serial_len;
	uint8_t serial[TRUST_SERIAL_MAX];
};

struct trust {
	int64_t end; /* seconds since the epoch: until then all of it is valid, and no longer */
	uint8_t anchor[ANCHOR];
	uint32_t count;
	struct trust_link
		links[TRUST_LINKS_MAX]; /* what lies between the client's certificate and that */
};

/*
 * Of a handshake that is over, in which the client has shown a certificate. end: as of its chain alone;
 * 0 also where there are more links than can be kept. False: no memory.
 */
bool trust_of(const struct ssl_st *ssl, struct trust *out);

/* Whether one of the lists has one of the links. */
bool trust_is_revoked(const struct trust *t, const struct stack_st_X509_CRL *lists);

#endif
