/*
 * web_origin.h - the Origin of a request (RFC 6454), and its Host: which ones may come in.
 *
 * What is listed is a literal or a pattern. A literal lets in what is the same, byte for byte,
 * for devices and web views send all kinds of things; only what a browser may send,
 * "https://host:port" without a path, is compared without case, and "null" stands for
 * "file://", too. A pattern has a "*" in place of the names below its host, of its port, or of
 * both, and no port is none. Without a scheme it is "*.host", any port of http and https.
 */
#ifndef PROTO_WEB_ORIGIN_H
#define PROTO_WEB_ORIGIN_H

#include <stdbool.h>

#include "proto/http.h"

/*
 * Whether one of the list (NULL-terminated, each of them one that web_origin_wrong has nothing
 * against) lets an Origin in. A request that has none (p NULL) may come in.
 */
bool web_origin_allowed(struct http_text origin, const char *const *listed);

/*
 * Why something that is to be listed could let nobody in, or whom it should not; what it says
 * goes on after the thing itself. NULL: it can be listed.
 */
const char *web_origin_wrong(const char *listed);

/*
 * The same of the host of a request, with or without a port: what is listed is a host, "*." and one for
 * all below that, or an address, with a port where no other is to count. Case and a dot at the end do
 * not matter. A request without a host (p NULL) may not come in.
 */
bool web_host_allowed(struct http_text host, const char *const *listed);
const char *web_host_wrong(const char *listed);

#endif
