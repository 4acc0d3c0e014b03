/*
 * wire.c - what a byte costs that a client chose to be expensive.
 *
 * Makes one input of each kind, decodes it as it would come from a socket, and prints a
 * line for it: the name, its bytes on the wire, and how many instructions each of them
 * may cost. wire.py counts them, between the start and the end of decode_input.
 *
 * The bounds are a half more than was counted when they were set, and for text as much as
 * a machine without vectors takes: what is to be noticed is a kind of input that costs
 * another order of magnitude, as one did that made zlib's window be copied for each of its
 * two bytes. In the bombs a byte stands for a thousand; zlib's own price of what is mostly
 * tables is the highest beside them.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/buffer.h"
#include "proto/deflate.h"
#include "proto/frame.h"
#include "proto/json.h"
#include "proto/mask.h"

enum { INPUT = 128 * 1024, READ = 256 * 1024, MAX_MESSAGE = 1024 * 1024 };
enum { FIN = 0x80, COMPRESSED = 0x40 };
enum { BOMBS = 3 * 1100 }; /* bytes of some three messages */

struct input {
	const char *name;
	unsigned bound; /* instructions for each byte on the wire */
	bool takeover;
	void (*make)(struct buffer *out);
	bool json; /* its texts are read as notify does */
};

static void put(struct buffer *b, const void *p, size_t n)
{
	if (!buffer_append(b, p, n))
		exit(1);
}

static void put_frame(struct buffer *b, unsigned first, const void *payload, size_t len)
{
	const uint32_t key = 0x5a5aa5c3;
	uint8_t head[WS_HEADER_MAX];
	size_t size = ws_encode_header(head, 0, len);

	head[0] = (uint8_t)first;
	head[1] |= 0x80;
	put(b, head, size);
	put(b, &key, sizeof(key));
	put(b, payload, len);
	ws_mask(b->p + b->len - len, len, key, 0);
}

static void repeat_frame(struct buffer *b, unsigned first, const void *payload, size_t len)
{
	while (b->len < INPUT)
		put_frame(b, first, payload, len);
}

/* n bytes of what is repeated. */
static uint8_t *repeat(const char *text, size_t n)
{
	size_t len = strlen(text);
	uint8_t *p = malloc(n);

	if (!p)
		exit(1);
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)text[i % len];
	return p;
}

/* --- plain --- */

static void repeat_text(struct buffer *b, const char *text, size_t n)
{
	uint8_t *p = repeat(text, n);

	repeat_frame(b, FIN | WS_TEXT, p, n);
	free(p);
}

static void make_text(struct buffer *b)
{
	repeat_text(b, "The quick brown fox jumps over the lazy dog. ", 16 * 1024);
}

static void make_umlauts(struct buffer *b)
{
	repeat_text(b, "äöü€\U0001f600", 13 * 1024);
}

static void make_short(struct buffer *b)
{
	repeat_text(b, "x", 32);
}

static void make_tiny(struct buffer *b)
{
	repeat_text(b, "x", 1);
}

static void make_empty(struct buffer *b)
{
	repeat_frame(b, FIN | WS_TEXT, "", 0);
}

static void make_pings(struct buffer *b)
{
	repeat_frame(b, FIN | WS_PING, "", 0);
}

static void make_pongs(struct buffer *b)
{
	uint8_t *p = repeat("x", WS_CONTROL_MAX);

	repeat_frame(b, FIN | WS_PONG, p, WS_CONTROL_MAX);
	free(p);
}

static void make_empty_fragments(struct buffer *b)
{
	put_frame(b, WS_TEXT, "", 0);
	repeat_frame(b, WS_CONTINUATION, "", 0);
}

/* Each character comes in several of them. */
static void make_fragments(struct buffer *b)
{
	const char *text = "€";

	put_frame(b, WS_TEXT, "", 0);
	for (size_t i = 0; b->len < INPUT; i++)
		put_frame(b, WS_CONTINUATION, text + i % strlen(text), 1);
}

static void make_pings_between(struct buffer *b)
{
	put_frame(b, WS_BINARY, "", 0);
	while (b->len < INPUT) {
		put_frame(b, FIN | WS_PING, "", 0);
		put_frame(b, WS_CONTINUATION, "x", 1);
	}
}

/* --- JSON --- */

