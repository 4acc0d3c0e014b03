/*
 * The frame decoder and encoder. Each case is bytes as a client sends them and
 * the events they must give; it runs whole, cut in two at every byte, and one
 * byte at a time, and must give the same each time.
 */
// links: base proto
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing.h"
#include "proto/frame.h"
#include "proto/mask.h"

enum { MAX = 1000, EVENTS_MAX = 4096, LONG = 1 << 20 };

/* A frame of a case; opcode below 0x10, or'ed with FIN and RSV bits. */
struct piece {
	uint8_t first;
	const char *payload;
	size_t len;
};

/* versions of clang-format differ about braces alone in a macro */
// clang-format off
#define F(first, text) { first, text, sizeof(text) - 1 }
// clang-format on
#define FIN_TEXT 0x81
#define FIN_BINARY 0x82
#define FIN_CONT 0x80
#define FIN_CLOSE 0x88
#define FIN_PING 0x89
#define FIN_PONG 0x8a

struct sample {
	const char *name;
	struct piece pieces[6];
	const char *events; /* as describe writes them */
};

struct buffer {
	uint8_t bytes[4096];
	size_t len;
};

static void put_frame(struct buffer *b, const struct piece *f)
{
	static const uint8_t key[4] = { 0x37, 0xfa, 0x21, 0x3d }; /* RFC 6455 5.7 */
	uint32_t k;
	uint8_t *p = b->bytes + b->len;

	*p++ = f->first;
	if (f->len < 126) {
		*p++ = (uint8_t)(0x80 | f->len);
	} else {
		*p++ = 0x80 | 126;
		*p++ = (uint8_t)(f->len >> 8);
		*p++ = (uint8_t)f->len;
	}
	memcpy(p, key, 4);
	memcpy(&k, key, 4);
	memcpy(p + 4, f->payload, f->len);
	ws_mask(p + 4, f->len, k, 0);
	b->len = (size_t)(p + 4 + f->len - b->bytes);
}

static void put_bytes(char *out, const uint8_t *p, size_t n)
{
	out += strlen(out);
	if (n > 40) {
		sprintf(out, "<%zu>", n);
		return;
	}
	for (size_t i = 0; i < n; i++)
		out += sprintf(out, p[i] >= ' ' && p[i] < 0x7f ? "%c" : "\\x%02x", p[i]);
}

static void describe(const struct ws_message *m, char *out)
{
	static const char *const names[] = { [WS_TEXT] = "text ",
					     [WS_BINARY] = "binary ",
					     [WS_CLOSE] = "close ",
					     [WS_PING] = "ping ",
					     [WS_PONG] = "pong " };

	strcat(out, names[m->opcode]);
	if (m->opcode == WS_CLOSE)
		sprintf(out + strlen(out), "%u ", m->code);
	put_bytes(out, m->data, m->len);
	strcat(out, ";");
}

/* Feeds a copy of part of the bytes; returns whether the decoder goes on. */
static bool feed(struct ws_decoder *d, const uint8_t *bytes, size_t n, char *out)
{
	uint8_t *copy = malloc(n + 1), *p = copy;
	enum ws_result r = WS_EVENT;
	enum reason reason;
	struct ws_message m;
	uint16_t code;

	assert_non_null(copy);
	memcpy(copy, bytes, n);
	while (r == WS_EVENT) {
		r = ws_decode(d, &p, copy + n, &m, &code, &reason);
		if (r == WS_EVENT)
			describe(&m, out);
		if (r == WS_FAILED)
			sprintf(out + strlen(out), "failed %u %s;", code, reason_word(reason));
	}
	if (r == WS_NEED_MORE)
		assert_ptr_equal(p, copy + n);
	free(copy);
	return r == WS_NEED_MORE;
}

/* cut: where the first part ends, and each has so many bytes; 0: in one. */
static void decode(const uint8_t *bytes, size_t n, size_t cut, size_t step, char *out)
{
	struct ws_decoder d;
	size_t at = 0;

	*out = '\0';
	ws_decoder_init(&d, MAX);
	while (at < n) {
		size_t part = at == 0 && cut > 0 ? cut : step;

		if (part > n - at)
			part = n - at;
		if (!feed(&d, bytes + at, part, out))
			break;
		at += part;
	}
	ws_decoder_fini(&d);
}

