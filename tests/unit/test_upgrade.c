/*
 * The opening handshake: what RFC 6455 4.2 asks for, what clients really send,
 * and each way to get it wrong.
 */
// links: base proto
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/upgrade.h"

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define HOST "Host: server.example.com\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"

static char text[4096];
static struct http_head head;
static struct upgrade up;
static struct refusal why;

static enum reason parse(const char *line, const char *headers)
{
	snprintf(text, sizeof(text), "%s\r\n%s\r\n", line, headers);
	assert_int_equal(http_parse_head(text, strlen(text), sizeof(text),
					 &(struct http_progress){ 0 }, &head),
			 strlen(text));
	why = (struct refusal){ 0 };
	return upgrade_parse(&head, &up, &why) < 0 ? why.reason : REASON_NONE;
}

/* The verdict of both steps. */
static enum reason verdict(const char *line, const char *headers)
{
	enum reason r = parse(line, headers);

	return r == REASON_NONE ? upgrade_check(&up) : r;
}

struct row {
	const char *headers;
	enum reason reason;
};

static const struct row rows[] = {
	{ HOST UPGRADE KEY VERSION, REASON_NONE },
	{ VERSION KEY "connection: keep-alive, UPGRADE\r\nupgrade:WebSocket\r\n" HOST,
	  REASON_NONE },
	{ HOST "Connection: keep-alive\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
	       "Upgrade: websocket\r\n" KEY VERSION,
	  REASON_NONE },
	{ HOST UPGRADE "Sec-WebSocket-Key:\tdGhlIHNhbXBsZSBub25jZQ== \r\n" VERSION, REASON_NONE },
	{ HOST UPGRADE KEY VERSION "Content-Length: 0\r\n", REASON_NONE },
	{ "Host:\r\n" UPGRADE KEY VERSION, REASON_NONE },
	{ UPGRADE KEY VERSION, REASON_MISSING_HOST },
	{ HOST HOST UPGRADE KEY VERSION, REASON_MISSING_HOST },
	{ HOST, REASON_UPGRADE_REQUIRED },
	{ HOST "Upgrade: h2c\r\nConnection: Upgrade\r\n", REASON_UPGRADE_REQUIRED },
	{ HOST "Upgrade: websocket\r\n" KEY VERSION, REASON_BAD_UPGRADE },
	{ HOST "Upgrade: websocket\r\nConnection: close\r\n" KEY VERSION, REASON_BAD_UPGRADE },
	{ HOST UPGRADE VERSION, REASON_BAD_KEY },
	{ HOST UPGRADE KEY KEY VERSION, REASON_BAD_KEY },
	{ HOST UPGRADE "Sec-WebSocket-Key:\r\n" VERSION, REASON_BAD_KEY },
	{ HOST UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n" VERSION, REASON_BAD_KEY },
	{ HOST UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n" VERSION, REASON_BAD_KEY },
	{ HOST UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ===\r\n" VERSION, REASON_BAD_KEY },
	{ HOST UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n" VERSION, REASON_BAD_KEY },
	{ HOST UPGRADE "Sec-WebSocket-Key: dGhlIHNhb*BsZSBub25jZQ==\r\n" VERSION, REASON_BAD_KEY },
	{ HOST UPGRADE KEY, REASON_MISSING_VERSION },
	{ HOST UPGRADE KEY VERSION VERSION, REASON_VERSION_DOUBLED },
	{ HOST UPGRADE KEY "Sec-WebSocket-Version: 8\r\n", REASON_UPGRADE_REQUIRED },
	{ HOST UPGRADE KEY "Sec-WebSocket-Version: 013\r\n", REASON_UPGRADE_REQUIRED },
	{ HOST UPGRADE KEY "Sec-WebSocket-Version: 13, 8\r\n", REASON_UPGRADE_REQUIRED },
	{ HOST UPGRADE KEY VERSION "Content-Length: 5\r\n", REASON_REQUEST_BODY },
	{ HOST UPGRADE KEY VERSION "Content-Length: 0\r\nContent-Length: 5\r\n",
	  REASON_REQUEST_BODY },
	{ HOST UPGRADE KEY VERSION "Content-Length: 0\r\nContent-Length: 0\r\n", REASON_NONE },
	{ HOST UPGRADE KEY VERSION "Transfer-Encoding: chunked\r\n", REASON_REQUEST_BODY },
	{ HOST UPGRADE KEY VERSION "Origin: a\r\nOrigin: b\r\n", REASON_BAD_REQUEST },
	{ HOST UPGRADE KEY VERSION "Authorization: a\r\nauthorization: a\r\n", REASON_BAD_REQUEST },
};

static void test_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		enum reason r = verdict("GET /ws HTTP/1.1", rows[i].headers);

		if (r != rows[i].reason)
			fail_msg("row %zu: %s, not %s", i, reason_word(r),
				 reason_word(rows[i].reason));
	}
}

static void test_request_line(void **state)
{
	static const char all[] = HOST UPGRADE KEY VERSION;

	(void)state;
	assert_int_equal(verdict("POST /ws HTTP/1.1", all), REASON_METHOD_NOT_ALLOWED);
	assert_int_equal(verdict("get /ws HTTP/1.1", all), REASON_METHOD_NOT_ALLOWED);
	assert_int_equal(verdict("HEAD /ws HTTP/1.1", HOST), REASON_METHOD_NOT_ALLOWED);
	assert_true(up.head);
	assert_int_equal(verdict("GET /ws HTTP/1.0", all), REASON_HTTP_VERSION);
	assert_non_null(strstr(why.text, "HTTP/1.0"));
	assert_non_null(strstr(why.text, "proxy_http_version 1.1"));
	assert_int_equal(verdict("GET /ws HTTP/1.0", ""), REASON_UPGRADE_REQUIRED);
	assert_int_equal(verdict("GET ws HTTP/1.1", all), REASON_BAD_TARGET);
	assert_int_equal(verdict("GET * HTTP/1.1", all), REASON_BAD_TARGET);
	assert_int_equal(verdict("GET http://x HTTP/1.1", all), REASON_BAD_TARGET);
}

/* The sentence names the header. */
static void test_bodies(void **state)
{
	(void)state;
	assert_int_equal(verdict("GET /ws HTTP/1.1",
				 HOST UPGRADE KEY VERSION "Transfer-Encoding: chunked\r\n"),
			 REASON_REQUEST_BODY);
	assert_non_null(strstr(why.text, "Transfer-Encoding"));
	assert_int_equal(
		verdict("GET /ws HTTP/1.1", HOST UPGRADE KEY VERSION "content-length: 5\r\n"),
		REASON_REQUEST_BODY);
	assert_non_null(strstr(why.text, "Content-Length"));
}

/* The path of what is not a whole head, or a wrong one; never its query. */
static void test_peek_path(void **state)
{
	static const struct {
		const char *bytes, *path;
	} peeks[] = {
		{ "", "" },
		{ "GET /ws HTTP/1.1", "" },
		{ "GET /ws HTTP/1.1\r\n", "/ws" },
		{ "\r\nGET /ws HTTP/1.1\r\nHo", "/ws" },
		{ "GET /a%20b?x=y z HTTP/1.1\r\n", "/a b" },
		{ "GET /w\xc3\xa9?secret=\xc3\xa9 HTTP/1.1\r\n", "/w\xc3\xa9" },
		{ "GET /%zz?secret HTTP/1.1\r\n", "/%zz" },
		{ "GET /a#secret HTTP/1.1\r\n", "/a" },
		{ "GET /ws\r\n", "/ws" },
		{ "GET /ws\n", "/ws" },
		{ "GET wss://host:1/ws?secret HTTP/3.0\r\n", "/ws" },
		{ "GET * HTTP/1.1\r\n", "" },
		{ "GET\r\n /ws\r\n", "" },
		{ "\x16\x03 /ws \n", "" },
		{ "\r\n", "" },
		{ "\r\n\n", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(peeks) / sizeof(*peeks); i++) {
		upgrade_peek(peeks[i].bytes, strlen(peeks[i].bytes), &up);
		assert_string_equal(up.path, peeks[i].path);
		assert_true(up.get || !*peeks[i].path);
		assert_false(up.head);
	}
	snprintf(text, sizeof(text), "GET /%%%02000d HTTP/1.1\r\n", 0);
	upgrade_peek(text, strlen(text), &up);
	assert_true(strlen(up.path) <= UPGRADE_PATH_MAX);
}

/* The method is known before the first line has come: what it may be answered hangs on that. */
static void test_peek_method(void **state)
{
	static const char whole[] = "\r\nHEAD /ws HTTP/1.1\r\n";

	(void)state;
	for (size_t n = 0; n < sizeof(whole); n++) {
		upgrade_peek(whole, n, &up);
		assert_int_equal(up.head, n >= strlen("\r\nHEAD "));
		assert_false(up.get);
	}
	upgrade_peek("GET /w", 6, &up);
	assert_true(up.get && !*up.path);
	upgrade_peek("HEADS /w", 8, &up);
	assert_false(up.head || up.get);
	upgrade_peek("HEAD\r\n /w", 9, &up);
	assert_false(up.head || up.get);
}

static void test_paths(void **state)
{
	static const struct {
		const char *target, *path; /* NULL: refused */
	} paths[] = {
		{ "/ws", "/ws" },
		{ "/", "/" },
		{ "/ws?a=/b?c", "/ws" },
		{ "/?", "/" },
		{ "/%77s", "/ws" },
		{ "/%C3%a9%2F%25", "/\xc3\xa9/%" },
		{ "/a//b/../c", "/a//b/../c" },
		{ "/a+b", "/a+b" },
		{ "http://host/ws", "/ws" },
		{ "WSS://host:1/ws?x", "/ws" },
		{ "ws://host:1?x=/ws", NULL },
		{ "http://host#/ws", NULL },
		{ "http:///ws", NULL },
		{ "/ws#x", NULL },
		{ "/%", NULL },
		{ "/%4", NULL },
		{ "/%4g", NULL },
		{ "/%00", NULL },
		{ "/ws?%zz", "/ws" },
	};
	char line[256];

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		enum reason r;

		snprintf(line, sizeof(line), "GET %s HTTP/1.1", paths[i].target);
		r = parse(line, HOST);
		assert_int_equal(r, paths[i].path ? REASON_NONE : REASON_BAD_TARGET);
		if (paths[i].path)
			assert_string_equal(up.path, paths[i].path);
	}
}

/* No endpoint has an empty path. */
static void test_long_path(void **state)
{
	char line[UPGRADE_PATH_MAX + 64];

	(void)state;
	snprintf(line, sizeof(line), "GET /%0*d HTTP/1.1", UPGRADE_PATH_MAX - 1, 0);
	assert_int_equal(parse(line, HOST), REASON_NONE);
	assert_int_equal(strlen(up.path), UPGRADE_PATH_MAX);
	snprintf(line, sizeof(line), "GET /%0*d HTTP/1.1", UPGRADE_PATH_MAX, 0);
	assert_int_equal(parse(line, HOST), REASON_NONE);
	assert_string_equal(up.path, "");
}

static const char *choose(const char *headers, const char *const *offered)
{
	parse("GET /ws HTTP/1.1", headers);
	return upgrade_subprotocol(&head, offered);
}

static void test_subprotocols(void **state)
{
	static const char *const ours[] = { "v2.chat", "v1.chat", NULL };
	static const char list[] = HOST "Sec-WebSocket-Protocol: x, v1.chat, v2.chat\r\n";
	static const char two[] = HOST "Sec-WebSocket-Protocol: x,\r\n"
				       "sec-websocket-protocol: v2.chat\r\n";

	(void)state;
	assert_string_equal(choose(list, ours), "v1.chat");
	assert_string_equal(choose(two, ours), "v2.chat");
	assert_null(choose(HOST, ours));
	assert_null(choose(HOST "Sec-WebSocket-Protocol: V1.chat, v1\r\n", ours));
	assert_null(choose(list, NULL));
}

/* RFC 6455 1.3. */
static void test_accept(void **state)
{
	char out[UPGRADE_RESPONSE_MAX];
	size_t n;

	(void)state;
	assert_int_equal(parse("GET /chat HTTP/1.1", HOST UPGRADE KEY VERSION), REASON_NONE);
	n = upgrade_write_accept(out, &up, NULL, "");
	assert_int_equal(n, strlen(out));
	assert_string_equal(out, "HTTP/1.1 101 Switching Protocols\r\n"
				 "Upgrade: websocket\r\n"
				 "Connection: Upgrade\r\n"
				 "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
				 "\r\n");
	n = upgrade_write_accept(out, &up, "chat", "X: y\r\n");
	assert_int_equal(n, strlen(out));
	assert_non_null(strstr(out, "\r\nSec-WebSocket-Protocol: chat\r\nX: y\r\n\r\n"));
}

/* Every refusal fits, and is a response whose length is right. */
static size_t write_refusal(char *out, enum reason r, bool no_body)
{
	struct refusal plain;

	refusal_plain(&plain, r);
	return upgrade_write_refusal(out, &plain, 0, no_body);
}

static void test_refusals(void **state)
{
	char out[UPGRADE_RESPONSE_MAX];

	(void)state;
	for (int r = REASON_NONE + 1; r < REASON_COUNT; r++) {
		size_t n = write_refusal(out, (enum reason)r, false);
		char *body = strstr(out, "\r\n\r\n"), *length = strstr(out, "Content-Length: ");

		assert_int_equal(n, strlen(out));
		assert_non_null(body);
		assert_int_equal(strtoul(length + 16, NULL, 10), strlen(body + 4));
		assert_int_equal(strtoul(out + 9, NULL, 10), upgrade_status((enum reason)r));
		assert_int_equal(strncmp(body + 4, reason_word((enum reason)r),
					 strlen(reason_word((enum reason)r))),
				 0);
		assert_non_null(strstr(out, "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"));
		write_refusal(out, (enum reason)r, true);
		assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\n");
	}
	write_refusal(out, REASON_METHOD_NOT_ALLOWED, false);
	assert_non_null(strstr(out, "\r\nAllow: GET\r\n"));
	write_refusal(out, REASON_UPGRADE_REQUIRED, false);
	assert_non_null(strstr(out, "\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"));
	write_refusal(out, REASON_TOO_MANY_CONNECTIONS, false);
	assert_non_null(strstr(out, "\r\nRetry-After: "));
}

static void test_health(void **state)
{
	char out[UPGRADE_RESPONSE_MAX];
	size_t n = upgrade_write_health(out, true, 0, false);

	(void)state;
	assert_int_equal(n, strlen(out));
	assert_int_equal(strncmp(out, "HTTP/1.1 200 OK\r\n", 17), 0);
	assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\nok\n");
	n = upgrade_write_health(out, false, 0, false);
	assert_int_equal(n, strlen(out));
	assert_int_equal(strncmp(out, "HTTP/1.1 503 ", 13), 0);
	assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\nstopping\n");
	upgrade_write_health(out, false, 0, true);
	assert_non_null(strstr(out, "Content-Length: 9\r\n"));
	assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers),      cmocka_unit_test(test_request_line),
		cmocka_unit_test(test_paths),        cmocka_unit_test(test_long_path),
		cmocka_unit_test(test_subprotocols), cmocka_unit_test(test_accept),
		cmocka_unit_test(test_refusals),     cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_health),       cmocka_unit_test(test_peek_path),
		cmocka_unit_test(test_peek_method),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
