/* Who is let in by a token or a network, what is kept of him, and whom a reload closes. */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "failing.h"
#include "session/jwt_holder.h"
#include "session/known.h"
#include "session/worker.h"

/* SHA-256 of "abc" (FIPS 180-2) and of "" */
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define TOKEN "Authorization: Bearer abc\r\n\r\n"

static struct client one, two;

/* The configuration of two endpoints, the first of which asks for a token: of a file with this. */
static const char *guarded(const char *tokens)
{
	static char text[512];
	static int fd = -1;

	file_with(&fd, tokens);
	snprintf(text, sizeof(text),
		 "max_message = \"16K\"; drain_time = \"0\"; endpoints = (\n"
		 "{ path = \"/a\"; behaviour = \"echo\";\n"
		 "  access = { tokens = \"/proc/self/fd/%d\"; }; },\n"
		 "{ path = \"/r/{x}\"; behaviour = \"room\"; prefix = \"{user}@{x} \";\n"
		 "  access = { tokens = \"/proc/self/fd/%d\"; }; },\n"
		 "{ path = \"/free\"; behaviour = \"echo\"; } );",
		 fd, fd);
	return text;
}

/* Nothing more is kept of who has no name than before, and of who has one it lies beside the rest. */
static void test_what_is_kept(void **state)
{
	(void)state;
	worker_begin(guarded("ann " ABC "\n"), NULL);
	upgrade(&one, REQUEST("/free") TOKEN);
	assert_null(one.conn->admission);
	assert_null(conn_user(one.conn));
	disconnect(&one);
	upgrade(&one, REQUEST("/a") TOKEN);
	assert_string_equal(conn_user(one.conn), "ann");
	assert_string_equal(conn_name(one.conn), "/a");
	assert_null(one.conn->extra);
	upgrade(&two, REQUEST("/r/b") TOKEN);
	assert_string_equal(conn_user(two.conn), "ann");
	assert_string_equal(conn_name(two.conn), "/r/b");
	say_frame(&two, 0x81, "hi");
	ASSERT_HEARD(&two, "\x81\x08"
			   "ann@b hi");
	disconnect(&one);
	disconnect(&two);
}

static void refused(const char *request, const char *with)
{
	connect_client(&one);
	say(&one, request);
	hear(&one);
	one.got[one.len] = '\0';
	assert_non_null(strstr((char *)one.got, with));
	disconnect(&one);
}

static void test_refusals(void **state)
{
	(void)state;
	worker_begin(guarded("ann " ABC "\n"), NULL);
	refused(REQUEST("/a") "\r\n", "\nno-credentials: ");
	refused(REQUEST("/a") "Authorization: Bearer abcd\r\n\r\n", "\nbad-token: ");
	refused(REQUEST("/a") "Authorization: Bearer " ABC "\r\n\r\n", "\nbad-token: ");
	refused(REQUEST("/a") "Authorization: Bearer\r\n\r\n", "\nno-credentials: ");
	refused(REQUEST("/a") "authorization: x\r\n" TOKEN, "\nbad-request: ");
	/* of nobody, however he asks */
	reload_worker(guarded("# nobody\n"), NULL);
	assert_reloaded(0, 0);
	refused(REQUEST("/a") TOKEN, "\nbad-token: ");
}

static void closed(struct client *k)
{
	hear(k);
	assert_memory_equal(k->got,
			    "\x88\x10\x03\xf0"
			    "access-changed",
			    18);
	disconnect(k);
}

static void test_reload(void **state)
{
	(void)state;
	worker_begin(guarded("ann " ABC "\n"), NULL);
	upgrade(&one, REQUEST("/a") TOKEN);
	upgrade(&two, REQUEST("/free") "\r\n");
	reload_worker(guarded("ann " EMPTY "\nann " ABC "\n"), NULL);
	assert_reloaded(2, 0);
	assert_string_equal(conn_user(one.conn), "ann");
	/* of another token of the name, and of another name of the token */
	reload_worker(guarded("ann " EMPTY "\n"), NULL);
	assert_reloaded(1, 1);
	closed(&one);
	reload_worker(guarded("ann " ABC "\n"), NULL);
	assert_reloaded(1, 0);
	upgrade(&one, REQUEST("/a") TOKEN);
	reload_worker(guarded("bea " ABC "\n"), NULL);
	assert_reloaded(1, 1);
	closed(&one);
	disconnect(&two);
}