static void check(const char *name, const uint8_t *bytes, size_t n, const char *events)
{
	static char out[EVENTS_MAX];

	for (size_t cut = 0; cut < n; cut++) {
		decode(bytes, n, cut, n, out);
		if (strcmp(out, events) != 0)
			fail_msg("%s, cut at %zu: %s, not %s", name, cut, out, events);
	}
	decode(bytes, n, 0, 1, out);
	if (strcmp(out, events) != 0)
		fail_msg("%s, byte by byte: %s, not %s", name, out, events);
}

static void check_pieces(const struct sample *s)
{
	struct buffer b = { .len = 0 };

	for (size_t i = 0; i < 6 && s->pieces[i].payload; i++)
		put_frame(&b, &s->pieces[i]);
	check(s->name, b.bytes, b.len, s->events);
}

static const char zeros[1100];

static const struct sample messages[] = {
	{ "text", { F(FIN_TEXT, "Hello") }, "text Hello;" },
	{ "binary", { F(FIN_BINARY, "\0\xff") }, "binary \\x00\\xff;" },
	{ "empty", { F(FIN_TEXT, ""), F(FIN_BINARY, "") }, "text ;binary ;" },
	{ "in fragments", { F(WS_TEXT, "Hel"), F(FIN_CONT, "lo") }, "text Hello;" },
	{ "empty fragments",
	  { F(WS_BINARY, ""), F(0, ""), F(0, "x"), F(0, ""), F(FIN_CONT, "") },
	  "binary x;" },
	{ "control between fragments",
	  { F(WS_TEXT, "a"), F(FIN_PING, "p"), F(0, "b"), F(FIN_PONG, ""), F(FIN_CONT, "c") },
	  "ping p;pong ;text abc;" },
	{ "several",
	  { F(FIN_TEXT, "a"), F(FIN_PING, ""), F(FIN_TEXT, "b") },
	  "text a;ping ;text b;" },
	{ "as long as may be", { { FIN_BINARY, zeros, MAX } }, "binary <1000>;" },
	{ "126", { { FIN_BINARY, zeros, 126 } }, "binary <126>;" },
	{ "control of 125", { { FIN_PING, zeros, 125 } }, "ping <125>;" },
	{ "character over fragments",
	  { F(WS_TEXT, "\xf0\x9f"), F(0, "\x98"), F(FIN_CONT, "\x80") },
	  "text \\xf0\\x9f\\x98\\x80;" },
	{ "bytes that are no text are binary", { F(FIN_BINARY, "\xc0") }, "binary \\xc0;" },
	{ "ping with bytes that are no text", { F(FIN_PING, "\xc0") }, "ping \\xc0;" },
	{ "close", { F(FIN_CLOSE, "") }, "close 1005 ;" },
	{ "close with code", { F(FIN_CLOSE, "\x03\xe8") }, "close 1000 ;" },
	{ "close with reason",
	  { F(FIN_CLOSE, "\x0f\xa0"
			 "bye") },
	  "close 4000 bye;" },
	{ "close between fragments", { F(WS_TEXT, "a"), F(FIN_CLOSE, "") }, "close 1005 ;" },
};

#define PROTOCOL_ERROR "failed 1002 protocol-error;"

