/*
 * JSON texts: what the grammar of RFC 8259 takes and what not, where a fault is, and what
 * is shown of a member.
 */
// links: base proto
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/json.h"

/* What was found, beside the value. */
struct found {
	bool good;
	unsigned line, column;
	size_t at, len; /* of the value */
};

/* What may be read behind a slice: the end of an escape, or of a word and what follows. */
enum { BEHIND = 8 };

/* In slices, none of which is longer than was asked for. */
static bool scan(struct json_scan *s, const uint8_t *p, size_t n, size_t slice)
{
	enum json_result r;

	json_begin(s, p, n, "content");
	do {
		const uint8_t *begin = s->p, *counted = s->counted;

		r = json_go_on(s, slice);
		assert_true(s->p > begin || s->counted > counted || r != JSON_MORE);
		assert_true(s->p <= p + n);
		assert_true((size_t)(s->p - begin) <= slice + BEHIND);
		assert_true((size_t)(s->counted - counted) <= slice);
	} while (r == JSON_MORE);
	assert_int_equal(r == JSON_GOOD, s->error.text == NULL);
	return r == JSON_GOOD;
}

static struct found result_of(const struct json_scan *s, const uint8_t *p)
{
	return (struct found){ s->error.text == NULL, s->error.line, s->error.column,
			       s->value.p ? (size_t)(s->value.p - p) : SIZE_MAX, s->value.len };
}

/* Wherever it is cut the answer is the same. */
static void assert_same_in_slices(const uint8_t *p, size_t n, const struct json_scan *whole)
{
	const struct found w = result_of(whole, p);

	for (size_t slice = 1; slice < n; slice += 1 + slice / 16) {
		struct json_scan s;
		struct found f;

		scan(&s, p, n, slice);
		f = result_of(&s, p);
		if (f.good != w.good || f.line != w.line || f.column != w.column || f.at != w.at ||
		    f.len != w.len || (!w.good && strcmp(s.error.text, whole->error.text) != 0))
			fail_msg("%.*s: by %zu it is another", (int)n, (const char *)p, slice);
	}
}

/* In memory of just that size, so that a sanitizer sees what is read behind it. */
static bool find(const char *text, size_t n, struct json_error *error, char *shown, size_t size)
{
	uint8_t *copy = malloc(n + !n);
	struct json_scan s;
	bool good;

	memcpy(copy, text, n);
	good = scan(&s, copy, n, n + 1);
	*error = s.error;
	if (n < 1000)
		assert_same_in_slices(copy, n, &s);
	if (good && shown) {
		size_t len = json_show(&s.value, shown, size);

		assert_int_equal(len, strlen(shown));
	}
	free(copy);
	return good;
}

static const char *const good[] = {
	"0",
	"-0",
	"-0.0",
	"1",
	"-12",
	"1.5",
	"1e5",
	"1E+5",
	"1e-5",
	"0.1e01",
	"0e0",
	"-0e-0",
	"7.6",
	"10000000000000000000",
	"18446744073709551615",
	"-9223372036854775809",
	"1e999",
	"-1e999",
	"1e-999",
	"123456789012345678901234567890",
	"0.1000000000000000055511151231257827",
	"true",
	"false",
	"null",
	"\"\"",
	"\"a\"",
	"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uABCD\\uabcd\"",
	"\"\\ud800\"",
	"\"\\udc00\"",
	"\"\\ud800\\ud800\"",
	"\"\\udc00\\ud800\"",
	"\"\\ud83d\\ude00\"",
	"\"\\ud800x\"",
	"\"\\ud800\\n\"",
	"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
	"\"\x7f\"",
	"[]",
	"[ ]",
	"{}",
	"{ }",
	"[1,2]",
	"[1 , 2 ]",
	"[[],{},[{}]]",
	"{\"a\":1}",
	"{\"\":0}",
	"{\"a\":1,\"a\":2}",
	"{\"\\u0000\":1}",
	"{\"a\" : [ ] , \"b\" : { \"c\":null } }",
	" \t\r\n1 \t\r\n",
	"[\n1\n]",
	"\"12345678\"",
	"\"1234567\\n12345678\"",
};

