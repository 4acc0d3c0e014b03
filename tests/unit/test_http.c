/*
 * The request head. What is right is found whole and in pieces; what is wrong
 * is found with its line, and not when the head is whole.
 */
// links: base proto
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/http.h"

enum { MAX = 8192 };

static struct http_head head;

static ssize_t parse(const char *bytes, size_t n)
{
	struct http_progress none = { 0 };

	return http_parse_head(bytes, n, MAX, &none, &head);
}

/* In pieces of a size, each time in a place of its own, as a buffer that grows has it. */
static ssize_t parse_pieces(const char *bytes, size_t n, size_t piece)
{
	struct http_progress progress = { 0 };
	static char *copy;
	ssize_t r = HTTP_MORE;

	for (size_t have = 0; r == HTTP_MORE && have < n;) {
		have += piece < n - have ? piece : n - have;
		free(copy); /* what the last case found lies in it until now */
		copy = malloc(have);
		assert_non_null(copy);
		memcpy(copy, bytes, have);
		r = http_parse_head(copy, have, MAX, &progress, &head);
		/* but for a CR that what follows may make wrong, nothing is looked at again */
		assert_true(r != HTTP_MORE || progress.looked >= have - 1);
	}
	return r;
}

static bool is(struct http_text t, const char *s)
{
	return t.len == strlen(s) && memcmp(t.p, s, t.len) == 0;
}