static const struct sample errors[] = {
	{ "rsv1", { F(0xc1, "x") }, PROTOCOL_ERROR },
	{ "rsv2", { F(0xa1, "x") }, PROTOCOL_ERROR },
	{ "rsv3", { F(0x92, "x") }, PROTOCOL_ERROR },
	{ "opcode 3", { F(0x83, "") }, PROTOCOL_ERROR },
	{ "opcode 7", { F(0x87, "") }, PROTOCOL_ERROR },
	{ "opcode 11", { F(0x8b, "") }, PROTOCOL_ERROR },
	{ "opcode 15", { F(0x8f, "") }, PROTOCOL_ERROR },
	{ "ping in fragments", { F(WS_PING, "") }, PROTOCOL_ERROR },
	{ "long ping", { { FIN_PING, zeros, 126 } }, PROTOCOL_ERROR },
	{ "continuation of nothing", { F(FIN_CONT, "x") }, PROTOCOL_ERROR },
	{ "continuation of what is over",
	  { F(FIN_TEXT, "a"), F(0, "b") },
	  "text a;" PROTOCOL_ERROR },
	{ "text within a message", { F(WS_TEXT, "a"), F(FIN_TEXT, "b") }, PROTOCOL_ERROR },
	{ "after what is right",
	  { F(FIN_TEXT, "a"), F(FIN_PING, "p"), F(0x83, "") },
	  "text a;ping p;" PROTOCOL_ERROR },
	{ "too long", { { FIN_BINARY, zeros, MAX + 1 } }, "failed 1009 message-too-big;" },
	{ "too long together",
	  { { WS_BINARY, zeros, MAX }, F(FIN_CONT, "x") },
	  "failed 1009 message-too-big;" },
	{ "not UTF-8", { F(FIN_TEXT, "a\xff") }, "failed 1007 bad-utf8;" },
	{ "cut character", { F(FIN_TEXT, "a\xe2\x82") }, "failed 1007 bad-utf8;" },
	{ "not UTF-8 over fragments",
	  { F(WS_TEXT, "\xe2\x82"), F(FIN_CONT, "x") },
	  "failed 1007 bad-utf8;" },
	{ "not UTF-8 in the first fragment",
	  { F(WS_TEXT, "\xed\xa0"), F(FIN_PING, "") },
	  "failed 1007 bad-utf8;" },
	{ "close of one byte", { F(FIN_CLOSE, "\x03") }, PROTOCOL_ERROR },
	{ "close with 999", { F(FIN_CLOSE, "\x03\xe7") }, PROTOCOL_ERROR },
	{ "close with 1005", { F(FIN_CLOSE, "\x03\xed") }, PROTOCOL_ERROR },
	{ "close with bad reason", { F(FIN_CLOSE, "\x03\xe8\xff") }, "failed 1007 bad-utf8;" },
};

static void test_messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(messages) / sizeof(*messages); i++)
		check_pieces(&messages[i]);
}

static void test_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++)
		check_pieces(&errors[i]);
}