/* A text of `begin`, then so much of `part` that it is a message of 64 KiB, then `end`. */
static void repeat_json(struct buffer *b, const char *begin, const char *part, const char *end)
{
	struct buffer text = { 0 };

	put(&text, begin, strlen(begin));
	while (text.len < 64 * 1024)
		put(&text, part, strlen(part));
	put(&text, end, strlen(end));
	repeat_frame(b, FIN | WS_TEXT, text.p, text.len);
	buffer_free(&text);
}

static void make_json_numbers(struct buffer *b)
{
	repeat_json(b, "[0", ",0", "]");
}

static void make_json_spaces(struct buffer *b)
{
	repeat_json(b, "[", " \n", "]");
}

static void make_json_nests(struct buffer *b)
{
	repeat_json(b, "[[]", ",[[[[[[[[]]]]]]]]", "]");
}

static void make_json_members(struct buffer *b)
{
	repeat_json(b, "{\"\":0", ",\"\":0", "}");
}

static void make_json_names(struct buffer *b)
{
	repeat_json(b, "{\"content\":0", ",\"\\u0063ontent\":0", "}");
}

static void make_json_escapes(struct buffer *b)
{
	repeat_json(b, "{\"content\":\"", "\\n", "\"}");
}

static void make_json_text(struct buffer *b)
{
	repeat_json(b, "{\"content\":\"", "how are you, all of you? ", "\"}");
}

/* The place is counted once it is known that there is a fault. */
static void make_json_broken(struct buffer *b)
{
	repeat_json(b, "[0", ",\n0", "");
}

/* --- compressed --- */

static void repeat_compressed(struct buffer *b, unsigned opcode, const uint8_t *p, size_t n)
{
	struct deflater *d = deflater_new(9, 9, DEFLATE_BITS_MAX);
	struct deflate_part part = { p, n };
	struct buffer z = { 0 };

	if (!d || !deflater_message(d, &part, 1, &z))
		exit(1);
	repeat_frame(b, FIN | COMPRESSED | opcode, z.p, z.len);
	deflater_free(d);
	buffer_free(&z);
}

static void repeat_deflated(struct buffer *b, unsigned opcode, const char *text, size_t n)
{
	uint8_t *p = repeat(text, n);

	repeat_compressed(b, opcode, p, n);
	free(p);
}

static void make_compressed(struct buffer *b)
{
	uint8_t p[16 * 1024];
	uint32_t x = 1;

	/* half of it is noise */
	for (size_t i = 0; i < sizeof(p); i++)
		p[i] = (uint8_t)(' ' +
				 ((x = x * 1103515245 + 12345) >> 16) % 64 / (1 + i / 64 % 2 * 63));
	repeat_compressed(b, WS_TEXT, p, sizeof(p));
}

static void make_compressed_tiny(struct buffer *b)
{
	repeat_deflated(b, WS_TEXT, "x", 1);
}

static void make_compressed_empty(struct buffer *b)
{
	repeat_frame(b, FIN | COMPRESSED | WS_TEXT, "", 1);
}

static void make_compressed_fragments(struct buffer *b)
{
	uint8_t *p = repeat("abcdefgh", 8192);
	struct deflater *d = deflater_new(1, 9, DEFLATE_BITS_MAX);
	struct deflate_part part = { p, 8192 };
	struct buffer z = { 0 };

	while (b->len < INPUT) {
		z.len = 0;
		if (!d || !deflater_message(d, &part, 1, &z))
			exit(1);
		put_frame(b, COMPRESSED | WS_TEXT, "", 0);
		for (size_t i = 0; i < z.len; i++)
			put_frame(b, WS_CONTINUATION, z.p + i, 1);
		put_frame(b, FIN | WS_CONTINUATION, "", 0);
		deflater_forget(d);
	}
	deflater_free(d);
	buffer_free(&z);
	free(p);
}

/* What is repeated comes behind so much that zlib's window is full. */
static void fill_window(struct buffer *payload)
{
	uint8_t *p = repeat("x", 1 << DEFLATE_BITS_MAX);
	struct deflater *d = deflater_new(1, 9, DEFLATE_BITS_MAX);
	struct deflate_part part = { p, 1 << DEFLATE_BITS_MAX };

	if (!d || !deflater_message(d, &part, 1, payload))
		exit(1);
	put(payload, "\x00\x00\xff\xff", 4);
	deflater_free(d);
	free(p);
}

