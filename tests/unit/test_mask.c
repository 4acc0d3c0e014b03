// links: proto
/*
 * test_mask.c - masking and the check of text: every kernel that this machine
 * has against the scalar one, and the scalar one against a decoder of code points.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/mask.h"
#include "proto/text.h"

enum { MAX = 300, ROOM = MAX + 64 };

/* The values at which some rule about a byte begins or ends. */
static const uint8_t EDGES[] = {
	0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf,
	0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
};

enum { N_EDGES = sizeof(EDGES) };

/* Where a sequence is placed: across the vectors and blocks of each kernel. */
static const size_t BORDERS[] = { 16, 32, 64, 128, 256 };

enum { N_BORDERS = sizeof(BORDERS) / sizeof(BORDERS[0]) };

static uint64_t seed = 0x9e3779b97f4a7c15u;

/* xorshift64: the same numbers in each run. */
static uint32_t dice(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % n;
}

static uint32_t random_key(void)
{
	return dice(UINT32_MAX);
}

/* Byte by byte, as RFC 6455 5.3 has it. */
static void reference_mask(uint8_t *p, size_t n, uint32_t key, size_t offset)
{
	for (size_t i = 0; i < n; i++)
		p[i] ^= ((const uint8_t *)&key)[(offset + i) & 3];
}

/* Writes a code point by the bits of RFC 3629 3, also those that have no valid form. */
static size_t encode(uint8_t *p, uint32_t c, size_t size)
{
	static const uint8_t LEADS[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = size; i-- > 1; c >>= 6)
		p[i] = (uint8_t)(0x80 | (c & 0x3f));
	p[0] = (uint8_t)(LEADS[size] | c);
	return size;
}

