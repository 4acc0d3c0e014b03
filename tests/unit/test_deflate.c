/*
 * permessage-deflate: the examples of RFC 7692, every window, both kinds of
 * takeover, what is broken, and a table of offers.
 */
// links: base proto
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/block.h"
#include "base/metrics.h"
#include "failing.h"
#include "proto/deflate.h"
#include "proto/frame.h"
#include "proto/http.h"
#include "proto/mask.h"

enum { MAX = 100000 };

/* --- decoding --- */

struct bytes {
	const char *p;
	size_t len;
};
/* versions of clang-format differ about braces alone in a macro */
// clang-format off
#define B(text) { text, sizeof(text) - 1 }
// clang-format on

/* What is inflated in one go by the following, 0: all; and how often that was not all. */
static uint32_t slice;
static unsigned pauses;

/* One call, in which no more is inflated than that. */
static enum ws_result decode_slice(struct ws_decoder *d, uint8_t **p, uint8_t *end,
				   struct ws_message *m, uint16_t *code, enum reason *reason)
{
	uint64_t begun;
	enum ws_result r;

	if (!d->inflate)
		return ws_decode(d, p, end, m, code, reason);
	d->inflate->slice = slice;
	d->inflate->work = 0;
	begun = d->inflate->state ? 0 : INFLATE_BEGIN;
	r = ws_decode(d, p, end, m, code, reason);
	if (r == WS_PAUSED) {
		/* of a step the bytes that go in are bounded, and those that come out */
		assert_in_range(d->inflate->work, slice, begun + 2 * slice + 100);
		pauses++;
	}
	return r;
}

/* Feeds bytes in steps; writes the messages, each ended by ";", and the error to out. */
static void decode(struct ws_decoder *d, const struct buffer *in, size_t step, struct buffer *out)
{
	for (size_t at = 0; at < in->len;) {
		size_t n = in->len - at < step ? in->len - at : step;
		uint8_t *copy = malloc(n), *p = copy;
		enum ws_result r = WS_EVENT;
		struct ws_message m;
		enum reason reason;
		uint16_t code;

		memcpy(copy, in->p + at, n);
		while (r == WS_EVENT || r == WS_PAUSED) {
			r = decode_slice(d, &p, copy + n, &m, &code, &reason);
			if (r == WS_EVENT)
				assert_true(buffer_append(out, m.data, m.len) &&
					    buffer_append(out, ";", 1));
		}
		free(copy);
		at += n;
		if (r == WS_FAILED) {
			char text[64];
			int len = snprintf(text, sizeof(text), "%u %s", code, reason_word(reason));

			assert_true(buffer_append(out, text, (size_t)len));
			return;
		}
	}
}

/* A masked frame around the payload. */
static void put_frame(struct buffer *b, uint8_t first, const void *payload, size_t len)
{
	uint8_t head[14] = { first }, size = 2;
	uint32_t key = 0x5a5aa5c3;

	if (len < 126) {
		head[1] = (uint8_t)(0x80 | len);
	} else {
		size = 10;
		head[1] = 0x80 | 127;
		for (int i = 0; i < 8; i++)
			head[2 + i] = (uint8_t)((uint64_t)len >> (56 - 8 * i));
		if (len < 65536) {
			head[1] = 0x80 | 126;
			head[2] = (uint8_t)(len >> 8);
			head[3] = (uint8_t)len;
			size = 4;
		}
	}
	memcpy(head + size, &key, 4);
	assert_true(buffer_append(b, head, size + 4u) && buffer_append(b, payload, len));
	ws_mask(b->p + b->len - len, len, key, 0);
}

static void check_steps(const struct buffer *in, bool takeover, const char *expected)
{
	for (size_t step = 1; step <= in->len; step += step < 40 ? 1 : in->len) {
		struct ws_inflate inflate = { .takeover = takeover };
		struct buffer out = { 0 };
		struct ws_decoder d;

		ws_decoder_init(&d, MAX);
		d.inflate = &inflate;
		decode(&d, in, step, &out);
		assert_true(buffer_append(&out, "", 1));
		if (strcmp((char *)out.p, expected) != 0)
			fail_msg("%zu bytes in steps of %zu: %s, not %s", in->len, step,
				 (char *)out.p, expected);
		ws_decoder_fini(&d);
		assert_null(inflate.state);
		buffer_free(&out);
	}
}