struct wrong {
	const char *text;
	unsigned line, column;
};

static const struct wrong wrong[] = {
	{ "", 1, 1 },
	{ " ", 1, 2 },
	{ "\n\n ", 3, 2 },
	{ "[", 1, 2 },
	{ "{", 1, 2 },
	{ "[1", 1, 3 },
	{ "[1,", 1, 4 },
	{ "[1,]", 1, 4 },
	{ "[,1]", 1, 2 },
	{ "[1,,2]", 1, 4 },
	{ "[1 2]", 1, 4 },
	{ "[1}", 1, 3 },
	{ "]", 1, 1 },
	{ "}", 1, 1 },
	{ "[]]", 1, 3 },
	{ "1 2", 1, 3 },
	{ "{\"a\"", 1, 5 },
	{ "{\"a\":", 1, 6 },
	{ "{\"a\":}", 1, 6 },
	{ "{\"a\" 1}", 1, 6 },
	{ "{\"a\":1,}", 1, 8 },
	{ "{\"a\":1]", 1, 7 },
	{ "{a:1}", 1, 2 },
	{ "{1:1}", 1, 2 },
	{ "{'a':1}", 1, 2 },
	{ "{,}", 1, 2 },
	{ "{\"a\":1 \"b\":2}", 1, 8 },
	{ "\"", 1, 2 },
	{ "\"abc", 1, 5 },
	{ "\"12345678", 1, 10 },
	{ "\"\\\"", 1, 4 },
	{ "\"\\", 1, 3 },
	{ "\"\\x\"", 1, 3 },
	{ "\"\\U0041\"", 1, 3 },
	{ "\"\\u\"", 1, 4 },
	{ "\"\\u12\"", 1, 6 },
	{ "\"\\u12g4\"", 1, 6 },
	{ "\"a\nb\"", 1, 3 },
	{ "\"12345678\t\"", 1, 10 },
	{ "\"\x01\"", 1, 2 },
	{ "+1", 1, 1 },
	{ ".5", 1, 1 },
	{ "-", 1, 2 },
	{ "-a", 1, 2 },
	{ "--1", 1, 2 },
	{ "01", 1, 2 },
	{ "-01", 1, 3 },
	{ "1.", 1, 3 },
	{ "1.e5", 1, 3 },
	{ "1e", 1, 3 },
	{ "1e+", 1, 4 },
	{ "1e5.5", 1, 4 },
	{ "0x10", 1, 2 },
	{ "1_000", 1, 2 },
	{ "NaN", 1, 1 },
	{ "Infinity", 1, 1 },
	{ "-Infinity", 1, 2 },
	{ "tru", 1, 4 },
	{ "trux", 1, 4 },
	{ "truex", 1, 5 },
	{ "True", 1, 1 },
	{ "nul", 1, 4 },
	{ "'a'", 1, 1 },
	{ "// no\n1", 1, 1 },
	{ "[1] // no", 1, 5 },
	{ "\xef\xbb\xbf"
	  "1",
	  1, 1 },
	{ "\xc2\xa0"
	  "1",
	  1, 1 },
	{ "\f1", 1, 1 },
	{ "[\n  1,\n  \"\xc3\xa9\xe2\x82\xac\" x\n]", 3, 8 },
};

static void test_what_is_json(void **state)
{
	struct json_error e;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		if (!find(good[i], strlen(good[i]), &e, NULL, 0))
			fail_msg("%s: %s at %u:%u", good[i], e.text, e.line, e.column);
}

static void test_what_is_not(void **state)
{
	struct json_error e;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		const struct wrong *w = &wrong[i];

		if (find(w->text, strlen(w->text), &e, NULL, 0))
			fail_msg("%s is taken", w->text);
		if (e.line != w->line || e.column != w->column || strpbrk(e.text, "\"\\"))
			fail_msg("%s: %s at %u:%u, not %u:%u", w->text, e.text, e.line, e.column,
				 w->line, w->column);
	}
	assert_false(find("1\0", 2, &e, NULL, 0));
	assert_false(find("\"\0\"", 3, &e, NULL, 0));
}