static size_t form_of(uint32_t c)
{
	return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

/* Whether n bytes are whole characters: each code point in range and in its shortest form. */
static bool reference_valid(const uint8_t *p, size_t n)
{
	size_t size, i = 0, j;
	uint32_t c;

	for (; i < n; i += size) {
		size = p[i] < 0x80 ? 1 : p[i] >> 5 == 6 ? 2 : p[i] >> 4 == 14 ? 3 : 4;
		if ((size == 4 && p[i] >> 3 != 30) || i + size > n)
			return false;
		c = size == 1 ? p[i] : p[i] & (0x7fu >> size);
		for (j = 1; j < size; j++) {
			if (p[i + j] >> 6 != 2)
				return false;
			c = c << 6 | (p[i + j] & 0x3f);
		}
		if (form_of(c) != size || c > 0x10ffff || c >> 11 == 0x1b)
			return false;
	}
	return true;
}

enum text { ASCII, LATIN, CJK, EMOJI, MIXED, N_TEXTS };

static uint32_t code_point(enum text kind)
{
	static const uint32_t FROM[] = { 0x20, 0x80, 0x800, 0x10000 };
	static const uint32_t TO[] = { 0x80, 0x800, 0x10000, 0x110000 };
	uint32_t c;

	if (kind == MIXED)
		kind = (enum text)dice(MIXED);
	do
		c = FROM[kind] + dice(TO[kind] - FROM[kind]);
	while (c >> 11 == 0x1b);
	return c;
}

/* Exactly n bytes of valid text; ASCII fills up what the last character leaves. */
static void fill(uint8_t *p, size_t n, enum text kind)
{
	uint32_t c;
	size_t i = 0;

	while (i < n) {
		c = code_point(kind);
		if (form_of(c) > n - i)
			c = 'x';
		i += encode(p + i, c, form_of(c));
	}
}

/* Stops with what differs if k does not do to the text in two calls as the scalar does. */
static void compare(const struct text_kernel *k, const uint8_t *text, size_t n, size_t split,
		    size_t align)
{
	utf8_state first = utf8_feed_scalar(UTF8_BOUNDARY, text, split), fed, unmasked;
	utf8_state second = utf8_feed_scalar(first, text + split, n - split);
	uint32_t key = random_key();
	uint8_t room[ROOM], *p = room + 1 + align;

	memcpy(p, text, n);
	reference_mask(p, n, key, 0);
	p[-1] = p[n] = 0xa5;
	fed = k->feed(UTF8_BOUNDARY, text, split);
	unmasked = k->unmask(p, split, key, UTF8_BOUNDARY);
	if (fed != first || unmasked != first)
		fail_msg("%s: %zu bytes, the first of %zu: %x and %x, not %x", k->name, split, n,
			 fed, unmasked, first);
	if (first == UTF8_INVALID)
		return;
	fed = k->feed(first, text + split, n - split);
	unmasked = k->unmask(p + split, n - split, text_turn_key(key, split), first);
	if (fed != second || unmasked != second)
		fail_msg("%s: %zu bytes from %zu on: %x and %x, not %x", k->name, n - split, split,
			 fed, unmasked, second);
	if (second != UTF8_INVALID)
		assert_memory_equal(p, text, n);
	assert_int_equal(p[-1], 0xa5);
	assert_int_equal(p[n], 0xa5);
}

/* Calls what for each kernel of this machine; there is at least the plain one. */
static void each_kernel(void (*what)(const struct text_kernel *k))
{
	size_t ran = 0;

	for (size_t i = 0; text_kernels[i]; i++) {
		if (!text_kernels[i]->usable())
			continue;
		what(text_kernels[i]);
		ran++;
	}
	assert_true(ran > 0);
}

/* RFC 6455 5.7: a single-frame masked text message, "Hello". */
static void test_rfc_example(void **state)
{
	static const uint8_t key_bytes[4] = { 0x37, 0xfa, 0x21, 0x3d };
	static const uint8_t wire[5] = { 0x7f, 0x9f, 0x4d, 0x51, 0x58 };
	uint8_t whole[5], parts[5];
	utf8_state s = UTF8_BOUNDARY;
	uint32_t key;

	(void)state;
	memcpy(&key, key_bytes, sizeof(key));
	memcpy(whole, wire, sizeof(wire));
	ws_mask(whole, sizeof(whole), key, 0);
	assert_memory_equal(whole, "Hello", 5);
	memcpy(parts, wire, sizeof(wire));
	for (size_t i = 0; i < sizeof(parts); i++)
		s = ws_unmask_text(parts + i, 1, key, i, s);
	assert_memory_equal(parts, "Hello", 5);
	assert_int_equal(s, UTF8_BOUNDARY);
}

static void test_best_is_the_first_usable(void **state)
{
	size_t i = 0;

	(void)state;
	while (!text_kernels[i]->usable())
		i++;
	assert_ptr_equal(text_best, text_kernels[i]);
	print_message("kernel: %s\n", text_best->name);
}

/* The calls themselves, with their way out for what is short. */
static void test_calls(void **state)
{
	uint8_t text[MAX], room[ROOM], *p;
	size_t n, offset, split;
	utf8_state s;
	uint32_t key;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		n = dice(MAX + 1), offset = dice(1000), split = dice((uint32_t)n + 1);
		key = random_key();
		p = room + dice(64);
		fill(text, n, (enum text)dice(N_TEXTS));
		memcpy(p, text, n);
		reference_mask(p, n, key, offset);
		s = ws_unmask_text(p, split, key, offset, UTF8_BOUNDARY);
		assert_int_equal(s, utf8_feed_scalar(UTF8_BOUNDARY, text, split));
		assert_int_equal(s, utf8_feed(UTF8_BOUNDARY, text, split));
		s = ws_unmask_text(p + split, n - split, key, offset + split, s);
		assert_int_equal(s, UTF8_BOUNDARY);
		assert_memory_equal(p, text, n);
		assert_true(utf8_valid(text, n));
		ws_mask(p, n, key, offset);
		reference_mask(p, n, key, offset);
		assert_memory_equal(p, text, n);
	}
}

/* What is short has ways of its own in the calls: there, too, each byte may be wrong. */
static void test_short_calls(void **state)
{
	uint8_t text[80], wire[80], was;
	utf8_state expected;
	uint32_t key;

	(void)state;
	for (size_t i = 0; i < sizeof(text) * sizeof(text) * N_TEXTS; i++) {
		size_t at = i % sizeof(text), n = i / sizeof(text) % sizeof(text);

		if (at >= n)
			continue;
		fill(text, n, (enum text)(i / sizeof(text) / sizeof(text)));
		was = text[at];
		for (size_t e = 0; e < N_EDGES; e++) {
			text[at] = EDGES[e];
			expected = utf8_feed_scalar(UTF8_BOUNDARY, text, n);
			assert_int_equal(utf8_feed(UTF8_BOUNDARY, text, n), expected);
			key = random_key();
			memcpy(wire, text, n);
			reference_mask(wire, n, key, 3);
			assert_int_equal(ws_unmask_text(wire, n, key, 3, UTF8_BOUNDARY), expected);
			if (expected != UTF8_INVALID)
				assert_memory_equal(wire, text, n);
			text[at] = was;
		}
	}
}

static void mask_lengths(const struct text_kernel *k)
{
	uint8_t text[MAX], room[ROOM], *p;
	uint32_t key;

	fill(text, MAX, MIXED);
	for (size_t n = 0; n <= MAX; n++) {
		for (int i = 0; i < 8; i++) {
			key = random_key();
			p = room + 1 + dice(62);
			memcpy(p, text, n);
			p[-1] = p[n] = 0xa5;
			k->mask(p, n, key);
			reference_mask(p, n, key, 0);
			assert_memory_equal(p, text, n);
			assert_int_equal(p[-1], 0xa5);
			assert_int_equal(p[n], 0xa5);
		}
	}
}

