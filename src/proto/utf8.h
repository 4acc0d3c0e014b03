/*
 * utf8.h - UTF-8 validation (RFC 3629), incremental.
 *
 * Surrogates, overlong forms and what is beyond U+10FFFF are invalid, and are
 * found at the first byte that cannot belong to a valid sequence.
 */
#ifndef PROTO_UTF8_H
#define PROTO_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where in a sequence the text so far ended. Zero: at a boundary. */
typedef uint32_t utf8_state; /* opaque but for the two names below */

enum { UTF8_BOUNDARY = 0, UTF8_INVALID = 1 };

/*
 * Goes on with n bytes. Returns the new state: UTF8_BOUNDARY if they end with
 * a whole character, UTF8_INVALID at an impossible byte, else in between.
 */
utf8_state utf8_feed(utf8_state s, const uint8_t *p, size_t n);

/* Whether n bytes are whole valid UTF-8. */
static inline bool utf8_valid(const void *p, size_t n)
{
	return utf8_feed(UTF8_BOUNDARY, p, n) == UTF8_BOUNDARY;
}

#endif