static void check_bytes(const struct buffer *in, bool takeover, const char *expected)
{
	static const uint32_t slices[] = { 1, 17, 300, 0 };

	for (size_t i = 0; i < sizeof(slices) / sizeof(*slices); i++) {
		slice = slices[i];
		check_steps(in, takeover, expected);
	}
}

struct frame {
	uint8_t first;
	struct bytes payload;
};

struct sample {
	struct frame frames[4];
	bool takeover;
	const char *expected;
};

static const struct sample samples[] = {
	/* RFC 7692 7.2.3.1 to 7.2.3.6 */
	{ { { 0xc1, B("\xf2\x48\xcd\xc9\xc9\x07\x00") } }, false, "Hello;" },
	{ { { 0x41, B("\xf2\x48\xcd") }, { 0x80, B("\xc9\xc9\x07\x00") } }, false, "Hello;" },
	{ { { 0xc1, B("\xf2\x48\xcd\xc9\xc9\x07\x00") }, { 0xc1, B("\xf2\x00\x11\x00\x00") } },
	  true,
	  "Hello;Hello;" },
	{ { { 0xc1, B("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00") } }, false, "Hello;" },
	{ { { 0xc1, B("\xf3\x48\xcd\xc9\xc9\x07\x00\x00") } }, false, "Hello;" },
	{ { { 0xc1, B("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00") } },
	  false,
	  "Hello;" },
	{ { { 0xc1, B("\x00") } }, false, ";" },
	{ { { 0xc1, B("\x02\x00") } }, false, ";" },
	/* a window goes on behind a last block */
	{ { { 0xc1, B("\xf3\x48\xcd\xc9\xc9\x07\x00\x00") }, { 0xc1, B("\xf2\x00\x11\x00\x00") } },
	  true,
	  "Hello;Hello;" },
	/* plain and compressed messages, and control frames between fragments */
	{ { { 0x41, B("\xf2\x48\xcd") },
	    { 0x89, B("ping") },
	    { 0x80, B("\xc9\xc9\x07\x00") },
	    { 0x81, B("plain") } },
	  false,
	  "ping;Hello;plain;" },
	{ { { 0x41, B("") }, { 0x00, B("\xf2\x48\xcd\xc9\xc9\x07\x00") }, { 0x80, B("") } },
	  false,
	  "Hello;" },
	/* only the first frame says it */
	{ { { 0x41, B("\xf2\x48\xcd") }, { 0xc0, B("\xc9\xc9\x07\x00") } },
	  false,
	  "1002 protocol-error" },
	{ { { 0xc9, B("") } }, false, "1002 protocol-error" },
	{ { { 0xa1, B("") } }, false, "1002 protocol-error" },
	{ { { 0xe1, B("\x00") } }, false, "1002 protocol-error" },
	/* broken: not deflate, a distance that leads nowhere, cut, nothing at all */
	{ { { 0xc1, B("\xff\xff\xff") } }, false, "1007 bad-deflate" },
	{ { { 0xc1, B("\xf2\x00\x11\x00\x00") } }, false, "1007 bad-deflate" },
	{ { { 0xc1, B("\xf2\x48\xcd\xc9\xc9\x07\x00") }, { 0xc1, B("\xf2\x00\x11\x00\x00") } },
	  false,
	  "Hello;1007 bad-deflate" },
	{ { { 0xc1, B("\xf2\x48\xcd") } }, false, "1007 bad-deflate" },
	{ { { 0xc1, B("") } }, false, "1007 bad-deflate" },
	{ { { 0xc2, B("\x00\x05\x00\xfa\xff\x48\x65") } }, false, "1007 bad-deflate" },
	/* ends with a final block, without the empty one that has to follow it */
	{ { { 0xc1, B("\xf3\x48\xcd\xc9\xc9\x07\x00") } }, false, "Hello;" },
	{ { { 0xc1, B("\x03\x00") } }, false, ";" },
	{ { { 0x41, B("\xf3\x48\xcd\xc9\xc9\x07\x00") }, { 0x80, B("") } }, false, "Hello;" },
	{ { { 0xc1, B("\xf3\x48\xcd\xc9\xc9\x07\x00") }, { 0xc1, B("\xf2\x00\x11\x00\x00") } },
	  true,
	  "Hello;Hello;" },
	{ { { 0xc1, B("\xf3\x48\xcd\xc9\xc9\x07\x00") }, { 0xc1, B("") } },
	  true,
	  "Hello;1007 bad-deflate" },
	/* keeps the four bytes that are not to be sent */
	{ { { 0xc1, B("\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff") } }, false, "Hello;" },
	{ { { 0xc1, B("\xf3\x48\xcd\xc9\xc9\x07\x00\x00\x00\x00\xff\xff") } }, false, "Hello;" },
	{ { { 0xc1, B("\x00\x00\x00\xff\xff") } }, false, ";" },
	{ { { 0xc1, B("\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff") },
	    { 0xc1, B("\xf2\x00\x11\x00\x00\x00\x00\xff\xff") } },
	  true,
	  "Hello;Hello;" },
	{ { { 0xc1, B("\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff") }, { 0xc1, B("") } },
	  true,
	  "Hello;1007 bad-deflate" },
	/* and what may as well have been cut */
	{ { { 0xc1, B("\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff") } }, false, "1007 bad-deflate" },
	{ { { 0xc1, B("\xf3\x48\xcd\xc9\xc9\x07") } }, false, "1007 bad-deflate" },
	{ { { 0xc2, B("\x00\x00\xff\xff") } }, false, "1007 bad-deflate" },
	{ { { 0xc2, B("\x9a\xb0\x70\xd3\xe1\x2b\x4f\x01") } }, false, "1007 bad-deflate" },
	/* the text must be UTF-8, and what is no text need not */
	{ { { 0xc1, B("\x00\x02\x00\xfd\xff\xc3\xa9\x00") } }, false, "\xc3\xa9;" },
	{ { { 0xc1, B("\x00\x02\x00\xfd\xff\xc3\x28\x00") } }, false, "1007 bad-utf8" },
	{ { { 0xc1, B("\x00\x01\x00\xfe\xff\xc3\x00") } }, false, "1007 bad-utf8" },
	{ { { 0xc2, B("\x00\x01\x00\xfe\xff\xc3\x00") } }, false, "\xc3;" },
};