/* A path that leads to another endpoint now is judged by that. */
static void test_reload_to_another_endpoint(void **state)
{
	(void)state;
	worker_begin("endpoints = ( { path = \"/{x}\"; behaviour = \"echo\"; } );", NULL);
	upgrade(&one, REQUEST("/a") "\r\n");
	upgrade(&two, REQUEST("/free") "\r\n");
	reload_worker(guarded("ann " ABC "\n"), NULL);
	assert_reloaded(1, 1);
	closed(&one);
	disconnect(&two);
}

/* Clients of these tests come from 192.0.2.1. */
static void test_networks(void **state)
{
#define FROM(networks)                                                                             \
	"access = { networks = { " networks " }; }; "                                              \
	"endpoints = ( { path = \"/a\"; behaviour = \"echo\"; } );"
	(void)state;
	worker_begin(FROM("allow = ( \"192.0.2.0/24\" );"), NULL);
	upgrade(&one, REQUEST("/a") "\r\n");
	reload_worker(FROM("allow = ( \"192.0.2.1\", \"unix\" ); deny = ( \"unix\", \"::/0\" );"),
		      NULL);
	assert_reloaded(1, 0);
	reload_worker(FROM("allow = ( \"192.0.2.1\" ); deny = ( \"192.0.2.0/31\" );"), NULL);
	assert_reloaded(0, 1);
	closed(&one);
	refused(REQUEST("/a") "\r\n", "\nbad-network: ");
}

/* Without memory for who it is nobody is let in, least of all as somebody else. */
static void test_no_memory(void **state)
{
	bool short_of_it = false;

	(void)state;
	worker_begin(guarded("ann " ABC "\n"), NULL);
	for (unsigned n = 1;; n++) {
		connect_client(&one);
		failing_nth(n);
		say(&one, REQUEST("/a") TOKEN);
		if (!failing_end())
			break;
		hear(&one);
		one.got[one.len] = '\0';
		assert_null(strstr((char *)one.got, "101 "));
		short_of_it |= strstr((char *)one.got, "no-memory") != NULL;
		disconnect(&one);
	}
	assert_true(short_of_it);
	assert_begins(&one, "HTTP/1.1 101 ");
	assert_string_equal(conn_user(one.conn), "ann");
	disconnect(&one);
}

/* --- JSON Web Tokens --- */

#define SECRET "0123456789abcdef0123456789abcdef"
/* of anna, by that, until the year 2100 */
#define JWT                                                                                        \
	"eyJhbGciOiAiSFMyNTYifQ."                                                                  \
	"eyJzdWIiOiAiYW5uYSIsICJleHAiOiA0MTAyNDQ0ODAwfQ."                                          \
	"dZiBXI6z-_QhNrIhxNGo6XbllrPBG4bLvK_RLUuyCac"
#define BEARER "Authorization: Bearer " JWT "\r\n\r\n"
#define RENEWAL "{\"ignyx\":\"token\",\"token\":\"" JWT "\"}"
#define AUTH "{\"ignyx\":\"auth\",\"token\":\"" JWT "\"}"

static const char *by_jwt(void)
{
	static char text[512];
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("test.secret", MFD_CLOEXEC);
		assert_int_equal(pwrite(fd, SECRET, 32, 0), 32);
		assert_int_equal(fchmod(fd, 0600), 0);
	}
	snprintf(text, sizeof(text),
		 "max_message = \"16K\"; drain_time = \"0\"; access = { jwt = { key = "
		 "\"/proc/self/fd/%d\"; algorithms = ( \"HS256\" );\n"
		 "first_message = true; auth_timeout = \"5s\"; }; };\n"
		 "endpoints = ( { path = \"/r/{x}\"; behaviour = \"room\"; prefix = \"{user}: \"; "
		 "},\n"
		 "{ path = \"/u/{user}\"; behaviour = \"echo\"; } );",
		 fd);
	return text;
}