static void test_a_request(void **state)
{
	static const char text[] = "GET /chat?x=1 HTTP/1.1\r\nHost: a.example\r\nX-Empty:\r\n"
				   "X-Spaces: \t  a b\t \r\nhost: second\r\n\r\nrest";
	ssize_t n = parse(text, strlen(text));

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

/* Whole, ended at each byte, and in pieces of each size. */
static void test_in_pieces(void **state)
{
	static const char *const texts[] = {
		"GET / HTTP/1.1\r\n\r\n",
		"\r\nGET / HTTP/1.0\r\nA: b\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\nA!#$%&'*+-.^_`|~9: \xc3\xa9\xff\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		size_t n = strlen(texts[i]), count;

		for (size_t cut = 0; cut < n; cut++)
			assert_int_equal(parse(texts[i], cut), HTTP_MORE);
		assert_int_equal(parse(texts[i], n), n);
		count = head.count;
		for (size_t piece = 1; piece < n; piece++) {
			assert_int_equal(parse_pieces(texts[i], n, piece), n);
			assert_int_equal(head.count, count);
			assert_true(head.minor == (i == 1 ? 0 : 1));
			for (size_t x = 0; x < count; x++)
				assert_true(memmem(texts[i], n, head.headers[x].value.p,
						   head.headers[x].value.len) != NULL);
		}
	}
}

struct row {
	const char *text;
	size_t bad; /* so many bytes are enough to know */
	enum reason reason;
	const char *why; /* a part of the sentence */
};

#define LINE(text) text, sizeof(text) - 1
#define START "GET / HTTP/1.1\r\n"
#define AFTER(text) START text, sizeof(START text) - 1

static const struct row wrong[] = {
	{ LINE(" "), REASON_BAD_REQUEST, "begins with the byte 0x20" },
	{ LINE("\xc3"), REASON_BAD_REQUEST, "begins with the byte 0xc3" },
	{ LINE("\x16"), REASON_TLS_ON_PLAIN_PORT, "takes no TLS" },
	{ LINE("\x16\x03\x01\x02\x00\x01\n"), REASON_TLS_ON_PLAIN_PORT, "takes no TLS" },
	{ LINE("\r\r"), REASON_BAD_REQUEST, "line 1 of the request has CR without LF" },
	{ LINE("\r\n\r"), REASON_BAD_REQUEST, "begins with the byte 0x0d" },
	{ LINE("GET  / HTTP/1.1\r\n"), REASON_BAD_REQUEST, "METHOD TARGET HTTP/1.1" },
	{ LINE("GET /\r\n"), REASON_BAD_REQUEST, "METHOD TARGET HTTP/1.1" },
	{ LINE("GET / http/1.1\r\n"), REASON_BAD_REQUEST, "METHOD TARGET HTTP/1.1" },
	{ LINE("GET / HTTP/1.1 \r\n"), REASON_BAD_REQUEST, "METHOD TARGET HTTP/1.1" },
	{ LINE("GET / HTTP/1.10\r\n"), REASON_BAD_REQUEST, "METHOD TARGET HTTP/1.1" },
	{ LINE("GET / HTTP/11\r\n"), REASON_BAD_REQUEST, "METHOD TARGET HTTP/1.1" },
	{ LINE("G@T / HTTP/1.1\r\n"), REASON_BAD_REQUEST, "METHOD TARGET HTTP/1.1" },
	{ LINE("SSH-2.0-OpenSSH_9.2\r\n"), REASON_BAD_REQUEST, "METHOD TARGET HTTP/1.1" },
	{ LINE("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"), REASON_BAD_REQUEST, "proxy_protocol" },
	{ LINE("PROXY UNKNOWN\r\n"), REASON_BAD_REQUEST, "proxy_protocol" },
	{ LINE("GET / HTTP/2.0\r\n"), REASON_HTTP_VERSION, "is HTTP/2.0" },
	{ LINE("PRI * HTTP/2.0\r\n"), REASON_HTTP_VERSION, "is HTTP/2.0" },
	{ LINE("GET / HTTP/1.2\r\n"), REASON_HTTP_VERSION, "is HTTP/1.2" },
	{ LINE("GET / HTTP/0.9\r\n"), REASON_HTTP_VERSION, "is HTTP/0.9" },
	{ LINE("GET /\x7f HTTP/1.1\r\n"), REASON_BAD_TARGET,
	  "byte 2 of the request's target is 0x7f" },
	{ LINE("GET /?n=\xc3\xa9 HTTP/1.1\r\n"), REASON_BAD_TARGET,
	  "byte 5 of the request's target is 0xc3" },
	{ LINE("GET / HTTP/1.1\n"), REASON_BAD_REQUEST,
	  "line 1 of the request ends with LF alone" },
	{ LINE("GET / HTTP/1.1\rX"), REASON_BAD_REQUEST, "line 1 of the request has CR without" },
	{ AFTER("A : b\r\n"), REASON_BAD_REQUEST,
	  "line 2 of the request has the byte 0x20 in the name" },
	{ AFTER(": b\r\n"), REASON_BAD_REQUEST, "has no name" },
	{ AFTER("A\r\n"), REASON_BAD_REQUEST, "line 2 of the request has no colon" },
	{ AFTER(" folded\r\n"), REASON_BAD_REQUEST, "begins with white space" },
	{ AFTER("A: b\r\n\tfolded\r\n"), REASON_BAD_REQUEST,
	  "line 3 of the request begins with white" },
	{ AFTER("A: b\x01\r\n"), REASON_BAD_REQUEST,
	  "line 2 of the request has the byte 0x01 in the value of A" },
	{ AFTER("Abc: b\x7f\r\n"), REASON_BAD_REQUEST, "0x7f in the value of Abc" },
	{ AFTER("A: b\n"), REASON_BAD_REQUEST, "line 2 of the request ends with LF" },
	{ AFTER("A: b\rc"), REASON_BAD_REQUEST, "line 2 of the request has CR" },
	{ AFTER("A: b\rc\r\n"), REASON_BAD_REQUEST, "" }, /* by its end, or by the CR */
	{ AFTER("A(: b\r\n"), REASON_BAD_REQUEST, "byte 0x28 in the name" },
	{ AFTER("\xc3\xa9: b\r\n"), REASON_BAD_REQUEST, "byte 0xc3 in the name" },
};

static void check_why(size_t i, const char *how, ssize_t n)
{
	const char *text = refusal_text(&head.why);

	if (n != HTTP_BAD || head.why.reason != wrong[i].reason || !strstr(text, wrong[i].why))
		fail_msg("%zu %s: %zd: %s", i, how, n, text);
	for (; *text; text++)
		assert_true(*text >= ' ' && *text <= '~');
}

static void test_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		check_why(i, "whole", parse(wrong[i].text, wrong[i].bad));
		for (size_t piece = 1; piece < wrong[i].bad; piece++)
			check_why(i, "in pieces", parse_pieces(wrong[i].text, wrong[i].bad, piece));
	}
}

/* Which begins with empty lines; what is behind them tells. */
static void test_proxy_header_of_version_2(void **state)
{
	static const char text[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11";

	(void)state;
	assert_int_equal(parse(text, sizeof(text) - 1), HTTP_BAD);
	assert_non_null(strstr(head.why.text, "proxy_protocol"));
}

static void test_nul_is_wrong(void **state)
{
	static const char text[] = START "A: b\0c\r\n\r\n";

	(void)state;
	assert_int_equal(parse(text, sizeof(text) - 1), HTTP_BAD);
	assert_non_null(strstr(head.why.text, "byte 0x00 in the value of A"));
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
			assert_int_equal(parse(text, n), right ? (ssize_t)n : HTTP_BAD);
		}
	}
}