static void test_samples(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
		struct buffer in = { 0 };

		for (size_t k = 0; k < 4 && samples[i].frames[k].payload.p; k++)
			put_frame(&in, samples[i].frames[k].first, samples[i].frames[k].payload.p,
				  samples[i].frames[k].payload.len);
		check_bytes(&in, samples[i].takeover, samples[i].expected);
		buffer_free(&in);
	}
}

static void test_not_agreed_on(void **state)
{
	struct buffer in = { 0 }, out = { 0 };
	struct ws_decoder d;

	(void)state;
	put_frame(&in, 0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7);
	ws_decoder_init(&d, MAX);
	decode(&d, &in, in.len, &out);
	assert_true(buffer_append(&out, "", 1));
	assert_string_equal((char *)out.p, "1002 protocol-error");
	ws_decoder_fini(&d);
	buffer_free(&in);
	buffer_free(&out);
}

/* --- both directions --- */

static uint8_t *make_text(size_t len)
{
	static const char *const words[] = {
		"{\"type\":", "\"info\"", ",\"n\":", "é", "0123", "}\n"
	};
	uint8_t *p = malloc(len + 16);
	unsigned seed = 1;
	size_t n = 0;

	assert_non_null(p);
	while (n < len) {
		const char *w = words[seed % 6];

		seed = seed * 1103515245 + 12345;
		if (n + strlen(w) > len)
			w = "x";
		memcpy(p + n, w, strlen(w));
		n += strlen(w);
	}
	return p;
}