/* Each is an error as soon as its bytes are there; nothing of the payload is waited for. */
static void test_headers_that_fail_early(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *events;
	} heads[] = {
		{ "\x83", 1, PROTOCOL_ERROR },
		{ "\x88\x81", 2, PROTOCOL_ERROR },
		{ "\x88\x85\0\0\0\0\x03\xed", 8, PROTOCOL_ERROR },
		{ "\x88\x85\0\0\0\0\x03\xe8\xed\xa0", 10, "failed 1007 bad-utf8;" },
		{ "\x88\x84\0\0\0\0\x03\xe8x\xc3", 10, "failed 1007 bad-utf8;" },
		{ "\xc1", 1, PROTOCOL_ERROR },
		{ "\x09", 1, PROTOCOL_ERROR },
		{ "\x80", 1, PROTOCOL_ERROR },
		{ "\x81\x05", 2, "failed 1002 not-masked;" },
		{ "\x89\xfe", 2, PROTOCOL_ERROR },
		{ "\x81\xfe\x00\x7d", 4, PROTOCOL_ERROR },
		{ "\x81\xff\x80", 3, PROTOCOL_ERROR },
		{ "\x81\xff\0\0\0\0\0\0\xff\xff", 10, PROTOCOL_ERROR },
		{ "\x81\xfe\x03\xe9", 4, "failed 1009 message-too-big;" },
		{ "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 10, "failed 1009 message-too-big;" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++)
		check("head", (const uint8_t *)heads[i].bytes, heads[i].len, heads[i].events);
}

/* The bad byte is enough, although the frame goes on. */
static void test_text_fails_at_the_first_bad_byte(void **state)
{
	uint8_t bytes[16] = { 0x81, 0x80 | 100, 1, 2, 3, 4, 'a' ^ 1, 0xe2 ^ 2, 0x28 ^ 3 };
	char out[EVENTS_MAX] = "";
	struct ws_decoder d;

	(void)state;
	ws_decoder_init(&d, MAX);
	assert_true(feed(&d, bytes, 8, out));
	assert_false(feed(&d, bytes + 8, 1, out));
	assert_string_equal(out, "failed 1007 bad-utf8;");
	ws_decoder_fini(&d);
}

/* RFC 6455 5.7: a masked and a fragmented "Hello", a ping and its like, 64 KiB. */
static void test_examples_of_the_rfc(void **state)
{
	static const uint8_t masked[] = { 0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d,
					  0x7f, 0x9f, 0x4d, 0x51, 0x58 };
	static const uint8_t pong[] = { 0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d,
					0x7f, 0x9f, 0x4d, 0x51, 0x58 };
	uint8_t header[WS_HEADER_MAX];

	(void)state;
	check("masked", masked, sizeof(masked), "text Hello;");
	check("pong", pong, sizeof(pong), "pong Hello;");
	assert_int_equal(ws_encode_header(header, WS_TEXT, 5), 2);
	assert_memory_equal(header, "\x81\x05", 2);
	assert_int_equal(ws_encode_header(header, WS_PING, 5), 2);
	assert_memory_equal(header, "\x89\x05", 2);
	assert_int_equal(ws_encode_header(header, WS_BINARY, 256), 4);
	assert_memory_equal(header, "\x82\x7e\x01\x00", 4);
	assert_int_equal(ws_encode_header(header, WS_BINARY, 65536), 10);
	assert_memory_equal(header, "\x82\x7f\0\0\0\0\0\1\0\0", 10);
}

static void test_header_lengths(void **state)
{
	static const struct {
		uint64_t len;
		const char *bytes;
		size_t size;
	} rows[] = {
		{ 0, "\x81\x00", 2 },
		{ 125, "\x81\x7d", 2 },
		{ 126, "\x81\x7e\x00\x7e", 4 },
		{ 65535, "\x81\x7e\xff\xff", 4 },
		{ 65536, "\x81\x7f\0\0\0\0\0\x01\0\0", 10 },
		{ 0x0102030405060708, "\x81\x7f\1\2\3\4\5\6\7\x08", 10 },
	};
	uint8_t header[WS_HEADER_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(ws_encode_header(header, WS_TEXT, rows[i].len), rows[i].size);
		assert_memory_equal(header, rows[i].bytes, rows[i].size);
	}
}

/* A masked binary frame of len bytes; returns its length. */
static size_t write_binary(uint8_t *p, size_t len)
{
	size_t header = ws_encode_header(p, WS_BINARY, len);
	uint32_t key = 0x1b2c3d4e;

	p[1] |= 0x80;
	memcpy(p + header, &key, 4);
	memset(p + header + 4, 'b', len);
	ws_mask(p + header + 4, len, key, 0);
	return header + 4 + len;
}

/* Decodes n bytes, of which the first come alone, into the message that they must be. */
static void decode_in_two(struct ws_decoder *d, uint8_t *p, size_t first, size_t n,
			  struct ws_message *m)
{
	uint8_t *end = p + first;
	enum reason reason;
	uint16_t code;

	ws_decoder_init(d, 1 << 20);
	if (first > 0)
		assert_int_equal(ws_decode(d, &p, end, m, &code, &reason), WS_NEED_MORE);
	end += n - first;
	assert_int_equal(ws_decode(d, &p, end, m, &code, &reason), WS_EVENT);
}

/* A message that came whole becomes the server's frame where it lies; no other has the room. */
static void test_in_place(void **state)
{
	static const size_t lengths[] = { 0, 1, 5, 125, 126, 1000, 65535, 65536, 70000 };
	const size_t size = 70000 + 16;
	uint8_t *input = malloc(size), *frame, header[WS_HEADER_MAX];
	struct ws_decoder d;
	struct ws_message m;

	(void)state;
	assert_non_null(input);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		size_t n = ws_encode_header(header, WS_BINARY, lengths[i]), len, whole;

		whole = write_binary(input, lengths[i]);
		decode_in_two(&d, input, 0, whole, &m);
		frame = ws_encode_in_place(&m, &len);
		assert_ptr_equal(frame, input + 4);
		assert_int_equal(len, n + lengths[i]);
		assert_memory_equal(frame, header, n);
		for (size_t k = 0; k < lengths[i]; k++)
			assert_int_equal(frame[n + k], 'b');
		ws_decoder_fini(&d);
		for (size_t first = 1; first < whole; first += first < 16 ? 1 : 999) {
			whole = write_binary(input, lengths[i]);
			decode_in_two(&d, input, first, whole, &m);
			assert_null(ws_encode_in_place(&m, &len));
			ws_decoder_fini(&d);
		}
	}
	free(input);
}

