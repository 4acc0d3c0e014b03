/*
 * The request head. What is right is found whole and in pieces; what is wrong
 * is found with its line, and not when the head is whole.
 */
// links: base proto
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/http.h"

static struct http_head head;

static bool is(struct http_text t, const char *s)
{
	return t.len == strlen(s) && memcmp(t.p, s, t.len) == 0;
}

static void test_a_request(void **state)
{
	static const char text[] = "GET /chat?x=1 HTTP/1.1\r\nHost: a.example\r\nX-Empty:\r\n"
				   "X-Spaces: \t  a b\t \r\nhost: second\r\n\r\nrest";
	ssize_t n = http_parse_head(text, strlen(text), 0, &head);

	(void)state;
	assert_int_equal(n, strlen(text) - 4);
	assert_true(is(head.method, "GET"));
	assert_true(is(head.target, "/chat?x=1"));
	assert_int_equal(head.minor, 1);
	assert_int_equal(head.count, 4);
	assert_true(is(head.headers[0].name, "Host") && is(head.headers[0].value, "a.example"));
	assert_true(is(head.headers[1].value, ""));
	assert_true(is(head.headers[2].value, "a b"));
	assert_ptr_equal(http_find(&head, "HOST", NULL), &head.headers[0]);
	assert_ptr_equal(http_find(&head, "Host", &head.headers[0]), &head.headers[3]);
	assert_null(http_find(&head, "Host", &head.headers[3]));
	assert_null(http_find(&head, "Hos", NULL));
}

/* Each whole, and ended at each byte, with what was seen before told to the parser. */
static void test_in_pieces(void **state)
{
	static const char *const texts[] = {
		"GET / HTTP/1.1\r\n\r\n",
		"\r\nGET / HTTP/1.0\r\nA: b\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\nA!#$%&'*+-.^_`|~9: \xc3\xa9\xff\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		size_t n = strlen(texts[i]);

		for (size_t seen = 0; seen < n; seen++) {
			assert_int_equal(http_parse_head(texts[i], seen, 0, &head), HTTP_MORE);
			assert_int_equal(http_parse_head(texts[i], n, seen, &head), n);
		}
	}
}

struct row {
	const char *text;
	size_t bad; /* so many bytes are enough to know */
};

#define START "GET / HTTP/1.1\r\n"
#define AFTER(text) START text, sizeof(START text) - 1

static const struct row wrong[] = {
	{ " GET / HTTP/1.1\r\n", 1 },
	{ "\x16\x03\x01", 1 }, /* TLS */
	{ "\r\r", 2 },
	{ "GET  / HTTP/1.1\r\n", 17 },
	{ "GET / HTTP/2.0\r\n", 16 },
	{ "GET / HTTP/1.2\r\n", 16 },
	{ "GET / http/1.1\r\n", 16 },
	{ "GET /\r\n", 7 },
	{ "GET / HTTP/1.1 \r\n", 17 },
	{ "GET /\x7f HTTP/1.1\r\n", 17 },
	{ "GET /\xc3\xa9 HTTP/1.1\r\n", 18 },
	{ "G@T / HTTP/1.1\r\n", 16 },
	{ "GET / HTTP/1.1\n", 15 },
	{ "GET / HTTP/1.1\rX", 16 },
	{ AFTER("A : b\r\n") },
	{ AFTER(": b\r\n") },
	{ AFTER("A\r\n") },
	{ AFTER(" folded\r\n") },
	{ AFTER("A: b\r\n\tfolded\r\n") },
	{ AFTER("A: b\x01\r\n") },
	{ AFTER("A: b\x7f\r\n") },
	{ AFTER("A: b\n") },
	{ AFTER("A: b\rc") },
	{ AFTER("A(: b\r\n") },
	{ AFTER("\xc3\xa9: b\r\n") },
};

static void test_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		ssize_t n = http_parse_head(wrong[i].text, wrong[i].bad, 0, &head);

		if (n != HTTP_BAD)
			fail_msg("%zu: %s: %zd", i, wrong[i].text, n);
		/* what comes in pieces is looked at when a line is whole */
		n = http_parse_head(wrong[i].text, wrong[i].bad, wrong[i].bad - 1, &head);
		if (wrong[i].text[wrong[i].bad - 1] == '\n' && n != HTTP_BAD)
			fail_msg("%zu, in two: %s: %zd", i, wrong[i].text, n);
	}
}

