/*
 * frame.h - WebSocket frames (RFC 6455 5): bytes in, events out.
 *
 * No I/O, no clock, no log. The decoder takes bytes as they came and gives one
 * event a call; it unmasks in place and lends the payload. Only what a read
 * left incomplete is copied into memory of the decoder's own, so an idle
 * connection owns no buffer.
 */
#ifndef PROTO_FRAME_H
#define PROTO_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/reason.h"

enum ws_opcode {
	WS_CONTINUATION = 0,
	WS_TEXT = 1,
	WS_BINARY = 2,
	WS_CLOSE = 8,
	WS_PING = 9,
	WS_PONG = 10,
};

enum ws_close_code {
	WS_CLOSE_GOING_AWAY = 1001,
	WS_CLOSE_PROTOCOL_ERROR = 1002,
	WS_CLOSE_UNSUPPORTED = 1003,
	WS_CLOSE_NO_STATUS = 1005, /* never on the wire */
	WS_CLOSE_ABNORMAL = 1006, /* never on the wire */
	WS_CLOSE_INVALID_DATA = 1007,
	WS_CLOSE_POLICY = 1008,
	WS_CLOSE_TOO_BIG = 1009,
	WS_CLOSE_INTERNAL = 1011,
	WS_CLOSE_SERVICE_RESTART = 1012,
	WS_CLOSE_TRY_AGAIN = 1013,
};

enum {
	WS_HEADER_MAX = 10, /* of a frame that a server sends */
	WS_RSV1 = 0x40, /* or'ed to an opcode: the message is compressed */
	WS_CONTROL_MAX = 125, /* payload of a control frame */
	WS_CLOSE_REASON_MAX = 123, /* bytes of text in a close frame */
};

/*
 * One whole message (TEXT, BINARY) or control frame (CLOSE, PING, PONG). The
 * data are lent until the next call for any decoder. Of a CLOSE, code is
 * what the peer gave (WS_CLOSE_NO_STATUS: none), data and len its reason. In the
 * room before the data was the frame's header; it is the reader's to use, and
 * stays as long as the input does.
 */
struct ws_message {
	enum ws_opcode opcode;
	uint16_t code;
	uint8_t room; /* bytes: 0, or enough for a server's header of this length */
	uint8_t *data;
	size_t len;
};

struct buffer;
struct ws_inflate;
struct ws_partial;

struct ws_decoder {
	struct ws_partial *partial; /* what reads left incomplete; NULL: nothing */
	struct ws_inflate *inflate; /* the caller's; NULL: no compression was agreed on */
	uint32_t max_message; /* bytes, of what is inflated; may be changed between calls */
};

enum ws_result {
	WS_NEED_MORE, /* all input is consumed; nothing is whole yet */
	WS_EVENT, /* *m is filled in; call again, also when the input is used up */
	WS_PAUSED, /* a slice of inflating is done (proto/deflate.h); call again, in the same way */
	WS_FAILED, /* *code and *reason say why; the connection must end */
};

/*
 * Decodes from *p up to end and moves *p past what was consumed. The bytes are
 * changed (unmasked). Text is checked as UTF-8 as it comes. After WS_FAILED
 * the decoder takes no more input. Memory that runs out is WS_FAILED with 1011.
 */
enum ws_result ws_decode(struct ws_decoder *d, uint8_t **p, uint8_t *end, struct ws_message *m,
			 uint16_t *code, enum reason *reason) __attribute__((warn_unused_result));

/* Bytes; for fewer a read of their own is not worth it. */
enum { WS_SPACE_MIN = 64 * 1024 };

/*
 * Where the next bytes of a long message are to lie that is not compressed: at most *n of them, on
 * return as many as there is space for. Who reads them to there gives just them to ws_decode next,
 * which then copies nothing. NULL: no such message is under way, or a copy costs less than a read
 * of its own; *n is then worth nothing.
 */
uint8_t *ws_decoder_space(struct ws_decoder *d, size_t *n);

/* Starts a decoder without inflate; ws_decoder_fini frees what it, and inflate, holds. */
void ws_decoder_init(struct ws_decoder *d, uint32_t max_message);
void ws_decoder_fini(struct ws_decoder *d);

/*
 * The memory of d's own that has the `len` bytes at p, which it has lent, and nothing else: who takes it
 * away, leaving an empty buffer, has what is counted already. NULL: they are elsewhere.
 */
struct buffer *ws_decoder_lent(struct ws_decoder *d, const void *p, size_t len);

/*
 * Keeps a message that d has lent beyond the next call: *to, empty up to here, has its bytes (and
 * m->data lies there), without a copy where they were in memory of d's. They are counted
 * (base/account.h), and so is what is then the caller's to give. False: no memory.
 */
bool ws_decoder_keep(struct ws_decoder *d, struct ws_message *m, struct buffer *to)
	__attribute__((warn_unused_result));

/* Bytes that it keeps of what is incomplete. */
size_t ws_decoder_bytes(const struct ws_decoder *d);

/*
 * When the message began that is under way, by the caller's clock: the first call since then
 * notes now, and returns true. The same for a control frame that is incomplete outside of
 * messages; one within belongs to its message.
 */
bool ws_decoder_note(struct ws_decoder *d, uint32_t now);

/* Whether a message, or such a control frame, is incomplete; *since: what was noted. */
bool ws_decoder_incomplete(const struct ws_decoder *d, uint32_t *since);

/*
 * Writes the header of an unfragmented, unmasked frame; out must have
 * WS_HEADER_MAX bytes. opcode: an enum ws_opcode, perhaps with WS_RSV1. Returns
 * the length: 2, 4 or 10.
 */
size_t ws_encode_header(uint8_t *out, unsigned opcode, uint64_t payload_len);

/*
 * Makes a message that lies in the input a frame of the server's, where it is: puts a
 * header into the room before the data. Returns where it begins, and *len of the frame;
 * NULL: there is no room.
 */
uint8_t *ws_encode_in_place(const struct ws_message *m, size_t *len);

/*
 * The other way round, for frames that ws_encode_header began: returns the length
 * of the header at p, of which WS_HEADER_MAX bytes (or the whole frame) are there.
 */
size_t ws_own_header(const uint8_t *p, uint64_t *payload_len);

/*
 * Writes a whole close frame; out must have 2 + WS_CONTROL_MAX bytes. code
 * WS_CLOSE_NO_STATUS writes an empty one. text (UTF-8) is cut at a character
 * boundary to WS_CLOSE_REASON_MAX bytes. Returns its length.
 */
size_t ws_encode_close(uint8_t *out, uint16_t code, const char *text, size_t len);

/* Whether a peer may send this code in a close frame (RFC 6455 7.4). */
bool ws_close_code_valid(uint16_t code);

#endif