static void test_close_frames(void **state)
{
	uint8_t out[2 + WS_CONTROL_MAX];
	char reason[200];

	(void)state;
	assert_int_equal(ws_encode_close(out, WS_CLOSE_NO_STATUS, "x", 1), 2);
	assert_memory_equal(out, "\x88\x00", 2);
	assert_int_equal(ws_encode_close(out, 1000, NULL, 0), 4);
	assert_memory_equal(out, "\x88\x02\x03\xe8", 4);
	assert_int_equal(ws_encode_close(out, 4999, "bye", 3), 7);
	assert_memory_equal(out,
			    "\x88\x05\x13\x87"
			    "bye",
			    7);
	/* A reason is cut between characters: of 61 two-byte ones, and a half, 61 stay. */
	for (size_t i = 0; i < sizeof(reason); i += 2)
		memcpy(reason + i, "\xc3\xa9", 2);
	assert_int_equal(ws_encode_close(out, 1000, reason, sizeof(reason)), 4 + 122);
	assert_int_equal(out[1], 2 + 122);
	memset(reason, 'x', sizeof(reason));
	assert_int_equal(ws_encode_close(out, 1000, reason, sizeof(reason)),
			 4 + WS_CLOSE_REASON_MAX);
}

/* RFC 6455 7.4, and the registry for 1012 to 1014. */
static void test_close_codes(void **state)
{
	(void)state;
	for (unsigned code = 0; code < 65536; code++) {
		bool valid = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
			     (code >= 3000 && code <= 4999);

		assert_int_equal(ws_close_code_valid((uint16_t)code), valid);
	}
}

/* What a decoder of so large messages makes of the first n bytes of a frame. */
static void decode_part(const struct buffer *b, size_t n, size_t max, char *out)
{
	struct ws_decoder d;

	*out = '\0';
	ws_decoder_init(&d, (uint32_t)max);
	feed(&d, b->bytes, n, out);
	ws_decoder_fini(&d);
}

/*
 * A short frame has a way of its own: each length around its borders, with just
 * as much as it needs of bytes and of max_message, and with one too few.
 */
static void test_short_frames(void **state)
{
	static const char *const names[] = { [WS_TEXT] = "text", [WS_BINARY] = "binary" };
	static char payload[130], out[EVENTS_MAX], event[EVENTS_MAX];

	(void)state;
	memset(payload, 'x', sizeof(payload));
	for (size_t i = 0; i < 2 * sizeof(payload); i++) {
		uint8_t opcode = i % 2 ? WS_TEXT : WS_BINARY;
		struct piece f = { 0x80 | opcode, payload, i / 2 };
		struct buffer b = { .len = 0 };

		put_frame(&b, &f);
		sprintf(event, "%s ", names[opcode]);
		put_bytes(event, (const uint8_t *)payload, f.len);
		strcat(event, ";");
		decode_part(&b, b.len, f.len, out);
		assert_string_equal(out, event);
		decode_part(&b, b.len - 1, f.len, out);
		assert_string_equal(out, "");
		if (f.len == 0)
			continue;
		decode_part(&b, b.len, f.len - 1, out);
		assert_string_equal(out, "failed 1009 message-too-big;");
	}
}

/* The length and the bytes are right; what the header says besides is not. */
static void test_short_frames_with_a_wrong_header(void **state)
{
	static const struct {
		uint8_t first, second;
		const char *events;
	} rows[] = {
		{ FIN_TEXT, 0x02, "failed 1002 not-masked;" },
		{ FIN_BINARY, 0x02, "failed 1002 not-masked;" },
		{ 0xc1, 0x82, PROTOCOL_ERROR },
		{ 0xc2, 0x82, PROTOCOL_ERROR },
		{ 0x83, 0x82, PROTOCOL_ERROR },
		{ FIN_CONT, 0x82, PROTOCOL_ERROR },
		{ WS_TEXT, 0x82, "" },
		{ WS_BINARY, 0x82, "" },
		{ FIN_PING, 0x82, "ping hi;" },
	};
	char out[EVENTS_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct buffer b = { { rows[i].first, rows[i].second, 0, 0, 0, 0, 'h', 'i' }, 8 };

		decode_part(&b, b.len, MAX, out);
		assert_string_equal(out, rows[i].events);
	}
}