static void test_mask_at_each_length(void **state)
{
	(void)state;
	each_kernel(mask_lengths);
}

static void valid_lengths(const struct text_kernel *k)
{
	uint8_t text[MAX];

	for (size_t n = 0; n <= MAX; n++) {
		for (int kind = 0; kind < N_TEXTS; kind++) {
			fill(text, n, (enum text)kind);
			for (int i = 0; i < 8; i++)
				compare(k, text, n, dice((uint32_t)n + 1), dice(62));
		}
	}
}

static void test_valid_text_at_each_length(void **state)
{
	(void)state;
	each_kernel(valid_lengths);
}

static void splits(const struct text_kernel *k)
{
	uint8_t text[MAX];

	for (int kind = 0; kind < N_TEXTS; kind++) {
		fill(text, MAX, (enum text)kind);
		for (size_t split = 0; split <= MAX; split++)
			compare(k, text, MAX, split, 0);
	}
}

static void test_split_at_each_byte(void **state)
{
	(void)state;
	each_kernel(splits);
}

/* One byte of a valid text is another: at each place, each edge. */
static void corruptions(const struct text_kernel *k)
{
	uint8_t text[MAX], was;

	for (int kind = 0; kind < N_TEXTS; kind++) {
		fill(text, MAX, (enum text)kind);
		for (size_t i = 0; i < MAX; i++) {
			was = text[i];
			for (size_t e = 0; e < N_EDGES; e++) {
				text[i] = EDGES[e];
				compare(k, text, MAX, e & 1 ? 0 : dice(MAX + 1), dice(62));
			}
			text[i] = was;
		}
	}
}

static void test_corruption_at_each_place(void **state)
{
	(void)state;
	each_kernel(corruptions);
}

/* Whole text around n bytes that begin at `at`; and the text that ends with them. */
static void compare_in_place(const struct text_kernel *k, uint8_t *text, size_t at,
			     const uint8_t *bytes, size_t n, size_t length)
{
	utf8_state ends = utf8_feed_scalar(UTF8_BOUNDARY, bytes, n);
	utf8_state goes_on = utf8_feed_scalar(ends, (const uint8_t *)"a", 1);

	memcpy(text + at, bytes, n);
	if (k->feed(UTF8_BOUNDARY, text, length) != goes_on ||
	    k->feed(UTF8_BOUNDARY, text, at + n) != ends)
		fail_msg("%s: %zu bytes at %zu of %zu from %02x %02x", k->name, n, at, length,
			 bytes[0], bytes[1]);
	memset(text + at, 'a', n);
}

static void pairs(const struct text_kernel *k)
{
	uint8_t text[MAX], bytes[2];

	memset(text, 'a', sizeof(text));
	for (unsigned v = 0; v < 0x10000; v++) {
		bytes[0] = (uint8_t)(v >> 8), bytes[1] = (uint8_t)v;
		for (size_t b = 0; b < N_BORDERS; b++)
			compare_in_place(k, text, BORDERS[b] - 1, bytes, 2, MAX);
	}
}

static void test_all_pairs_at_borders(void **state)
{
	(void)state;
	each_kernel(pairs);
}

/* All that begins as a character of three or more: behind other leads the pairs tell all. */
static void triples(const struct text_kernel *k)
{
	uint8_t text[MAX], bytes[3];
	size_t length = 160, at;

	memset(text, 'a', sizeof(text));
	for (unsigned v = 0xe00000; v < 0x1000000; v++) {
		bytes[0] = (uint8_t)(v >> 16), bytes[1] = (uint8_t)(v >> 8), bytes[2] = (uint8_t)v;
		at = BORDERS[v % 4] - 1 - (v >> 2) % 2;
		compare_in_place(k, text, at, bytes, 3, length);
	}
}

static void test_all_triples_at_borders(void **state)
{
	(void)state;
	each_kernel(triples);
}

static void edges(const struct text_kernel *k)
{
	uint8_t text[MAX], bytes[4];
	uint32_t v;

	memset(text, 'a', sizeof(text));
	for (uint32_t i = 0; i < N_EDGES * N_EDGES * N_EDGES * N_EDGES; i++) {
		v = i;
		for (size_t j = 0; j < 4; j++, v /= N_EDGES)
			bytes[j] = EDGES[v % N_EDGES];
		compare_in_place(k, text, BORDERS[i % 5] - 1 - i / 5 % 3, bytes, 4, MAX);
	}
}

static void test_edges_at_borders(void **state)
{
	(void)state;
	each_kernel(edges);
}