static void test_jwt(void **state)
{
	(void)state;
	worker_begin(by_jwt(), NULL);
	upgrade(&one, REQUEST("/r/a") BEARER);
	assert_string_equal(conn_user(one.conn), "anna");
	assert_true(conn_has_jwt(one.conn));
	/* that it expires is looked at each day */
	assert_true(one.conn->admission->who->jwt->look - session.now ==
		    timer_ticks(24 * 3600 * 1000));
	refused(REQUEST("/u/ben") BEARER, "\nnot-allowed: ");
	disconnect(&one);
}

/* Up to its first message it is in no room; with it, it is as if it had come so. */
static void test_late(void **state)
{
	(void)state;
	worker_begin(by_jwt(), NULL);
	upgrade(&one, REQUEST("/r/a") BEARER);
	upgrade(&two, REQUEST("/r/a") "\r\n");
	assert_true(conn_is_late(two.conn));
	assert_null(two.conn->admission);
	say_frame(&one, 0x81, "1");
	ASSERT_HEARD(&one, "\x81\x07"
			   "anna: 1");
	hear(&two);
	assert_int_equal(two.len, 0);
	say_frame(&two, 0x81, AUTH);
	assert_false(conn_is_late(two.conn));
	assert_string_equal(conn_user(two.conn), "anna");
	say_frame(&one, 0x81, "2");
	ASSERT_HEARD(&two, "\x81\x07"
			   "anna: 2");
	disconnect(&one);
	disconnect(&two);
}

static void test_late_too_late(void **state)
{
	(void)state;
	worker_begin(by_jwt(), NULL);
	upgrade(&one, REQUEST("/r/a") "\r\n");
	pass(4900);
	hear(&one);
	assert_int_equal(one.len, 0);
	pass(200);
	hear(&one);
	assert_memory_equal(one.got,
			    "\x88\x10\x03\xf0"
			    "no-credentials",
			    18);
	disconnect(&one);
}

/*
 * Without memory for what is kept of a token nobody is let in, now or late; nor is its token a bad one for
 * that, which would count as a failure.
 */
static void test_jwt_no_memory(void **state)
{
	(void)state;
	worker_begin(by_jwt(), NULL);
	for (unsigned n = 1;; n++) {
		connect_client(&one);
		failing_nth(n);
		say(&one, REQUEST("/r/a") BEARER);
		if (!failing_end())
			break;
		hear(&one);
		one.got[one.len] = '\0';
		/* what libjose asks for may be of no account */
		if (strstr((char *)one.got, "101 "))
			assert_string_equal(conn_user(one.conn), "anna");
		else
			assert_null(strstr((char *)one.got, "bad-token"));
		disconnect(&one);
	}
	disconnect(&one);
	for (unsigned n = 1;; n++) {
		upgrade(&one, REQUEST("/r/a") "\r\n");
		failing_nth(n);
		say_frame(&one, 0x81, AUTH);
		if (!failing_end())
			break;
		hear(&one);
		assert_true(one.len == 0 || one.got[0] == 0x88);
		one.got[one.len] = '\0';
		assert_true(conn_is_late(one.conn) == (one.len > 0));
		assert_true(one.len < 4 || strstr((char *)one.got + 4, "no-memory"));
		disconnect(&one);
	}
	assert_false(conn_is_late(one.conn));
	for (unsigned n = 1;; n++) {
		failing_nth(n);
		say_frame(&one, 0x81, RENEWAL);
		if (!failing_end())
			break;
		hear(&one);
		one.got[one.len] = '\0';
		assert_true(one.len < 4 || strstr((char *)one.got + 4, "no-memory"));
		disconnect(&one);
		upgrade(&one, REQUEST("/r/a") BEARER);
	}
	disconnect(&one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_what_is_kept, worker_teardown),
		cmocka_unit_test_teardown(test_refusals, worker_teardown),
		cmocka_unit_test_teardown(test_reload, worker_teardown),
		cmocka_unit_test_teardown(test_reload_to_another_endpoint, worker_teardown),
		cmocka_unit_test_teardown(test_networks, worker_teardown),
		cmocka_unit_test_teardown(test_no_memory, worker_teardown),
		cmocka_unit_test_teardown(test_jwt, worker_teardown),
		cmocka_unit_test_teardown(test_late, worker_teardown),
		cmocka_unit_test_teardown(test_late_too_late, worker_teardown),
		cmocka_unit_test_teardown(test_jwt_no_memory, worker_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
