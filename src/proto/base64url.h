/*
 * base64url.h - base64url without padding (RFC 4648 5, RFC 7515 2), read strictly.
 */
#ifndef PROTO_BASE64URL_H
#define PROTO_BASE64URL_H

#include <stdint.h>
#include <sys/types.h>

#include "proto/http.h"

/* Bytes that so many characters are at most, and characters that so many bytes are. */
#define BASE64URL_BYTES(chars) ((chars) / 4 * 3 + 2)
#define BASE64URL_CHARS(bytes) ((4 * (bytes) + 2) / 3)

/*
 * Writes what t says to out, of size bytes. Returns how many it is; -1: it has another character than
 * A..Z, a..z, 0..9, "-" and "_", bits behind the last byte, which would be a second way to write the
 * same, or does not fit.
 */
ssize_t base64url_decode(struct http_text t, uint8_t *out, size_t size)
	__attribute__((warn_unused_result));

/* Writes len bytes as characters, BASE64URL_CHARS(len) of them and a NUL. */
void base64url_encode(const uint8_t *p, size_t len, char *out);

#endif
