/* Where a token is in a request: cookies, subprotocols, the query. */
// links: base proto
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/credential.h"

typedef bool find_fn(const struct http_head *h, const char *name, struct http_text *value);

static bool query(const struct http_head *h, const char *name, struct http_text *value)
{
	return credential_query(h->target, name, value);
}

/* In a copy of just that size. want NULL: there is none. */
static void check(find_fn *find, const char *head, const char *name, const char *want)
{
	const size_t len = strlen(head);
	struct http_progress progress = { 0 };
	static struct http_head h;
	struct http_text value = { NULL, 0 };
	char *copy = malloc(len);

	memcpy(copy, head, len);
	assert_true(http_parse_head(copy, len, 4096, &progress, &h) > 0);
	assert_int_equal(find(&h, name, &value), want != NULL);
	if (want) {
		assert_int_equal(value.len, strlen(want));
		assert_memory_equal(value.p, want, value.len);
	}
	free(copy);
}

#define COOKIE(value) "GET / HTTP/1.1\r\nCookie: " value "\r\n\r\n"

static void test_cookies(void **state)
{
	(void)state;
	check(credential_cookie, COOKIE("t=abc"), "t", "abc");
	check(credential_cookie, COOKIE("a=1; t=abc; b=2"), "t", "abc");
	check(credential_cookie, COOKIE("a=1;t=abc;b=2"), "t", "abc");
	check(credential_cookie, COOKIE("t=\"abc\"; b"), "t", "abc");
	check(credential_cookie, COOKIE("t=\""), "t", "\"");
	check(credential_cookie, COOKIE("t=a=b"), "t", "a=b");
	check(credential_cookie, COOKIE("t=; t=x"), "t", "");
	check(credential_cookie, COOKIE("tt=1; T=2; =3; x t=4; t"), "t", "");
	check(credential_cookie, COOKIE("tt=1; T=2; =3; x t=4"), "t", NULL);
	check(credential_cookie, COOKIE(""), "t", NULL);
	check(credential_cookie, "GET / HTTP/1.1\r\nCookie: a=1\r\ncookie: t=2\r\n\r\n", "t", "2");
	check(credential_cookie, "GET / HTTP/1.1\r\n\r\n", "t", NULL);
}

#define LIST(value) "GET / HTTP/1.1\r\nSec-WebSocket-Protocol: " value "\r\n\r\n"

static void test_subprotocols(void **state)
{
	(void)state;
	check(credential_subprotocol, LIST("bearer.abc"), "bearer.", "abc");
	check(credential_subprotocol, LIST("chat, bearer.a.b.c ,x"), "bearer.", "a.b.c");
	check(credential_subprotocol, LIST("bearer."), "bearer.", "");
	check(credential_subprotocol, LIST("bearer, Bearer.x, xbearer.x"), "bearer.", NULL);
	check(credential_subprotocol, LIST(""), "bearer.", NULL);
}

#define TARGET(target) "GET " target " HTTP/1.1\r\n\r\n"

static void test_queries(void **state)
{
	(void)state;
	check(query, TARGET("/?t=abc"), "t", "abc");
	check(query, TARGET("/a/b?x=1&t=a.b-c_&y"), "t", "a.b-c_");
	check(query, TARGET("/?t"), "t", "");
	check(query, TARGET("/?t=a?t=b"), "t", "a?t=b");
	check(query, TARGET("/t=1"), "t", NULL);
	check(query, TARGET("/?"), "t", NULL);
	check(query, TARGET("/?&&tt=1&T=2"), "t", NULL);
	check(query, TARGET("/"), "t", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cookies),
		cmocka_unit_test(test_subprotocols),
		cmocka_unit_test(test_queries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