/* Messages of several sizes, compressed by us, framed as a client does, decoded by us. */
static void round_trip(int level, int bits, bool takeover, size_t step)
{
	static const size_t sizes[] = { 0, 1, 16, 125, 300, 5000, 70000, 0, 0, 16 };
	struct deflater *c = deflater_new(level, 8, bits);
	struct ws_inflate inflate = { .takeover = takeover };
	struct buffer in = { 0 }, out = { 0 }, expected = { 0 }, z = { 0 };
	struct ws_decoder d;

	assert_non_null(c);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		uint8_t *text = make_text(sizes[i]);
		struct deflate_part parts[] = { { text, sizes[i] / 3 },
						{ NULL, 0 },
						{ text + sizes[i] / 3, sizes[i] - sizes[i] / 3 } };

		if (!takeover)
			deflater_forget(c);
		z.len = 0;
		assert_true(deflater_message(c, parts, 3, &z));
		/* the four bytes that end each one are not sent (RFC 7692 7.2.1) */
		assert_true(z.len < 4 || memcmp(z.p + z.len - 4, "\0\0\xff\xff", 4) != 0);
		put_frame(&in, 0xc1, z.p, z.len);
		assert_true(buffer_append(&expected, text, sizes[i]) &&
			    buffer_append(&expected, ";", 1));
		free(text);
	}
	ws_decoder_init(&d, MAX);
	d.inflate = &inflate;
	decode(&d, &in, step, &out);
	assert_int_equal(out.len, expected.len);
	assert_memory_equal(out.p, expected.p, out.len);
	assert_int_equal(inflate.state != NULL, takeover);
	ws_decoder_fini(&d);
	deflater_free(c);
	buffer_free(&in);
	buffer_free(&out);
	buffer_free(&expected);
	buffer_free(&z);
}

static void test_round_trips(void **state)
{
	(void)state;
	for (int bits = DEFLATE_BITS_MIN; bits <= DEFLATE_BITS_MAX; bits++) {
		for (int takeover = 0; takeover < 2; takeover++) {
			round_trip(1, bits, takeover, SIZE_MAX);
			round_trip(9, bits, takeover, 7);
		}
	}
}

/* It is the same in slices, of whatever size, and in frames that lie whole in the input. */
static void test_round_trips_in_slices(void **state)
{
	static const uint32_t slices[] = { 1, 50, 1000, 30000 };

	(void)state;
	for (size_t i = 0; i < sizeof(slices) / sizeof(*slices); i++) {
		slice = slices[i];
		pauses = 0;
		for (int takeover = 0; takeover < 2; takeover++) {
			round_trip(1, 15, takeover, SIZE_MAX);
			round_trip(9, 9, takeover, 7);
			round_trip(6, 15, takeover, 5000);
		}
		assert_true(pauses > 0);
	}
	slice = 0;
}

/* What is cut in the middle of what comes out goes on, also when all has gone in. */
static void test_a_bomb_in_slices(void **state)
{
	uint8_t *zeros = calloc(1, MAX);
	struct deflate_part part = { zeros, MAX };
	struct deflater *c = deflater_new(9, 8, 15);
	struct ws_inflate inflate = { .takeover = true };
	struct buffer z = { 0 }, in = { 0 }, out = { 0 };
	struct ws_decoder d;

	(void)state;
	assert_true(zeros && deflater_message(c, &part, 1, &z));
	put_frame(&in, 0xc2, z.p, z.len);
	ws_decoder_init(&d, MAX);
	d.inflate = &inflate;
	for (slice = 1000; slice < MAX; slice *= 4) {
		pauses = 0;
		out.len = 0;
		decode(&d, &in, SIZE_MAX, &out);
		assert_int_equal(out.len, MAX + 1);
		assert_memory_equal(out.p, zeros, MAX);
		assert_true(pauses >= MAX / slice);
	}
	slice = 0;
	ws_decoder_fini(&d);
	deflater_free(c);
	buffer_free(&z);
	buffer_free(&in);
	buffer_free(&out);
	free(zeros);
}

