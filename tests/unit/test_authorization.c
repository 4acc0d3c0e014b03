/*
 * The credentials of a request: users with passwords (RFC 7617), and tokens.
 */
// links: base proto
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"
#include "proto/authorization.h"

static struct authorization_basic found;

/* On the heap, and as long as it is, so that a byte behind it is noticed. */
static enum authorization_found read_value(const char *value)
{
	const size_t len = strlen(value);
	char *p = malloc(len + 1);
	enum authorization_found f;

	memcpy(p, value, len);
	p = realloc(p, len > 0 ? len : 1);
	memset(&found, 'x', sizeof(found));
	f = authorization_basic((struct http_text){ p, len }, &found);
	free(p);
	return f;
}

static enum authorization_found read_text(const char *text, size_t len)
{
	char value[2048];
	char *encoded = base64_encode(text, len);

	snprintf(value, sizeof(value), "Basic %s", encoded);
	free(encoded);
	return read_value(value);
}

static void good(const char *text, const char *user, const char *password)
{
	assert_int_equal(read_text(text, strlen(text)), AUTHORIZATION_GOOD);
	assert_string_equal(found.user, user);
	assert_string_equal(found.password, password);
}

static void test_the_rfc(void **state)
{
	(void)state;
	assert_int_equal(read_value("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), AUTHORIZATION_GOOD);
	assert_string_equal(found.user, "Aladdin");
	assert_string_equal(found.password, "open sesame");
	assert_int_equal(read_value("bASIC   dGVzdDoxMjPCow=="), AUTHORIZATION_GOOD);
	assert_string_equal(found.user, "test");
	assert_string_equal(found.password, "123\xc2\xa3");
}

static void test_what_is_in_them(void **state)
{
	(void)state;
	good("anna:", "anna", "");
	good(":x", "", "x");
	good(":", "", "");
	good("a:b:c:", "a", "b:c:");
	good("J\xc3\xb6rg M:\xff\x01 ", "J\xc3\xb6rg M", "\xff\x01 ");
}

static void test_lengths(void **state)
{
	char text[512], password[258], user[130];

	(void)state;
	memset(password, 'p', sizeof(password));
	memset(user, 'u', sizeof(user));
	for (int more = 0; more < 4; more++) {
		const int u = AUTHORIZATION_USER_MAX + (more & 1),
			  p = AUTHORIZATION_PASSWORD_MAX + (more >> 1);

		snprintf(text, sizeof(text), "%.*s:%.*s", u, user, p, password);
		assert_int_equal(read_text(text, strlen(text)),
				 more ? AUTHORIZATION_BAD : AUTHORIZATION_GOOD);
		assert_int_equal(found.user[0], more ? '\0' : 'u');
		assert_int_equal(found.password[0], more ? '\0' : 'p');
	}
}

static void test_what_is_none(void **state)
{
	static const char *const others[] = { "",          "Basic",     "Bearer YTpi",
					      "BasicYTpi", "Basi YTpi", "Basic\tYTpi" };
	static const char *const bad[] = {
		"Basic YTp",  "Basic YTpi=", "Basic =", "Basic YTpi YTpi", "Basic YT_i",
		"Basic YWI=", "Basic ====",  "Basic :", "Basic a:b"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_int_equal(read_value(others[i]), AUTHORIZATION_OTHER);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(read_value(bad[i]), AUTHORIZATION_BAD);
	assert_int_equal(read_text("a\0b:c", 5), AUTHORIZATION_BAD);
	assert_int_equal(read_text("a:b\0c", 5), AUTHORIZATION_BAD);
	assert_string_equal(found.user, "");
}

/* Nothing is left where a caller might take it for something. */
static void test_nothing_is_left(void **state)
{
	const struct authorization_basic nothing = { .user = "" };

	(void)state;
	read_value("Basic YWI=");
	assert_memory_equal(&found, &nothing, sizeof(found));
	read_text("anna:secret\0", 12);
	assert_memory_equal(&found, &nothing, sizeof(found));
}

static void test_tokens(void **state)
{
	struct http_text t;

	(void)state;
	assert_true(authorization_bearer((struct http_text){ "bearer   abc", 12 }, &t));
	assert_int_equal(t.len, 3);
	assert_memory_equal(t.p, "abc", 3);
	assert_false(authorization_bearer((struct http_text){ "Bearer", 6 }, &t));
	assert_false(authorization_bearer((struct http_text){ "Basic abc", 9 }, &t));
	assert_true(authorization_bearer((struct http_text){ "Bearer ", 7 }, &t));
	assert_int_equal(t.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_rfc),         cmocka_unit_test(test_what_is_in_them),
		cmocka_unit_test(test_lengths),         cmocka_unit_test(test_what_is_none),
		cmocka_unit_test(test_nothing_is_left), cmocka_unit_test(test_tokens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