/* An idle decoder owns nothing, whatever went through it. */
static void test_idle_owns_nothing(void **state)
{
	char out[EVENTS_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(messages) / sizeof(*messages) - 1; i++) {
		struct buffer b = { .len = 0 };
		struct ws_decoder d;

		for (size_t k = 0; k < 6 && messages[i].pieces[k].payload; k++)
			put_frame(&b, &messages[i].pieces[k]);
		*out = '\0';
		ws_decoder_init(&d, MAX);
		for (size_t at = 0; at < b.len; at++)
			assert_true(feed(&d, b.bytes + at, 1, out));
		assert_null(d.partial);
		ws_decoder_fini(&d);
	}
}

/* Feeds it byte by byte, and the nth request for memory fails. Returns whether there was one. */
static bool decode_without(const struct buffer *b, unsigned n, char *out)
{
	enum ws_result r = WS_NEED_MORE;
	enum reason reason;
	struct ws_message m;
	struct ws_decoder d;
	uint16_t code = 0;

	*out = '\0';
	ws_decoder_init(&d, MAX);
	failing_nth(n);
	for (size_t at = 0; at < b->len && r != WS_FAILED; at++) {
		uint8_t byte = b->bytes[at], *p = &byte;

		while ((r = ws_decode(&d, &p, &byte + 1, &m, &code, &reason)) == WS_EVENT)
			describe(&m, out);
	}
	if (r == WS_FAILED)
		assert_true(code == WS_CLOSE_INTERNAL && reason == REASON_NO_MEMORY);
	ws_decoder_fini(&d);
	assert_true(failing_end() == (r == WS_FAILED));
	return r == WS_FAILED;
}

/* Whichever request fails, that is the end with its own reason; without one all is read. */
static void test_no_memory(void **state)
{
	char out[EVENTS_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(messages) / sizeof(*messages) - 1; i++) {
		struct buffer b = { .len = 0 };
		unsigned n = 1;

		for (size_t k = 0; k < 6 && messages[i].pieces[k].payload; k++)
			put_frame(&b, &messages[i].pieces[k]);
		while (decode_without(&b, n, out))
			n++;
		assert_true(n > 1);
		assert_string_equal(out, messages[i].events);
	}
}

/*
 * The time of an incomplete message is that of its first byte: neither its own frames nor
 * control frames within move it. A letter for each byte that came: when what is incomplete
 * behind it began, '.' if nothing is.
 */
static void test_since_when_incomplete(void **state)
{
	static const struct {
		struct piece pieces[4];
		const char *since;
	} rows[] = {
		{ { F(FIN_TEXT, "hi") }, "aaaaaaa." },
		{ { F(FIN_TEXT, "hi"), F(FIN_TEXT, "") }, "aaaaaaa.iiiii." },
		{ { F(0x01, "h"), F(FIN_CONT, "i") }, "aaaaaaaaaaaaa." },
		{ { F(0x01, "h"), F(FIN_PING, "p"), F(FIN_CONT, "i") }, "aaaaaaaaaaaaaaaaaaaa." },
		{ { F(FIN_PING, "p"), F(0x02, ""), F(FIN_CONT, "") }, "aaaaaa.hhhhhhhhhhh." },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char events[EVENTS_MAX] = "", since[64] = "";
		struct buffer b = { .len = 0 };
		struct ws_decoder d;
		uint32_t at;

		for (size_t k = 0; k < 4 && rows[i].pieces[k].payload; k++)
			put_frame(&b, &rows[i].pieces[k]);
		ws_decoder_init(&d, MAX);
		for (uint32_t n = 0; n < b.len; n++) {
			assert_true(feed(&d, b.bytes + n, 1, events));
			ws_decoder_note(&d, n);
			assert_false(ws_decoder_note(&d, n + 1));
			since[n] = ws_decoder_incomplete(&d, &at) ? (char)('a' + at) : '.';
		}
		assert_string_equal(since, rows[i].since);
		ws_decoder_fini(&d);
	}
}