/* Blocks of which nothing comes out are work, too, and each read is done with at last. */
static void test_empty_blocks_in_slices(void **state)
{
	static const uint8_t empty[] = { 0x00, 0x00, 0x00, 0xff, 0xff };
	struct ws_inflate inflate = { .takeover = true };
	struct buffer payload = { 0 }, in = { 0 }, out = { 0 };
	struct ws_decoder d;

	(void)state;
	for (int i = 0; i < 10000; i++)
		assert_true(buffer_append(&payload, empty, sizeof(empty)));
	assert_true(buffer_append(&payload, "", 1));
	put_frame(&in, 0xc2, payload.p, payload.len);
	ws_decoder_init(&d, MAX);
	d.inflate = &inflate;
	slice = 65536;
	pauses = 0;
	decode(&d, &in, SIZE_MAX, &out);
	assert_int_equal(out.len, 1);
	assert_in_range(pauses, payload.len / 4096, 2 * payload.len / 4096);
	slice = 0;
	ws_decoder_fini(&d);
	buffer_free(&payload);
	buffer_free(&in);
	buffer_free(&out);
}

/* The same message is much shorter the second time, if the first is remembered. */
static void test_takeover_pays(void **state)
{
	struct deflate_part part = { "a message that is sent again and again", 38 };
	struct deflater *d = deflater_new(6, 8, 15);
	struct buffer first = { 0 }, second = { 0 }, third = { 0 };

	(void)state;
	assert_true(deflater_message(d, &part, 1, &first) &&
		    deflater_message(d, &part, 1, &second));
	deflater_forget(d);
	assert_true(deflater_message(d, &part, 1, &third));
	assert_true(second.len < first.len / 3);
	assert_int_equal(third.len, first.len);
	assert_memory_equal(third.p, first.p, first.len);
	deflater_free(d);
	buffer_free(&first);
	buffer_free(&second);
	buffer_free(&third);
}

static void test_no_memory_for_a_compressor(void **state)
{
	struct deflater *d = NULL;
	unsigned n;

	(void)state;
	for (n = 1; !d; n++) {
		failing_from(n);
		d = deflater_new(6, 8, 15);
		assert_true(failing_end() || d);
	}
	assert_true(n > 2);
	deflater_free(d);
}

/* Nothing is left of a message for which there is no memory, and the next one stands alone. */
static void test_no_memory_for_a_message(void **state)
{
	static const char before[] = "before";
	uint8_t *text = make_text(70000);
	struct deflate_part part = { text, 70000 };
	struct deflater *d = deflater_new(1, 8, 15), *fresh = deflater_new(1, 8, 15);
	struct buffer out = { 0 }, expected = { 0 };
	bool done = false;
	unsigned n;

	(void)state;
	assert_true(deflater_message(fresh, &part, 1, &expected));
	for (n = 1; !done; n++) {
		out.len = 0;
		assert_true(buffer_append(&out, before, sizeof(before)));
		failing_from(n);
		done = deflater_message(d, &part, 1, &out);
		assert_true(failing_end() || done);
		assert_memory_equal(out.p, before, sizeof(before));
		assert_true(done || out.len == sizeof(before));
	}
	assert_true(n > 2);
	assert_int_equal(out.len, sizeof(before) + expected.len);
	assert_memory_equal(out.p + sizeof(before), expected.p, expected.len);
	deflater_free(d);
	deflater_free(fresh);
	buffer_free(&out);
	buffer_free(&expected);
	free(text);
}

static void test_level_can_change(void **state)
{
	size_t len = 50000;
	uint8_t *text = make_text(len);
	struct deflate_part part = { text, len };
	struct deflater *d = deflater_new(1, 8, 15);
	struct buffer fast = { 0 }, small = { 0 };

	(void)state;
	assert_true(deflater_message(d, &part, 1, &fast));
	deflater_forget(d);
	deflater_set_level(d, 9);
	assert_true(deflater_message(d, &part, 1, &small));
	assert_true(small.len < fast.len);
	deflater_free(d);
	buffer_free(&fast);
	buffer_free(&small);
	free(text);
}

/* 10 MB of zeros in 10 KB: refused while it is inflated, at the cost of one message. */
static void test_bomb(void **state)
{
	size_t len = 10 << 20;
	uint8_t *zeros = calloc(1, len);
	struct deflate_part part = { zeros, len };
	struct deflater *c = deflater_new(9, 8, 15);
	struct buffer z = { 0 }, out = { 0 };
	struct ws_inflate i = { .takeover = false };
	const uint8_t *p;

	(void)state;
	assert_true(zeros && deflater_message(c, &part, 1, &z));
	p = z.p;
	assert_int_equal(inflate_some(&i, &p, z.p + z.len, &out, MAX, NULL), INFLATE_TOO_BIG);
	assert_int_equal(out.len, MAX + 1);
	assert_true(out.size <= 2 * (MAX + 1));
	inflate_fini(&i);
	deflater_free(c);
	buffer_free(&z);
	buffer_free(&out);
	free(zeros);
}