static void end_payload(struct buffer *b, struct buffer *payload)
{
	put_frame(b, FIN | COMPRESSED | WS_BINARY, payload->p, payload->len);
	buffer_free(payload);
}

static void repeat_block(struct buffer *b, const char *block, size_t n)
{
	struct buffer payload = { 0 };

	fill_window(&payload);
	while (payload.len < INPUT)
		put(&payload, block, n);
	put(&payload, "", 1);
	end_payload(b, &payload);
}

static void make_final_blocks(struct buffer *b)
{
	repeat_block(b, "\x03\x00", 2);
}

static void make_stored_blocks(struct buffer *b)
{
	repeat_block(b, "\x00\x00\x00\xff\xff", 5);
}

struct bits {
	struct buffer *out;
	unsigned held, count;
};

/* The lowest of n bits first. */
static void put_bits(struct bits *w, unsigned value, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		w->held |= (value >> i & 1) << w->count++;
		if (w->count == 8) {
			put(w->out, &(uint8_t){ (uint8_t)w->held }, 1);
			w->held = w->count = 0;
		}
	}
}

/* The empty stored block that ends a message, as far as it is sent. */
static void end_bits(struct bits *w)
{
	put_bits(w, 0, 3);
	while (w->count != 0)
		put_bits(w, 0, 1);
}

static void make_fixed_blocks(struct buffer *b)
{
	struct buffer payload = { 0 };
	struct bits w = { &payload, 0, 0 };

	fill_window(&payload);
	while (payload.len < INPUT)
		put_bits(&w, 1 << 1, 10);
	end_bits(&w);
	end_payload(b, &payload);
}

/* Of one length: `first` is its code, and that of "the last one again" is a single 0. */
static void put_lengths(struct bits *w, unsigned code, unsigned bits, unsigned count)
{
	put_bits(w, code, bits);
	for (count--; count >= 3; count -= count < 6 ? count : 6) {
		put_bits(w, 0, 1);
		put_bits(w, (count < 6 ? count : 6) - 3, 2);
	}
	while (count-- > 0)
		put_bits(w, code, bits);
}

/*
 * A block with a table of its own and nothing that it is for: 226 codes of 8 bits and 60 of
 * 9, no distances (RFC 1951 3.2.7). The lengths' own codes: 0 repeats, 01 is 8, 011 is 9, 111 is 0.
 */
static void put_dynamic_block(struct bits *w)
{
	static const uint8_t order[] = { 1, 0, 0, 3, 2, 0, 3 }; /* of 16, 17, 18, 0, 8, 7, 9 */

	put_bits(w, 2 << 1, 3);
	put_bits(w, 29, 5);
	put_bits(w, 0, 5);
	put_bits(w, sizeof(order) - 4, 4);
	for (size_t i = 0; i < sizeof(order); i++)
		put_bits(w, order[i], 3);
	put_lengths(w, 1, 2, 226);
	put_lengths(w, 7, 3, 60);
	put_bits(w, 3, 3);
	/* the end of the block: the 31st code of 9 bits, the highest bit first */
	for (unsigned i = 9; i-- > 0;)
		put_bits(w, (452 + 30) >> i, 1);
}

static void make_dynamic_blocks(struct buffer *b)
{
	struct buffer payload = { 0 };
	struct bits w = { &payload, 0, 0 };

	fill_window(&payload);
	while (payload.len < INPUT)
		put_dynamic_block(&w);
	end_bits(&w);
	end_payload(b, &payload);
}

/* --- a byte that stands for a thousand --- */

static void bomb(struct buffer *b, unsigned opcode, const char *text)
{
	struct buffer all = { 0 };

	repeat_deflated(&all, opcode, text, MAX_MESSAGE - MAX_MESSAGE % strlen(text));
	put(b, all.p, BOMBS);
	buffer_free(&all);
}

static void make_binary_bomb(struct buffer *b)
{
	bomb(b, WS_BINARY, "x");
}

static void make_text_bomb(struct buffer *b)
{
	bomb(b, WS_TEXT, "€");
}

static void make_json_bomb(struct buffer *b)
{
	struct buffer all = { 0 }, text = { 0 };

	put(&text, "[0", 2);
	while (text.len < MAX_MESSAGE - 2)
		put(&text, ",0", 2);
	put(&text, "]", 1);
	repeat_compressed(&all, WS_TEXT, text.p, text.len);
	put(b, all.p, BOMBS);
	buffer_free(&all);
	buffer_free(&text);
}

