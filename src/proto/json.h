/*
 * json.h - JSON texts (RFC 8259) that clients send: checked, and one member found.
 *
 * Nothing is made of a text but the answer: no tree, no allocation, and no recursion.
 * What the grammar allows is accepted: numbers of any size, and escapes of half a
 * surrogate pair, which have no character.
 */
#ifndef PROTO_JSON_H
#define PROTO_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_DEPTH_MAX = 2048 }; /* arrays and objects in each other */

/* A value as it is written; lent from the text. */
struct json_value {
	const uint8_t *p; /* NULL: there is none */
	size_t len;
};

struct json_error {
	const char *text; /* what is wrong, without a character that JSON would escape */
	unsigned line, column; /* where, from 1 on, in characters; the end is behind the last one */
};

/*
 * Checks that n bytes, which are valid UTF-8, are one JSON text. If it is an object
 * *value is what its member `name` (UTF-8) has, the last one if there are several. Returns
 * false with *error if it is no JSON, or is nested more deeply than JSON_DEPTH_MAX.
 */
bool json_find(const uint8_t *p, size_t n, const char *name, struct json_value *value,
	       struct json_error *error) __attribute__((warn_unused_result));

/*
 * Writes the beginning of a value that json_find found for people to read, as much as fits in
 * size bytes (at least 1) with a NUL behind it: a string as what it says; all else, none, and
 * a string with a NUL or half a surrogate pair, as JSON without spaces. Numbers are left as
 * they were written. Returns the length.
 */
size_t json_show(const struct json_value *value, char *out, size_t size);

#endif