/* Who is in the midst of a message needs a state of his own; memory that was not touched yet is work. */
static void test_a_new_state_is_work(void **state)
{
	static const uint8_t hello[] = { 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00 };
	struct ws_inflate two[2] = { { .takeover = true }, { .takeover = true } };
	struct buffer out = { 0 };
	const uint8_t *p;

	(void)state;
	for (int i = 0; i < 2; i++) {
		p = hello;
		assert_int_equal(inflate_some(&two[i], &p, hello + sizeof(hello), &out, MAX, NULL),
				 INFLATE_OK);
		assert_int_equal(inflate_end(&two[i], &out, MAX, NULL), INFLATE_OK);
	}
	assert_in_range(two[1].work, INFLATE_BEGIN, INFLATE_BEGIN + 1000);
	two[1].work = 0;
	p = hello;
	assert_int_equal(inflate_some(&two[1], &p, hello + sizeof(hello), &out, MAX, NULL),
			 INFLATE_OK);
	assert_in_range(two[1].work, 1, 1000);
	assert_int_equal(out.len, 15);
	for (int i = 0; i < 2; i++)
		inflate_fini(&two[i]);
	buffer_free(&out);
}

/* A message of exactly max_message passes although it got longer by compressing it. */
static void test_the_largest_message(void **state)
{
	uint8_t *noise = malloc(MAX);
	struct deflate_part part = { noise, MAX };
	struct deflater *c = deflater_new(9, 1, 15);
	struct buffer z = { 0 }, in = { 0 };
	struct buffer out = { 0 };
	struct ws_inflate i = { .takeover = false };
	struct ws_decoder d;
	unsigned seed = 7;

	(void)state;
	for (size_t k = 0; k < MAX; k++)
		noise[k] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
	assert_true(deflater_message(c, &part, 1, &z));
	assert_true(z.len > MAX);
	put_frame(&in, 0xc2, z.p, z.len);
	ws_decoder_init(&d, MAX);
	d.inflate = &i;
	decode(&d, &in, SIZE_MAX, &out);
	assert_int_equal(out.len, MAX + 1);
	ws_decoder_fini(&d);
	deflater_free(c);
	buffer_free(&z);
	buffer_free(&in);
	buffer_free(&out);
	free(noise);
}

/*
 * A message is one call, and may be as long as the configuration allows: the heartbeat
 * moves meanwhile, both ways.
 */
static void test_long_messages_beat(void **state)
{
	enum { LONG = 8 << 20 };
	uint8_t *zeros = calloc(1, LONG);
	struct deflate_part part = { zeros, LONG };
	struct deflater *c = deflater_new(1, 8, 15);
	struct buffer z = { 0 }, out = { 0 };
	struct ws_inflate i = { .takeover = false };
	const uint8_t *p;
	uint64_t before = metrics_heartbeat(metrics_own);

	(void)state;
	assert_true(zeros && deflater_message(c, &part, 1, &z));
	assert_true(metrics_heartbeat(metrics_own) - before >= LONG / 4096);
	before = metrics_heartbeat(metrics_own);
	p = z.p;
	assert_int_equal(inflate_some(&i, &p, z.p + z.len, &out, LONG, NULL), INFLATE_OK);
	assert_true(metrics_heartbeat(metrics_own) - before >= LONG / (256 * 1024));
	inflate_fini(&i);
	deflater_free(c);
	buffer_free(&z);
	buffer_free(&out);
	free(zeros);
}

