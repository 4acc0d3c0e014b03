/*
 * json.h - JSON texts (RFC 8259) that clients send: checked, and one member found.
 *
 * Nothing is made of a text but the answer: no tree, no allocation, and no recursion. A text may be
 * gone through in slices, in between which other things are done.
 * What the grammar allows is accepted: numbers of any size, and escapes of half a
 * surrogate pair, which have no character.
 */
#ifndef PROTO_JSON_H
#define PROTO_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	JSON_DEPTH_MAX = 2048, /* arrays and objects in each other */
	JSON_SHOWN_MAX = 64 * 1024, /* bytes of a value that json_show looks at */
};

/* A value as it is written; lent from the text. */
struct json_value {
	const uint8_t *p; /* NULL: there is none */
	size_t len;
};

struct json_error {
	const char *
		text; /* what is wrong, without a character that JSON would escape; NULL: nothing */
	unsigned line, column; /* where, from 1 on, in characters; the end is behind the last one */
};

enum json_result {
	JSON_GOOD, /* it is JSON: `value` is the member's */
	JSON_BAD, /* it is not: `error` says why */
	JSON_MORE, /* the slice was not all */
};

struct json_scan {
	struct json_value value;
	struct json_error error;
	/* The rest is json.c's. */
	const uint8_t *p, *end;
	const uint8_t *stop; /* of the slice */
	const uint8_t *counted; /* to where lines and columns are, when it has failed at p */
	const uint8_t *begin; /* of the name, or of the value that is looked for, at depth 1 */
	const char *name;
	size_t name_len;
	unsigned depth;
	uint8_t awaited; /* enum awaited */
	bool found; /* the value that comes next, or is open at depth 1, is the member's */
	uint8_t objects[JSON_DEPTH_MAX / 8]; /* a bit for each that is open */
};

/*
 * Begins with n bytes, which are valid UTF-8: whether they are one JSON text. If it is an object
 * the value is what its member `name` (UTF-8) has, the last one if there are several. It is none
 * also if it is nested more deeply than JSON_DEPTH_MAX. Bytes and name are lent up to the result.
 */
void json_begin(struct json_scan *s, const uint8_t *p, size_t n, const char *name);

/*
 * Goes on by a slice of `most` bytes (> 0), and some few; a text that is no longer needs one. Not
 * to be called again behind another result than JSON_MORE.
 */
enum json_result json_go_on(struct json_scan *s, size_t most) __attribute__((warn_unused_result));

/*
 * Both in one go, where nobody waits for it. Returns whether it is JSON: *value is the member's, or
 * *error says why not.
 */
bool json_find(const uint8_t *p, size_t n, const char *name, struct json_value *value,
	       struct json_error *error) __attribute__((warn_unused_result));

/*
 * Writes the beginning of a value that was found for people to read, as much as fits in
 * size bytes (at least 1) with a NUL behind it: a string as what it says; all else, none, and
 * a string with a NUL or half a surrogate pair, as JSON without spaces. Numbers are left as
 * they were written. What lies behind JSON_SHOWN_MAX bytes of the value is left out. Returns the
 * length.
 */
size_t json_show(const struct json_value *value, char *out, size_t size);

#endif