/* Whatever is cut off a text, or is one byte else, is read within its bounds. */
static void test_all_beginnings(void **state)
{
	static const char text[] =
		"{\"content\":[1.5e-3,\"a\\u00e9\\ud83d\\ude00\",{\"b\":null}],\"x\":true}";
	struct json_error e;
	char shown[128];

	(void)state;
	for (size_t n = 0; n < sizeof(text) - 1; n++)
		assert_false(find(text, n, &e, shown, sizeof(shown)));
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		char other[sizeof(text)];

		memcpy(other, text, sizeof(text));
		for (int b = 0; b < 128; b++) {
			other[i] = (char)b;
			if (!find(other, sizeof(text) - 1, &e, shown, sizeof(shown)))
				assert_true(e.line >= 1 && e.column >= 1);
		}
	}
}

struct sample {
	const char *text, *shown;
};

static const struct sample samples[] = {
	{ "{\"content\":\"hi\"}", "hi" },
	{ "{\"content\":7.6}", "7.6" },
	{ "{\"content\":10000000000000000000}", "10000000000000000000" },
	{ "{\"content\":-1E+999}", "-1E+999" },
	{ "{\"content\":true}", "true" },
	{ "{\"content\":null}", "null" },
	{ "{\"other\":1}", "null" },
	{ "{}", "null" },
	{ "[1]", "null" },
	{ "\"content\"", "null" },
	{ "[{\"content\":1}]", "null" },
	{ "{\"a\":{\"content\":1}}", "null" },
	{ "{\"contents\":1,\"conten\":2,\"\":3,\"Content\":4}", "null" },
	{ "{\"content\":1,\"content\":2}", "2" },
	{ "{\"content\":1,\"a\":[{\"content\":3}]}", "1" },
	{ "{\"content\":{\"content\":1}}", "{\"content\":1}" },
	{ "{\"\\u0063ontent\":5}", "5" },
	{ "{\"c\\u00f6ntent\":5}", "null" },
	{ "{\"content\" : [ 1 , { \"a b\" : \"c d\" } , [ ] ] }", "[1,{\"a b\":\"c d\"},[]]" },
	{ "{\"content\":\"a\\\"b\\\\c\\/d\"}", "a\"b\\c/d" },
	{ "{\"content\":[\"a\\\"b\\\\c\\/d\"]}", "[\"a\\\"b\\\\c/d\"]" },
	{ "{\"content\":\"\\u00e9\\u20ac\\ud83d\\ude00\"}", "é€\U0001f600" },
	{ "{\"content\":[\"\\u00e9\\ud83d\\ude00\"]}", "[\"é\U0001f600\"]" },
	{ "{\"content\":\"a\\nb\"}", "a\nb" },
	{ "{\"content\":[\"\\b\\f\\n\\r\\t\\u000a\\u001f\"]}", "[\"\\b\\f\\n\\r\\t\\n\\u001F\"]" },
	/* what has no text of its own */
	{ "{\"content\":\"a\\u0000b c\"}", "\"a\\u0000b c\"" },
	{ "{\"content\":\"a\\ud800b\"}", "\"a\\uD800b\"" },
	{ "{\"content\":\"\\udc00\\ud83d\\ude00\"}", "\"\\uDC00\U0001f600\"" },
	{ "{\"content\":\"\\ud83d\\ud83d\\ude00\"}", "\"\\uD83D\U0001f600\"" },
};

static void test_what_is_shown(void **state)
{
	char shown[256];
	struct json_error e;

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
		if (!find(samples[i].text, strlen(samples[i].text), &e, shown, sizeof(shown)))
			fail_msg("%s: %s", samples[i].text, e.text);
		assert_string_equal(shown, samples[i].shown);
	}
}