/* A name of any length is shown in part, and the sentence stays whole. */
static void test_long_name(void **state)
{
	char text[4096] = START;

	(void)state;
	memset(text + strlen(START), 'N', 3000);
	strcat(text, ": \x01\r\n");
	assert_int_equal(parse(text, strlen(text)), HTTP_BAD);
	assert_true(strlen(head.why.text) < REFUSAL_TEXT_MAX - 1);
	assert_non_null(strstr(head.why.text, "byte 0x01 in the value of NNNN"));
}

static size_t long_head(char *out, size_t value)
{
	size_t n = strlen(strcpy(out, START "A: "));

	memset(out + n, 'x', value);
	memcpy(out + n + value, "\r\n\r\n", 5);
	return n + value + 4;
}

static void check_too_large(ssize_t n, const char *limit)
{
	assert_int_equal(n, HTTP_BAD);
	assert_int_equal(head.why.reason, REASON_HEAD_TOO_LARGE);
	assert_non_null(strstr(head.why.text, "max_head"));
	assert_non_null(strstr(head.why.text, limit));
}

static void test_length(void **state)
{
	char *text = malloc(MAX + 100);
	struct http_progress none = { 0 };
	size_t fixed, n;

	(void)state;
	assert_non_null(text);
	fixed = long_head(text, 0);
	n = long_head(text, MAX - fixed);
	assert_int_equal(n, MAX);
	assert_int_equal(parse(text, n), n);
	check_too_large(http_parse_head(text, n, MAX - 1, &none, &head), " 8191 bytes");
	n = long_head(text, MAX - fixed + 1);
	check_too_large(parse(text, n), " 8192 bytes");
	check_too_large(parse_pieces(text, n, 1), " 8192 bytes");
	/* and without its end, as soon as there is too much of it */
	assert_int_equal(parse(text, MAX - 1), HTTP_MORE);
	check_too_large(parse(text, MAX), " 8192 bytes");
	free(text);
}

static void test_number_of_headers(void **state)
{
	char text[MAX] = START;

	(void)state;
	for (int i = 0; i < HTTP_HEADERS_MAX; i++)
		strcat(text, "A: b\r\n");
	strcat(text, "\r\n");
	assert_int_equal(parse(text, strlen(text)), strlen(text));
	assert_int_equal(head.count, HTTP_HEADERS_MAX);
	assert_int_equal(parse_pieces(text, strlen(text), 7), strlen(text));
	assert_int_equal(head.count, HTTP_HEADERS_MAX);
	strcpy(text + strlen(text) - 2, "A: b\r\n\r\n");
	for (size_t piece = 1; piece < strlen(text); piece += 50) {
		assert_int_equal(parse_pieces(text, strlen(text), piece), HTTP_BAD);
		assert_int_equal(head.why.reason, REASON_TOO_MANY_HEADERS);
		assert_non_null(strstr(head.why.text, "more than 100 headers"));
	}
}

static void test_lists(void **state)
{
	static const char text[] = START "Connection: keep-alive ,, Upgrade\r\n"
					 "X: a\r\nconnection:  close \r\nY: ,\r\n\r\n";
	struct http_text list = { " a , b,,c ,", 11 }, e;

	(void)state;
	assert_true(parse(text, strlen(text)) > 0);
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

/* Each place of a word of any length counts, in either case, and nothing beyond it. */
static void test_same_but_for_case(void **state)
{
	static const char word[] = "abcdefghijklmnopqrstuvwxyz-0123456789_sec-websocket-key";
	char text[sizeof(word)];

	(void)state;
	for (size_t n = 0; n < sizeof(word); n++) {
		for (size_t i = 0; i < n; i++) {
			memcpy(text, word, sizeof(word));
			text[i] = (char)toupper(word[i]);
			text[n] = '!';
			assert_true(http_same(text, word, n));
			text[i] = word[i] == 'q' ? 'r' : 'q';
			assert_false(http_same(text, word, n));
			text[i] = (char)(word[i] | 0x80);
			assert_false(http_same(text, word, n));
		}
	}
	assert_true(http_same("SEC-WebSocket-KEY", "sec-websocket-key", 17));
	assert_false(http_same("Transfer-Encoding", "Sec-WebSocket-Key", 17));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_request),
		cmocka_unit_test(test_same_but_for_case),
		cmocka_unit_test(test_in_pieces),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_proxy_header_of_version_2),
		cmocka_unit_test(test_nul_is_wrong),
		cmocka_unit_test(test_long_name),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_number_of_headers),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_bytes_of_a_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