static const struct input INPUTS[] = {
	{ "text, 16 KiB a message", 1, false, make_text, false },
	{ "text of all lengths of UTF-8, 13 KiB a message", 16, false, make_umlauts, false },
	{ "32 bytes a message", 5, false, make_short, false },
	{ "1 byte a message", 22, false, make_tiny, false },
	{ "empty messages", 22, false, make_empty, false },
	{ "empty pings", 48, false, make_pings, false },
	{ "pongs of 125 bytes", 4, false, make_pongs, false },
	{ "empty fragments", 34, false, make_empty_fragments, false },
	{ "fragments of 1 byte", 75, false, make_fragments, false },
	{ "pings between fragments of 1 byte", 55, false, make_pings_between, false },
	{ "compressed text, 16 KiB a message", 64, false, make_compressed, false },
	{ "the same with takeover", 64, true, make_compressed, false },
	{ "compressed, 1 byte a message", 230, false, make_compressed_tiny, false },
	{ "the same with takeover", 230, true, make_compressed_tiny, false },
	{ "compressed, empty messages", 225, false, make_compressed_empty, false },
	{ "compressed, fragments of 1 byte", 215, false, make_compressed_fragments, false },
	{ "the same with takeover", 215, true, make_compressed_fragments, false },
	{ "empty final blocks", 350, false, make_final_blocks, false },
	{ "the same with takeover", 350, true, make_final_blocks, false },
	{ "empty stored blocks", 30, false, make_stored_blocks, false },
	{ "empty fixed blocks", 210, false, make_fixed_blocks, false },
	{ "empty dynamic blocks", 1650, false, make_dynamic_blocks, false },
	{ "a bomb of binary", 8200, false, make_binary_bomb, false },
	{ "a bomb of text", 16000, false, make_text_bomb, false },
	{ "a bomb of JSON", 86000, false, make_json_bomb, true },
	{ "JSON of numbers", 82, false, make_json_numbers, true },
	{ "JSON of spaces", 16, false, make_json_spaces, true },
	{ "JSON of nests", 92, false, make_json_nests, true },
	{ "JSON of empty names", 82, false, make_json_members, true },
	{ "JSON of names in escapes", 72, false, make_json_names, true },
	{ "JSON of escapes", 63, false, make_json_escapes, true },
	{ "JSON of text", 8, false, make_json_text, true },
	{ "JSON that is cut", 80, false, make_json_broken, true },
};

static void read_json(const struct ws_message *m)
{
	struct json_value value;
	struct json_error error;
	char shown[2048];

	if (json_find(m->data, m->len, "content", &value, &error))
		json_show(&value, shown, sizeof(shown));
}

/* Apart, and not inlined: the counting tool knows it by its name. */
__attribute__((noinline)) void decode_input(struct ws_decoder *d, uint8_t *p, size_t n, bool json);
void decode_input(struct ws_decoder *d, uint8_t *p, size_t n, bool json)
{
	for (uint8_t *end = p + n, *read_end; p < end;) {
		enum ws_result r = WS_EVENT;
		struct ws_message m;
		enum reason reason;
		uint16_t code;

		read_end = (size_t)(end - p) < READ ? end : p + READ;
		while (r == WS_EVENT) {
			r = ws_decode(d, &p, read_end, &m, &code, &reason);
			if (r == WS_EVENT && json)
				read_json(&m);
		}
		if (r == WS_FAILED) {
			fprintf(stderr, "%s\n", reason_word(reason));
			exit(1);
		}
	}
}

int main(void)
{
	for (size_t i = 0; i < sizeof(INPUTS) / sizeof(INPUTS[0]); i++) {
		struct ws_inflate inflate = { .takeover = INPUTS[i].takeover };
		struct ws_decoder d;
		struct buffer b = { 0 };

		INPUTS[i].make(&b);
		ws_decoder_init(&d, MAX_MESSAGE);
		d.inflate = &inflate;
		printf("%zu %u %s\n", b.len, INPUTS[i].bound, INPUTS[i].name);
		fflush(stdout);
		decode_input(&d, b.p, b.len, INPUTS[i].json);
		ws_decoder_fini(&d);
		buffer_free(&b);
	}
	return 0;
}