/* Memory follows the bytes that came, not the length that a header claims. */
static void test_claims_cost_nothing(void **state)
{
	static const uint8_t head[] = { 0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4 };
	char out[EVENTS_MAX] = "";
	struct ws_decoder d[64];

	(void)state;
	for (size_t i = 0; i < 64; i++) {
		/* 1 GiB each: would not be to be had, or show under a sanitizer */
		ws_decoder_init(&d[i], 0x40000000);
		assert_true(feed(&d[i], head, sizeof(head), out));
	}
	for (size_t i = 0; i < 64; i++)
		ws_decoder_fini(&d[i]);
	assert_string_equal(out, "");
}

/*
 * A frame of `len` bytes, of which at most `share` come at a time, each time to where the decoder
 * wants them: how many were read to their place at once.
 */
static size_t read_to_its_place(uint8_t first, size_t len, size_t share, struct ws_decoder *d)
{
	static uint8_t wire[LONG], input[LONG];
	const uint32_t key = 0x3d21fa37;
	size_t at = 0, placed = 0, n = sizeof(input);
	enum ws_result r = WS_NEED_MORE;
	enum reason reason;
	struct ws_message m;
	uint16_t code;
	uint8_t *p;

	assert_null(ws_decoder_space(d, &n));
	input[0] = first;
	input[1] = 0x80 | 127;
	for (int i = 0; i < 8; i++)
		input[2 + i] = (uint8_t)(len >> (56 - 8 * i));
	memcpy(input + 10, &key, 4);
	for (size_t i = 0; i < len; i++)
		wire[i] = (uint8_t)('a' + i % 26);
	ws_mask(wire, len, key, 0);
	p = input;
	assert_int_equal(ws_decode(d, &p, input + 14, &m, &code, &reason), WS_NEED_MORE);
	while (at < len) {
		n = share < len - at ? share : len - at;
		p = ws_decoder_space(d, &n);
		if (p) {
			assert_true(n > 0 && n <= share && n <= at && n <= len - at);
			placed += n;
		} else {
			p = input;
			n = share < len - at ? share : len - at;
		}
		memcpy(p, wire + at, n);
		at += n;
		r = ws_decode(d, &p, p + n, &m, &code, &reason);
	}
	assert_int_equal(r, WS_EVENT);
	assert_int_equal(m.len, len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(m.data[i], 'a' + i % 26);
	assert_int_equal(ws_decode(d, &p, p, &m, &code, &reason), WS_NEED_MORE);
	return placed;
}

static void test_read_to_its_place(void **state)
{
	struct ws_decoder d;

	(void)state;
	ws_decoder_init(&d, LONG);
	assert_int_equal(read_to_its_place(FIN_TEXT, 1000000, 250000, &d), 750000);
	assert_int_equal(read_to_its_place(FIN_BINARY, 1000000, 70001, &d), 910013);
	/* nobody gets space for what has not come, and little is copied */
	assert_int_equal(read_to_its_place(FIN_BINARY, 1000000, 1000000, &d), 0);
	assert_int_equal(read_to_its_place(FIN_BINARY, 1000000, 60000, &d), 0);
	assert_int_equal(read_to_its_place(FIN_BINARY, 120000, 70000, &d), 0);
	ws_decoder_fini(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_headers_that_fail_early),
		cmocka_unit_test(test_text_fails_at_the_first_bad_byte),
		cmocka_unit_test(test_examples_of_the_rfc),
		cmocka_unit_test(test_header_lengths),
		cmocka_unit_test(test_in_place),
		cmocka_unit_test(test_close_frames),
		cmocka_unit_test(test_close_codes),
		cmocka_unit_test(test_short_frames),
		cmocka_unit_test(test_short_frames_with_a_wrong_header),
		cmocka_unit_test(test_idle_owns_nothing),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_since_when_incomplete),
		cmocka_unit_test(test_claims_cost_nothing),
		cmocka_unit_test(test_read_to_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
