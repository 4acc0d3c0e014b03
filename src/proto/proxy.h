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

enum {
	PROXY_V1_MAX = 107, /* bytes of a line with its CR LF */
	PROXY_V2_MAX = 16 + 65535,
	PROXY_NAME_MAX = 255, /* bytes of a name from a TLV; longer ones are left out */
};

struct proxy_header {
	bool local; /* LOCAL, UNKNOWN, UNSPEC: the connection's own addresses hold; all else is zero */
	uint8_t family; /* AF_INET, AF_INET6, AF_UNIX (whose paths are not kept) or AF_UNSPEC */
	uint8_t source[16]; /* network order; IPv4 uses the first four */
	uint16_t source_port; /* host order */
	bool client_verified; /* over TLS, with a certificate that the proxy found good */
	/* Common name of that, verified or not; "": it is in no TLV, or is no printable UTF-8. */
	char client_name[PROXY_NAME_MAX + 1];
};

/*
 * A header that is on its way, which may come in any pieces. Of its TLVs only what stands in
 * `header` is kept, so this is all the memory that one takes.
 */
struct proxy_reader {
	struct proxy_header header;
	bool done; /* it is whole, and nothing before that is to be believed */
	bool has_ssl, has_name, has_crc; /* what may come only once has come */
	bool in_ssl; /* within the TLV of that kind, which is a list of its own */
	uint8_t step; /* what is awaited, see proxy.c */
	uint8_t type; /* of the addresses, or the TLV whose value is awaited */
	uint32_t crc, told_crc;
	size_t left, ssl_left; /* bytes of either list behind what is awaited */
	size_t want, have; /* of what is awaited, of which field has the beginning */
	uint8_t field[PROXY_NAME_MAX];
};

enum { PROXY_BAD = -1 };

/*
 * Goes on with n more bytes; a reader begins zeroed. Returns how many of them belong to the
 * header: all, unless it is done. PROXY_BAD as soon as no bytes to come can make it right (in
 * an address or the value of a TLV: at its end). A line that is not strictly as specified is
 * bad, and so are datagrams, a TLV that overruns, one of those read here that comes twice, and
 * a checksum that is not right.
 */
ssize_t proxy_read(struct proxy_reader *r, const uint8_t *bytes, size_t n)
	__attribute__((warn_unused_result));

#endif
