/*
 * deflate.h - permessage-deflate (RFC 7692): what is agreed on, and both directions.
 *
 * Without context takeover neither side keeps state between messages: then one
 * compressor serves all connections of a process, and one inflater those that are
 * not in the middle of a message.
 */
#ifndef PROTO_DEFLATE_H
#define PROTO_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "proto/utf8.h"

struct http_head;

enum {
	DEFLATE_BITS_MIN = 9, /* zlib has no raw window of 8 bits */
	DEFLATE_BITS_MAX = 15,
	DEFLATE_HEADER_MAX = 192, /* bytes that the value of the response's header fits in */
};

/*
 * The parameters of a connection: as an endpoint would have them, or as they
 * are agreed on. Bits are of the windows, 9..15 (the client's may be agreed to be
 * 8). "server" is what the server sends.
 */
struct deflate_params {
	bool on;
	bool server_takeover, client_takeover;
	uint8_t server_bits, client_bits;
	bool server_bits_asked; /* and so they must be in the response */
};

/*
 * Chooses from the client's offers the first that can be met, and says in *out
 * what is agreed on: no more than `wanted`. An offer with a wrong value, an unknown
 * parameter or one twice is passed over; text that is no offer ends its header. out->on
 * is false if there is none; then nothing is wrong, and the connection goes on without.
 */
void deflate_negotiate(const struct http_head *h, const struct deflate_params *wanted,
		       struct deflate_params *out);

/* Writes the response's header line with its CR LF, "" if p is not on. Returns the length. */
size_t deflate_write_header(char out[DEFLATE_HEADER_MAX], const struct deflate_params *p);

/* --- what the server sends --- */

struct deflate_part {
	const void *p;
	size_t len;
};

struct deflater;

/* level and memory_level: 1..9, as zlib's. NULL: no memory. */
struct deflater *deflater_new(int level, int memory_level, int bits);
void deflater_free(struct deflater *d);

/* Of the next message on. */
void deflater_set_level(struct deflater *d, int level);

/* Forgets all messages before: the next one refers to none of them. */
void deflater_forget(struct deflater *d);

/*
 * Appends the payload of one compressed message, which the parts together are,
 * to out. It may refer to messages before it, unless deflater_forget was called.
 * False: no memory; then out is as before and the messages before are forgotten.
 */
bool deflater_message(struct deflater *d, const struct deflate_part *parts, int count,
		      struct buffer *out) __attribute__((warn_unused_result));

/*
 * The same a portion at a time: appends what comes out of n bytes more; and ends the message, whose
 * payload begins at out->p + start. False: no memory; then the messages before are forgotten.
 */
bool deflater_some(struct deflater *d, const void *p, size_t n, struct buffer *out)
	__attribute__((warn_unused_result));
bool deflater_end(struct deflater *d, size_t start, struct buffer *out)
	__attribute__((warn_unused_result));

/* --- what the client sends --- */

struct inflater;

enum { INFLATE_BEGIN = 32 * 1024 };

/*
 * Where the decompression of one connection stands; part of a frame decoder. Work is counted in
 * bytes that come out, as it were: one that goes in counts as many as it may cost at worst, and a
 * state that is made anew INFLATE_BEGIN.
 */
struct ws_inflate {
	bool takeover;
	uint32_t slice; /* what may be done in one go; 0: all */
	uint64_t work; /* what was done, since the caller has set it to 0 */
	struct inflater *state; /* NULL: between messages, without takeover */
};

enum inflate_result {
	INFLATE_OK,
	INFLATE_PAUSED, /* a slice is done: to be called again, when work is 0, with what is left */
	INFLATE_BROKEN,
	INFLATE_TOO_BIG,
	INFLATE_NOT_UTF8,
	INFLATE_MEMORY
};

/*
 * Goes on with the bytes from *p up to end of a message's payload, and appends what comes out to
 * out, which may hold at most max bytes; *p is moved past what was taken, which may be all also
 * where it PAUSED. utf8: of the text so far, checked as it comes out; NULL for binary. After
 * anything but these two the connection must end.
 */
enum inflate_result inflate_some(struct ws_inflate *i, const uint8_t **p, const uint8_t *end,
				 struct buffer *out, size_t max, utf8_state *utf8)
	__attribute__((warn_unused_result));

/* Whether there is more to come out of what it has taken. */
bool inflate_has_more(const struct ws_inflate *i);

/*
 * The payload is whole. It ends just behind a block, without the four bytes that are not sent
 * (RFC 7692 7.2.1); with them, or with a final block, it is taken as well.
 */
enum inflate_result inflate_end(struct ws_inflate *i, struct buffer *out, size_t max,
				utf8_state *utf8) __attribute__((warn_unused_result));

/* Frees what i holds. */
void inflate_fini(struct ws_inflate *i);

#endif
