/*
 * proxy.h - the PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt).
 *
 * What a proxy says first on a connection: who is at its other end. Whether to
 * believe it is the caller's decision.
 */
#ifndef PROTO_PROXY_H
#define PROTO_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/http.h"

enum {
	PROXY_V1_MAX = 107, /* bytes of a line with its CR LF */
	PROXY_V2_MAX = 16 + 2048, /* the protocol's own limit is 16 + 65535 */
	PROXY_HEADER_MAX = PROXY_V2_MAX,
	PROXY_NAME_MAX = 255, /* bytes of a name from a TLV; longer ones are left out */
};

struct proxy_header {
	bool local; /* LOCAL, UNKNOWN, UNSPEC: the connection's own addresses hold; all else is zero */
	uint8_t family; /* AF_INET, AF_INET6, AF_UNIX (whose paths are not kept) or AF_UNSPEC */
	uint8_t source[16], destination[16]; /* network order; IPv4 uses the first four */
	uint16_t source_port, destination_port; /* host order */
	bool tls; /* the client spoke TLS to the proxy */
	bool client_verified; /* and showed a certificate that the proxy found good */
	/* What is in no TLV, or no printable UTF-8, has p NULL. */
	struct http_text server_name; /* that the client asked for in its TLS hello */
	struct http_text client_name; /* common name of its certificate, verified or not */
};

enum { PROXY_MORE = 0, PROXY_BAD = -1 };

/*
 * Parses len bytes, of which the header is the first. Returns its length if it
 * is whole; PROXY_MORE if more bytes are needed; PROXY_BAD as soon as no
 * bytes to come can make it right (in an address or a TLV: at its end). A line that is
 * not strictly as specified is bad, and so are datagrams, a TLV that overruns, one of
 * those read here that comes twice, and a checksum that is not right. *h is set only if
 * the header is whole; its views live as long as the bytes.
 */
ssize_t proxy_parse(const uint8_t *bytes, size_t len, struct proxy_header *h)
	__attribute__((warn_unused_result));

#endif