/* The memory of a long message serves others when the next, short one has come. */
static void test_long_messages_leave_nothing(void **state)
{
	enum { LONG = 900000 };
	struct deflater *c = deflater_new(1, 8, 15);
	struct ws_inflate inflate = { .takeover = false };
	struct buffer in = { 0 }, out = { 0 }, z = { 0 };
	struct ws_decoder d;
	size_t waiting;

	(void)state;
	for (size_t len = LONG; len > 0; len /= LONG) {
		uint8_t *text = make_text(len);
		struct deflate_part part = { text, len };

		z.len = 0;
		assert_true(deflater_message(c, &part, 1, &z));
		put_frame(&in, 0xc1, z.p, z.len);
		free(text);
		deflater_forget(c);
	}
	assert_true(buffer_reserve(&out, 2 * LONG));
	ws_decoder_init(&d, LONG);
	d.inflate = &inflate;
	waiting = block_waiting();
	decode(&d, &in, SIZE_MAX, &out);
	assert_int_equal(out.len, LONG + 3);
	assert_true(block_waiting() >= waiting + LONG);
	ws_decoder_fini(&d);
	deflater_free(c);
	buffer_free(&in);
	buffer_free(&out);
	buffer_free(&z);
}

/* --- what is agreed on --- */

struct offer {
	const char *value; /* of the header, or several with "|" between them */
	const char *answer; /* behind "permessage-deflate"; NULL: none */
};

#define NO_TAKEOVER "; server_no_context_takeover; client_no_context_takeover"

static const struct offer offers[] = {
	{ "permessage-deflate", NO_TAKEOVER },
	{ "PERMESSAGE-DEFLATE", NO_TAKEOVER },
	{ "permessage-deflate; client_max_window_bits", NO_TAKEOVER },
	{ "permessage-deflate ;client_max_window_bits ;  server_no_context_takeover", NO_TAKEOVER },
	{ "permessage-deflate; client_max_window_bits=10",
	  NO_TAKEOVER "; client_max_window_bits=10" },
	{ "permessage-deflate; client_max_window_bits=\"10\"",
	  NO_TAKEOVER "; client_max_window_bits=10" },
	{ "permessage-deflate; client_max_window_bits=8",
	  NO_TAKEOVER "; client_max_window_bits=8" },
	{ "permessage-deflate; server_max_window_bits=9",
	  NO_TAKEOVER "; server_max_window_bits=9" },
	{ "permessage-deflate; server_max_window_bits=15",
	  NO_TAKEOVER "; server_max_window_bits=15" },
	{ "permessage-deflate; server_max_window_bits=8", NULL },
	{ "permessage-deflate; server_max_window_bits=8, permessage-deflate", NO_TAKEOVER },
	{ "permessage-deflate; server_max_window_bits", NULL },
	{ "permessage-deflate; server_max_window_bits=16", NULL },
	{ "permessage-deflate; server_max_window_bits=7", NULL },
	{ "permessage-deflate; server_max_window_bits=09", NULL },
	{ "permessage-deflate; server_max_window_bits=+9", NULL },
	{ "permessage-deflate; server_max_window_bits=9x", NULL },
	{ "permessage-deflate; server_max_window_bits=\"9", NULL },
	{ "permessage-deflate; server_max_window_bits=", NULL },
	{ "permessage-deflate; client_max_window_bits=0", NULL },
	{ "permessage-deflate; client_max_window_bits=1", NULL },
	{ "permessage-deflate; client_max_window_bits=100", NULL },
	{ "permessage-deflate; client_max_window_bits=\"\"", NULL },
	{ "permessage-deflate; server_no_context_takeover=1", NULL },
	{ "permessage-deflate; client_no_context_takeover=true", NULL },
	{ "permessage-deflate; unknown", NULL },
	{ "permessage-deflate; unknown=1, permessage-deflate", NO_TAKEOVER },
	{ "permessage-deflate; server_no_context_takeover; server_no_context_takeover", NULL },
	{ "permessage-deflate; client_max_window_bits; client_max_window_bits=9", NULL },
	{ "permessage-deflate;", NULL },
	{ "permessage-deflate;;client_max_window_bits", NULL },
	{ "permessage-deflate x", NULL },
	{ "x-webkit-deflate-frame", NULL },
	{ "permessage-bzip2, permessage-deflate", NO_TAKEOVER },
	{ "permessage-bzip2; a=\"b\"; c, permessage-deflate", NO_TAKEOVER },
	{ ", ,permessage-deflate,", NO_TAKEOVER },
	{ "", NULL },
	{ ",", NULL },
	{ "=, permessage-deflate", NULL },
	{ "x|permessage-deflate", NO_TAKEOVER },
	{ "x; =|permessage-deflate", NO_TAKEOVER },
	{ "permessage-deflate; server_max_window_bits=10|permessage-deflate",
	  NO_TAKEOVER "; server_max_window_bits=10" },
	{ "permessage-deflate; client_no_context_takeover; server_max_window_bits=12; "
	  "client_max_window_bits=11; server_no_context_takeover",
	  NO_TAKEOVER "; server_max_window_bits=12; client_max_window_bits=11" },
};