/* The scalar check, to which all others are held, against code points. */
static void test_scalar_by_code_points(void **state)
{
	uint8_t bytes[4];

	(void)state;
	for (unsigned v = 0; v < 0x10000; v++) {
		bytes[0] = (uint8_t)(v >> 8), bytes[1] = (uint8_t)v;
		for (size_t i = 0; i < N_EDGES * N_EDGES; i++) {
			bytes[2] = EDGES[i / N_EDGES], bytes[3] = EDGES[i % N_EDGES];
			if ((utf8_feed_scalar(UTF8_BOUNDARY, bytes, 4) == UTF8_BOUNDARY) !=
			    reference_valid(bytes, 4))
				fail_msg("%04x %02x %02x", v, bytes[2], bytes[3]);
		}
	}
}

/* The ends of each range of code points, in the form that fits them. */
static uint8_t *page; /* between two that cannot be touched */
static size_t page_size;

static void run_in_page(const struct text_kernel *k, uint8_t *p, size_t n, const uint8_t *text)
{
	memcpy(p, text, n);
	assert_int_equal(k->feed(UTF8_BOUNDARY, p, n), UTF8_BOUNDARY);
	k->mask(p, n, 0x01020304);
	assert_int_equal(k->unmask(p, n, 0x01020304, UTF8_BOUNDARY), UTF8_BOUNDARY);
	ws_mask(p, n, 0x01020304, 0);
	assert_int_equal(ws_unmask_text(p, n, 0x01020304, 0, UTF8_BOUNDARY), UTF8_BOUNDARY);
	assert_true(utf8_valid(p, n));
	assert_memory_equal(p, text, n);
}

static void at_both_ends(const struct text_kernel *k)
{
	uint8_t text[MAX];

	for (size_t n = 0; n <= MAX; n++) {
		for (int kind = 0; kind < N_TEXTS; kind++) {
			fill(text, n, (enum text)kind);
			run_in_page(k, page, n, text);
			run_in_page(k, page + page_size - n, n, text);
		}
	}
}

/* A byte that is read or written outside of the text ends this test with a signal. */
static void test_no_byte_outside_is_touched(void **state)
{
	uint8_t *pages;

	(void)state;
	page_size = (size_t)sysconf(_SC_PAGESIZE);
	pages = mmap(NULL, 3 * page_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(pages, MAP_FAILED);
	page = pages + page_size;
	assert_int_equal(mprotect(page, page_size, PROT_READ | PROT_WRITE), 0);
	each_kernel(at_both_ends);
	munmap(pages, 3 * page_size);
}

static void boundaries(const struct text_kernel *k)
{
	static const struct {
		uint32_t c;
		bool valid;
	} POINTS[] = {
		{ 0x7f, true },    { 0x80, true },     { 0x7ff, true },     { 0x800, true },
		{ 0xd7ff, true },  { 0xd800, false },  { 0xdbff, false },   { 0xdc00, false },
		{ 0xdfff, false }, { 0xe000, true },   { 0xffff, true },    { 0x10000, true },
		{ 0xfffff, true }, { 0x10ffff, true }, { 0x110000, false },
	};
	uint8_t text[MAX];
	size_t size;

	for (size_t i = 0; i < sizeof(POINTS) / sizeof(POINTS[0]); i++) {
		size = form_of(POINTS[i].c);
		for (size_t at = 0; at + size <= MAX; at++) {
			memset(text, 'a', sizeof(text));
			encode(text + at, POINTS[i].c, size);
			assert_int_equal(k->feed(UTF8_BOUNDARY, text, MAX) == UTF8_BOUNDARY,
					 POINTS[i].valid);
			if (size == 4 || at + size + 1 > MAX)
				continue;
			encode(text + at, POINTS[i].c, size + 1); /* overlong */
			assert_int_equal(k->feed(UTF8_BOUNDARY, text, MAX), UTF8_INVALID);
		}
	}
}

static void test_boundaries_of_code_points(void **state)
{
	(void)state;
	each_kernel(boundaries);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc_example),
		cmocka_unit_test(test_best_is_the_first_usable),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_short_calls),
		cmocka_unit_test(test_mask_at_each_length),
		cmocka_unit_test(test_valid_text_at_each_length),
		cmocka_unit_test(test_no_byte_outside_is_touched),
		cmocka_unit_test(test_split_at_each_byte),
		cmocka_unit_test(test_corruption_at_each_place),
		cmocka_unit_test(test_all_pairs_at_borders),
		cmocka_unit_test(test_all_triples_at_borders),
		cmocka_unit_test(test_edges_at_borders),
		cmocka_unit_test(test_scalar_by_code_points),
		cmocka_unit_test(test_boundaries_of_code_points),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