/* Of what is longer the beginning, and no part of a character. */
static void test_what_is_shown_of_much(void **state)
{
	static const char *const texts[] = { "{\"content\":\"a€\\u20ac\\ud83d\\ude00\"}",
					     "{\"content\":[\"€\",\"\\u0001\", 12]}" };
	static const char *const whole[] = { "a€€\U0001f600", "[\"€\",\"\\u0001\",12]" };
	char shown[64];
	struct json_error e;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		for (size_t size = 1; size <= strlen(whole[i]); size++) {
			assert_true(find(texts[i], strlen(texts[i]), &e, shown, size));
			assert_true(strlen(shown) < size && size - strlen(shown) <= 6);
			assert_memory_equal(shown, whole[i], strlen(shown));
			assert_true(((uint8_t)whole[i][strlen(shown)] & 0xc0) != 0x80);
		}
	}
}

static void test_depth(void **state)
{
	enum { N = JSON_DEPTH_MAX };
	char text[2 * N + 8];
	struct json_error e;

	(void)state;
	memset(text, '[', N);
	memset(text + N, ']', N);
	assert_true(find(text, 2 * N, &e, NULL, 0));
	memset(text, '[', N + 1);
	memset(text + N + 1, ']', N + 1);
	assert_false(find(text, 2 * N + 2, &e, NULL, 0));
	assert_int_equal(e.column, N + 1);
	/* each is closed by its own kind */
	memset(text, '[', N);
	text[N] = '}';
	assert_false(find(text, N + 1, &e, NULL, 0));
	assert_int_equal(e.column, N + 1);
}

/* One message may be as long as the configuration allows: whatever is long in it is cut. */
static void test_long_texts_in_slices(void **state)
{
	enum { LONG = 1 << 20, SLICE = 4096 };
	/* how it begins, what is repeated, and how it ends */
	static const char *const texts[][3] = {
		{ "[ ", "0,", "0]" },
		{ " ", " ", "1" },
		{ "1", "0", "" },
		{ "1.", "0", "" },
		{ "1e+", "0", "" },
		{ "\"", "a", "\"" },
		{ "\"", "\\n", "\"" },
		{ "\"", "\\u00e9", "\"" },
		{ "{\"", "content", "\" : 1 }" },
		{ "{\"content\"", " ", ":1}" },
		{ "{\"content\":[", "\n", "1]}" },
		{ "[1", " ", "]" },
		{ "[", "\n", "" },
		{ "\"", "\xc3\xa9", "" },
	};
	uint8_t *text = malloc(LONG + 64);

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		size_t n = strlen(texts[i][0]), len = strlen(texts[i][1]);
		struct json_scan whole, s;

		memcpy(text, texts[i][0], n);
		for (; n < LONG; n += len)
			memcpy(text + n, texts[i][1], len);
		memcpy(text + n, texts[i][2], strlen(texts[i][2]));
		n += strlen(texts[i][2]);
		assert_int_equal(scan(&whole, text, n, n), *texts[i][2] || i < 5);
		scan(&s, text, n, SLICE);
		assert_int_equal(s.error.line, whole.error.line);
		assert_int_equal(s.error.column, whole.error.column);
		assert_ptr_equal(s.value.p, whole.value.p);
		assert_int_equal(s.value.len, whole.value.len);
	}
	free(text);
}

/* What is shown of a value is sought in its beginning, for that may be nothing but space. */
static void test_what_is_shown_of_space(void **state)
{
	uint8_t *text = malloc(4 * JSON_SHOWN_MAX);
	struct json_value value = { text, 4 * JSON_SHOWN_MAX };
	char shown[16];

	(void)state;
	memset(text, ' ', value.len);
	text[0] = '[';
	text[JSON_SHOWN_MAX - 1] = '1';
	text[JSON_SHOWN_MAX] = '2';
	text[value.len - 1] = ']';
	assert_int_equal(json_show(&value, shown, sizeof(shown)), 2);
	assert_string_equal(shown, "[1");
	value.len = JSON_SHOWN_MAX;
	json_show(&value, shown, sizeof(shown));
	assert_string_equal(shown, "[1");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_json),
		cmocka_unit_test(test_what_is_not),
		cmocka_unit_test(test_all_beginnings),
		cmocka_unit_test(test_what_is_shown),
		cmocka_unit_test(test_what_is_shown_of_much),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_long_texts_in_slices),
		cmocka_unit_test(test_what_is_shown_of_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