/* What the response says to the offer if we want `wanted`. */
static void check_offer(const struct offer *o, const struct deflate_params *wanted)
{
	char text[2048] = "GET / HTTP/1.1\r\n", value[512], line[DEFLATE_HEADER_MAX];
	char expected[DEFLATE_HEADER_MAX] = "";
	static struct http_head head;
	struct http_progress none = { 0 };
	struct deflate_params agreed;
	size_t len;

	strcpy(value, o->value);
	for (char *p = strtok(value, "|"); p || !*o->value; p = strtok(NULL, "|")) {
		strcat(text, "Sec-WebSocket-Extensions: ");
		strcat(text, p ? p : "");
		strcat(text, "\r\n");
		if (!p)
			break;
	}
	strcat(text, "\r\n");
	assert_true(http_parse_head(text, strlen(text), sizeof(text), &none, &head) > 0);
	deflate_negotiate(&head, wanted, &agreed);
	assert_int_equal(agreed.on, o->answer != NULL);
	len = deflate_write_header(line, &agreed);
	assert_int_equal(len, strlen(line));
	if (o->answer)
		sprintf(expected, "Sec-WebSocket-Extensions: permessage-deflate%s\r\n", o->answer);
	if (strcmp(line, expected) != 0)
		fail_msg("%s: %s, not %s", o->value, line, expected);
}

static void test_offers(void **state)
{
	const struct deflate_params wanted = { .on = true, .server_bits = 15, .client_bits = 15 };

	(void)state;
	for (size_t i = 0; i < sizeof(offers) / sizeof(*offers); i++)
		check_offer(&offers[i], &wanted);
}

static void test_what_we_want(void **state)
{
	static const struct offer all[] = {
		{ "permessage-deflate", "; server_max_window_bits=11" },
		{ "permessage-deflate; client_max_window_bits",
		  "; server_max_window_bits=11; client_max_window_bits=12" },
		{ "permessage-deflate; client_max_window_bits=10; server_max_window_bits=10",
		  "; server_max_window_bits=10; client_max_window_bits=10" },
		{ "permessage-deflate; client_max_window_bits=14; server_max_window_bits=14",
		  "; server_max_window_bits=11; client_max_window_bits=12" },
		{ "permessage-deflate; server_no_context_takeover",
		  "; server_no_context_takeover; server_max_window_bits=11" },
		{ "permessage-deflate; client_no_context_takeover",
		  "; client_no_context_takeover; server_max_window_bits=11" },
	};
	const struct deflate_params wanted = { .on = true,
					       .server_takeover = true,
					       .client_takeover = true,
					       .server_bits = 11,
					       .client_bits = 12 };
	const struct deflate_params off = { .on = false, .server_bits = 15, .client_bits = 15 };
	const struct offer none = { "permessage-deflate", NULL };

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		check_offer(&all[i], &wanted);
	check_offer(&none, &off);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_not_agreed_on),
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_round_trips_in_slices),
		cmocka_unit_test(test_a_bomb_in_slices),
		cmocka_unit_test(test_empty_blocks_in_slices),
		cmocka_unit_test(test_takeover_pays),
		cmocka_unit_test(test_no_memory_for_a_compressor),
		cmocka_unit_test(test_no_memory_for_a_message),
		cmocka_unit_test(test_level_can_change),
		cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_a_new_state_is_work),
		cmocka_unit_test(test_the_largest_message),
		cmocka_unit_test(test_long_messages_beat),
		cmocka_unit_test(test_long_messages_leave_nothing),
		cmocka_unit_test(test_offers),
		cmocka_unit_test(test_what_we_want),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