static void test_nul_is_wrong(void **state)
{
	static const char text[] = START "A: b\0c\r\n\r\n";

	(void)state;
	assert_int_equal(http_parse_head(text, sizeof(text) - 1, 0, &head), HTTP_BAD);
}

/* Every byte at every place of a value. */
static void test_bytes_of_a_value(void **state)
{
	char text[sizeof(START) + 64];

	(void)state;
	for (size_t at = 0; at < 20; at++) {
		for (int byte = 0; byte <= UINT8_MAX; byte++) {
			bool right = byte == '\t' || (byte >= ' ' && byte != 0x7f);
			size_t n = strlen(strcpy(text, START "A:01234567890123456789\r\n\r\n"));

			text[sizeof(START) - 1 + 2 + at] = (char)byte;
			assert_int_equal(http_parse_head(text, n, 0, &head),
					 right ? (ssize_t)n : HTTP_BAD);
		}
	}
}

static size_t long_head(char *out, size_t value)
{
	size_t n = strlen(strcpy(out, START "A: "));

	memset(out + n, 'x', value);
	memcpy(out + n + value, "\r\n\r\n", 5);
	return n + value + 4;
}

static void test_length(void **state)
{
	char *text = malloc(HTTP_HEAD_MAX + 100);
	size_t fixed, n;

	(void)state;
	assert_non_null(text);
	fixed = long_head(text, 0);
	n = long_head(text, HTTP_HEAD_MAX - fixed);
	assert_int_equal(n, HTTP_HEAD_MAX);
	assert_int_equal(http_parse_head(text, n, 0, &head), n);
	n = long_head(text, HTTP_HEAD_MAX - fixed + 1);
	assert_int_equal(http_parse_head(text, n, 0, &head), HTTP_TOO_LARGE);
	/* and without its end, as soon as there is too much of it */
	assert_int_equal(http_parse_head(text, HTTP_HEAD_MAX - 1, 0, &head), HTTP_MORE);
	assert_int_equal(http_parse_head(text, HTTP_HEAD_MAX, 0, &head), HTTP_TOO_LARGE);
	free(text);
}

static void test_number_of_headers(void **state)
{
	char text[HTTP_HEAD_MAX] = START;

	(void)state;
	for (int i = 0; i < HTTP_HEADERS_MAX; i++)
		strcat(text, "A: b\r\n");
	strcat(text, "\r\n");
	assert_int_equal(http_parse_head(text, strlen(text), 0, &head), strlen(text));
	assert_int_equal(head.count, HTTP_HEADERS_MAX);
	strcpy(text + strlen(text) - 2, "A: b\r\n\r\n");
	assert_int_equal(http_parse_head(text, strlen(text), 0, &head), HTTP_BAD);
}

static void test_lists(void **state)
{
	static const char text[] = START "Connection: keep-alive ,, Upgrade\r\n"
					 "X: a\r\nconnection:  close \r\nY: ,\r\n\r\n";
	struct http_text list = { " a , b,,c ,", 11 }, e;

	(void)state;
	assert_true(http_parse_head(text, strlen(text), 0, &head) > 0);
	assert_true(http_has_token(&head, "Connection", "UPGRADE"));
	assert_true(http_has_token(&head, "Connection", "close"));
	assert_false(http_has_token(&head, "Connection", "keep"));
	assert_false(http_has_token(&head, "Y", ""));
	assert_false(http_has_token(&head, "Z", "a"));
	assert_true(http_list_next(&list, &e) && is(e, "a"));
	assert_true(http_list_next(&list, &e) && is(e, "b"));
	assert_true(http_list_next(&list, &e) && is(e, "c"));
	assert_false(http_list_next(&list, &e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_request), cmocka_unit_test(test_in_pieces),
		cmocka_unit_test(test_wrong),     cmocka_unit_test(test_nul_is_wrong),
		cmocka_unit_test(test_length),    cmocka_unit_test(test_number_of_headers),
		cmocka_unit_test(test_lists),     cmocka_unit_test(test_bytes_of_a_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
