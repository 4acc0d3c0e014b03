/*
 * UTF-8, by the tables of RFC 3629 and Unicode 3.9: every lead byte with every
 * second byte, the borders of each range, and all of it cut at every byte.
 */
// links: base proto
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "proto/utf8.h"

/* Writes a code point as the algorithm says, whether it may be written or not. */
static size_t encode(uint32_t c, uint8_t out[4])
{
	if (c < 0x80) {
		out[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (uint8_t)(0xc0 | c >> 6);
		out[1] = (uint8_t)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (uint8_t)(0xe0 | c >> 12);
		out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		out[2] = (uint8_t)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | c >> 18);
	out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
	out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	out[3] = (uint8_t)(0x80 | (c & 0x3f));
	return 4;
}

static void test_every_code_point(void **state)
{
	uint8_t bytes[4];

	(void)state;
	for (uint32_t c = 0; c < 0x120000; c++) {
		bool is = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);

		assert_int_equal(utf8_valid(bytes, encode(c, bytes)), is);
	}
}

/* An impossible byte is found when it comes, not at the end; a possible one is awaited. */
static void test_every_two_bytes(void **state)
{
	(void)state;
	for (unsigned a = 0; a < 256; a++) {
		for (unsigned b = 0; b < 256; b++) {
			const uint8_t bytes[2] = { (uint8_t)a, (uint8_t)b };
			unsigned low = a == 0xe0 ? 0xa0 : a == 0xf0 ? 0x90 : 0x80;
			unsigned high = a == 0xed ? 0x9f : a == 0xf4 ? 0x8f : 0xbf;
			bool lead = a >= 0xc2 && a <= 0xf4;
			utf8_state s = utf8_feed(UTF8_BOUNDARY, bytes, 2);

			if (a < 0x80)
				assert_int_equal(s, utf8_feed(UTF8_BOUNDARY, bytes + 1, 1));
			else if (!lead || b < low || b > high)
				assert_int_equal(s, UTF8_INVALID);
			else if (a < 0xe0)
				assert_int_equal(s, UTF8_BOUNDARY);
			else
				assert_true(s != UTF8_BOUNDARY && s != UTF8_INVALID);
		}
	}
}

struct row {
	const char *text;
	int bad; /* index of the first impossible byte, -1: none */
};

static const struct row rows[] = {
	{ "", -1 },
	{ "plain", -1 },
	{ "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", -1 },
	{ "\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbd\xf4\x8f\xbf\xbf", -1 },
	{ "\xef\xbf\xbf\xf0\x9f\xbf\xbf", -1 }, /* noncharacters are characters here */
	{ "\xef\xbb\xbf"
	  "bom",
	  -1 },
	{ "\xce\xba\xed\xa0\x80 edited", 3 }, /* a surrogate, at its second byte */
	{ "\xed\xbf\xbf", 1 },
	{ "\xc0\xaf", 0 }, /* overlong */
	{ "\xe0\x80\xaf", 1 },
	{ "\xe0\x9f\xbf", 1 },
	{ "\xf0\x80\x80\xaf", 1 },
	{ "\xf0\x8f\xbf\xbf", 1 },
	{ "\xf8\x88\x80\x80\x80", 0 }, /* five and six bytes */
	{ "\xfc\x84\x80\x80\x80\x80", 0 },
	{ "\xf4\x90\x80\x80", 1 }, /* beyond U+10FFFF */
	{ "\xf5\x80\x80\x80", 0 },
	{ "\x80", 0 },
	{ "ab\xbf", 2 },
	{ "\xfe", 0 },
	{ "\xff", 0 },
	{ "\xe2\x82 ", 2 }, /* cut short by another character */
	{ "\xe2\x82\xe2\x82\xac", 2 },
	{ "\xf0\x9f\x98\xc3\xa9", 3 },
	{ "sixteen bytes of ASCII, and then\xc1", 32 },
};

/* In two parts cut anywhere: the state between them says all that there is to know. */
static void test_cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const uint8_t *p = (const uint8_t *)rows[i].text;
		size_t n = strlen(rows[i].text);

		for (size_t cut = 0; cut <= n; cut++) {
			utf8_state s = utf8_feed(UTF8_BOUNDARY, p, cut);

			if (rows[i].bad >= 0)
				assert_int_equal(s == UTF8_INVALID, cut > (size_t)rows[i].bad);
			s = utf8_feed(s, p + cut, n - cut);
			assert_int_equal(s, rows[i].bad < 0 ? UTF8_BOUNDARY : UTF8_INVALID);
		}
	}
}

static void test_incomplete_is_not_valid(void **state)
{
	static const char *const texts[] = { "\xc3",     "\xe2",         "\xe2\x82",     "\xf0",
					     "\xf0\x9f", "\xf0\x9f\x98", "whole\xe2\x82" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_false(utf8_valid(texts[i], strlen(texts[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_code_point),
		cmocka_unit_test(test_every_two_bytes),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_incomplete_is_not_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
