/*
 * How many connections an address, a user, an endpoint has: at the top and in an endpoint, with what
 * another worker has, over reloads, and given back wherever a connection ends.
 */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>

#include <cmocka.h>

#include "base/tally.h"
#include "session/known.h"
#include "session/worker.h"

#define ENDPOINTS(of_a)                                                                            \
	"endpoints = ( { path = \"/a\"; behaviour = \"echo\"; " of_a                               \
	" }, { path = \"/b\"; behaviour = \"sink\"; } );\n"

static struct client clients[8], k;

static int begin(void **state)
{
	(void)state;
	worker_begin(
		"max_connections_per_address = 3;\n" ENDPOINTS("max_connections_per_address = 2;"),
		NULL);
	return 0;
}

/* Returns the status of the answer. */
static int ask(struct client *c, const char *request)
{
	connect_client(c);
	say(c, request);
	assert_begins(c, "HTTP/1.1 ");
	return atoi((char *)c->got + 9);
}

#define A REQUEST("/a") "\r\n"
#define B REQUEST("/b") "\r\n"

static void check_refused_by(const char *request, int status, const char *word)
{
	assert_int_equal(ask(&k, request), status);
	assert_non_null(strstr((char *)k.got, word));
	disconnect(&k);
}

static void check_refused(const char *request)
{
	check_refused_by(request, 429, "\ntoo-many-from-address: ");
	assert_null(strstr((char *)k.got, "Retry-After"));
}

static void leave(int first, int last)
{
	for (int i = first; i <= last; i++)
		disconnect(&clients[i]);
}

static void reload(const char *text)
{
	reload_worker(text, NULL);
	turn();
	assert_int_equal(reloaded.times, 1);
}

static void test_both_limits(void **state)
{
	(void)state;
	assert_int_equal(ask(&clients[0], A), 101);
	assert_int_equal(ask(&clients[1], A), 101);
	check_refused(A);
	/* one that was refused is counted nowhere, not even as long as it is there */
	assert_int_equal(ask(&clients[3], A), 429);
	assert_int_equal(ask(&clients[2], B), 101);
	check_refused(B);
	check_refused(A);
	leave(1, 1);
	assert_int_equal(ask(&clients[1], A), 101);
	check_refused(B);
	assert_int_equal(session.row->open, 3);
	leave(0, 3);
}

/* It counts until it is freed, however it ends. */
static void test_ends(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&clients[i], B), 101);
	conn_close_word(clients[0].conn, WS_CLOSE_GOING_AWAY, REASON_DONE);
	turn();
	check_refused(B);
	conn_kill(clients[0].conn, REASON_RESET);
	turn();
	close(clients[0].fd);
	assert_int_equal(ask(&clients[0], B), 101);
	leave(0, 2);
	session_abort();
}

static void test_other_workers(void **state)
{
	const struct tally_key all = { { 0xffffffffc0000201, 0 } };

	(void)state;
	tally_use(worker.tally, OTHER_SLOT);
	assert_true(tally_add(worker.tally, &all));
	assert_true(tally_add(worker.tally, &all));
	tally_use(worker.tally, WORKER_SLOT);
	assert_int_equal(ask(&clients[0], B), 101);
	check_refused(B);
	/* the other one dies */
	tally_clear_slot(worker.tally, OTHER_SLOT);
	assert_int_equal(ask(&clients[1], B), 101);
	leave(0, 1);
}

/* Who is refused by another limit behind it has not counted. */
static void test_max_connections(void **state)
{
	(void)state;
	session.config->max_connections = 1;
	assert_int_equal(ask(&clients[0], B), 101);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(ask(&clients[1 + i], B), 503);
		assert_int_equal(tally_places_taken(worker.tally), 1);
	}
	session.config->max_connections = 10;
	assert_int_equal(ask(&clients[5], B), 101);
	assert_int_equal(ask(&clients[6], B), 101);
	check_refused(B);
	leave(0, 6);
}

static void test_reloads(void **state)
{
	(void)state;
	reload(ENDPOINTS(""));
	for (int i = 0; i < 4; i++)
		assert_int_equal(ask(&clients[i], A), 101);
	assert_int_equal(tally_places_taken(worker.tally), 0);
	/* on: those that are there count, and stay */
	reload("max_connections_per_address = 5;\n" ENDPOINTS("max_connections_per_address = 4;"));
	check_refused(A);
	assert_int_equal(ask(&clients[4], B), 101);
	check_refused(B);
	/* less than there are */
	reload("max_connections_per_address = 2;\n" ENDPOINTS(""));
	leave(0, 2);
	check_refused(A);
	leave(3, 3);
	assert_int_equal(ask(&clients[3], A), 101);
	/* of the endpoint alone */
	reload(ENDPOINTS("max_connections_per_address = 2;"));
	assert_int_equal(ask(&clients[0], A), 101);
	check_refused(A);
	assert_int_equal(ask(&clients[1], B), 101);
	assert_int_equal(tally_places_taken(worker.tally), 1);
	/* and off */
	reload(ENDPOINTS(""));
	assert_int_equal(tally_places_taken(worker.tally), 0);
	assert_int_equal(ask(&clients[2], A), 101);
	leave(0, 4);
}

/* One that is closing when a limit is set is counted, too, until it is gone. */
static void test_reload_while_it_ends(void **state)
{
	(void)state;
	reload(ENDPOINTS(""));
	assert_int_equal(ask(&clients[0], A), 101);
	conn_close_word(clients[0].conn, WS_CLOSE_GOING_AWAY, REASON_DONE);
	assert_int_equal(clients[0].conn->state_now, CONN_CLOSING);
	reload("max_connections_per_address = 1;\n" ENDPOINTS(""));
	check_refused(A);
	/* an endpoint that is gone ends its connections, which count meanwhile */
	leave(0, 0);
	assert_int_equal(ask(&clients[0], B), 101);
	reload("max_connections_per_address = 1;\n"
	       "endpoints = ( { path = \"/a\"; behaviour = \"echo\"; } );\n");
	check_refused(A);
	leave(0, 0);
	assert_int_equal(ask(&clients[0], A), 101);
	leave(0, 0);
}

static void test_unix_sockets(void **state)
{
	const struct net_peer peer = { .family = AF_UNIX };

	(void)state;
	for (int i = 0; i < 5; i++) {
		int fds[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
		clients[i].fd = fds[0];
		clients[i].len = 0;
		session_accept(fds[1], &peer, worker.listener);
		say(&clients[i], A);
		assert_begins(&clients[i], "HTTP/1.1 101 ");
	}
	assert_int_equal(tally_places_taken(worker.tally), 0);
	leave(0, 4);
}

/* --- what is one address --- */

/* Of 2001:db8::, with these two bytes in the middle and one at the end. */
static int ask_as(struct client *c, uint8_t at_5, uint8_t at_7, uint8_t last)
{
	const uint8_t address[16] = { 0x20, 1, 0xd, 0xb8, 0, at_5, 0, at_7, [15] = last };
	const struct net_peer peer = net_peer_of(AF_INET6, address, 4711);
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	*c = (struct client){ .fd = fds[0] };
	session_accept(fds[1], &peer, worker.listener);
	say(c, B);
	assert_begins(c, "HTTP/1.1 ");
	return atoi((char *)c->got + 9);
}

static void check_refused_as(uint8_t at_5, uint8_t at_7, uint8_t last)
{
	assert_int_equal(ask_as(&k, at_5, at_7, last), 429);
	disconnect(&k);
}

#define ONE "max_connections_per_address = 1;\n"

static void test_prefixes(void **state)
{
	(void)state;
	reload(ONE ENDPOINTS(""));
	assert_int_equal(ask_as(&clients[0], 0, 0, 1), 101);
	check_refused_as(0, 0, 2);
	assert_int_equal(ask_as(&clients[1], 0, 1, 1), 101);
	/* longer than what fits in a number */
	reload(ONE "address_prefix_ipv6 = 128;\n" ENDPOINTS(""));
	check_refused_as(0, 0, 1);
	check_refused_as(0, 1, 1);
	assert_int_equal(ask_as(&clients[2], 0, 0, 2), 101);
	check_refused_as(0, 0, 2);
	/* both of the /48 count for one now; the rest of its first byte does not matter */
	reload(ONE "address_prefix_ipv6 = 44;\n" ENDPOINTS(""));
	check_refused_as(0, 9, 9);
	check_refused_as(0xf, 0, 1);
	assert_int_equal(ask_as(&clients[3], 0x10, 0, 1), 101);
	leave(0, 1);
	check_refused_as(0, 9, 9);
	leave(2, 2);
	assert_int_equal(ask_as(&clients[0], 0, 9, 9), 101);
	/* IPv4 has its own */
	assert_int_equal(ask(&clients[1], B), 101);
	check_refused(B);
	reload(ENDPOINTS(""));
	assert_int_equal(tally_places_taken(worker.tally), 0);
	leave(0, 1);
	leave(3, 3);
}

static void test_prefix_of_ipv4(void **state)
{
	(void)state;
	reload("max_connections_per_address = 2; address_prefix_ipv4 = 23;\n" ENDPOINTS(""));
	/* 192.0.2.1 and what another worker has of 192.0.3.0 */
	tally_use(worker.tally, OTHER_SLOT);
	assert_true(tally_add(worker.tally, &(struct tally_key){ { 0xffffffffc0000200, 0 } }));
	tally_use(worker.tally, WORKER_SLOT);
	assert_int_equal(ask(&clients[0], B), 101);
	check_refused(B);
	leave(0, 0);
	tally_clear_slot(worker.tally, OTHER_SLOT);
}

/* No place in the table: who comes is let in, and not counted, and so is who is there already. */
static void test_full(void **state)
{
	(void)state;
	reload(ENDPOINTS(""));
	assert_int_equal(ask(&clients[0], A), 101);
	tally_use(worker.tally, OTHER_SLOT);
	for (uint64_t i = 1, missed = 0; missed < 10000; i++)
		missed += !tally_add(worker.tally, &(struct tally_key){ { i, i } });
	tally_use(worker.tally, WORKER_SLOT);
	reload("max_connections_per_address = 1;\n" ENDPOINTS(""));
	assert_int_equal(clients[0].conn->state_now, CONN_OPEN);
	assert_int_equal(ask(&clients[1], A), 101);
	tally_clear_slot(worker.tally, OTHER_SLOT);
	assert_int_equal(ask(&clients[2], A), 101);
	check_refused(A);
	leave(0, 2);
}

/* --- users --- */

static int begin_with_users(void **state)
{
	(void)state;
	worker_begin(two_known("max_connections_per_user = 3;", "max_connections_per_user = 2;"),
		     NULL);
	return 0;
}

static void check_user_refused(const char *request)
{
	check_refused_by(request, 429, "\ntoo-many-from-user: ");
}

static void test_users(void **state)
{
	(void)state;
	assert_int_equal(ask(&clients[0], REQUEST("/a") ANN), 101);
	assert_int_equal(ask(&clients[1], REQUEST("/a") ANN), 101);
	check_user_refused(REQUEST("/a") ANN);
	assert_int_equal(ask(&clients[2], REQUEST("/b") ANN), 101);
	check_user_refused(REQUEST("/b") ANN);
	/* somebody else's do not count */
	assert_int_equal(ask(&clients[3], REQUEST("/a") BEA), 101);
	assert_int_equal(ask(&clients[4], REQUEST("/a") BEA), 101);
	check_user_refused(REQUEST("/a") BEA);
	leave(0, 0);
	assert_int_equal(ask(&clients[0], REQUEST("/b") ANN), 101);
	check_user_refused(REQUEST("/a") ANN);
	leave(0, 4);
}

static void test_users_and_reloads(void **state)
{
	(void)state;
	reload(two_known("", ""));
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&clients[i], REQUEST("/a") ANN), 101);
	assert_int_equal(tally_places_taken(worker.tally), 0);
	reload(two_known("max_connections_per_user = 4;", ""));
	assert_int_equal(ask(&clients[3], REQUEST("/b") ANN), 101);
	check_user_refused(REQUEST("/b") ANN);
	/* who is there stays, whatever the limit */
	reload(two_known("max_connections_per_user = 1;", ""));
	assert_int_equal(session.row->open, 4);
	/* nobody who comes now says who he is */
	reload("max_connections_per_user = 1;\n" ENDPOINTS(""));
	assert_int_equal(ask(&clients[4], A), 101);
	assert_int_equal(ask(&clients[5], A), 101);
	reload(two_known("", ""));
	assert_int_equal(tally_places_taken(worker.tally), 0);
	leave(0, 5);
}

static void test_users_of_other_workers(void **state)
{
	static const char name[] = "\0\0\0\0\0\0\0\0ann";
	const struct tally_key ann = tally_key_of(worker.tally, name, sizeof(name) - 1);

	(void)state;
	tally_use(worker.tally, OTHER_SLOT);
	for (int i = 0; i < 3; i++)
		assert_true(tally_add(worker.tally, &ann));
	tally_use(worker.tally, WORKER_SLOT);
	check_user_refused(REQUEST("/b") ANN);
	assert_int_equal(ask(&clients[0], REQUEST("/b") BEA), 101);
	tally_clear_slot(worker.tally, OTHER_SLOT);
	assert_int_equal(ask(&clients[1], REQUEST("/b") ANN), 101);
	leave(0, 1);
}

/* --- endpoints --- */

static int begin_with_endpoint(void **state)
{
	(void)state;
	worker_begin(ENDPOINTS("max_connections = 2;"), NULL);
	return 0;
}

static void check_endpoint_full(const char *request)
{
	check_refused_by(request, 503, "\ntoo-many-connections: ");
	assert_non_null(strstr((char *)k.got, "Retry-After: "));
}

static void test_endpoint(void **state)
{
	(void)state;
	assert_int_equal(ask(&clients[0], A), 101);
	assert_int_equal(ask(&clients[1], A), 101);
	check_endpoint_full(A);
	assert_int_equal(ask(&clients[2], B), 101);
	leave(0, 0);
	assert_int_equal(ask(&clients[0], A), 101);
	reload(ENDPOINTS("max_connections = 1;"));
	leave(0, 0);
	check_endpoint_full(A);
	leave(1, 1);
	assert_int_equal(ask(&clients[1], A), 101);
	check_endpoint_full(A);
	/* a limit counts who is there, wherever it is set */
	reload("endpoints = ( { path = \"/a\"; behaviour = \"echo\"; },\n"
	       "{ path = \"/b\"; behaviour = \"sink\"; max_connections = 1; } );");
	check_endpoint_full(B);
	leave(1, 2);
}

/* Whom a reload leads to another endpoint leaves the places of the one and has some of the other. */
static void test_endpoint_that_takes_from_another(void **state)
{
#define OTHER "{ path = \"/{x}\"; behaviour = \"echo\"; max_connections = 3; }"
	(void)state;
	reload("endpoints = ( " OTHER " );");
	assert_int_equal(ask(&clients[0], A), 101);
	assert_int_equal(ask(&clients[1], A), 101);
	assert_int_equal(ask(&clients[2], REQUEST("/c") "\r\n"), 101);
	check_endpoint_full(A);
	reload("endpoints = ( " OTHER
	       ", { path = \"/a\"; behaviour = \"echo\"; max_connections = 2; } );");
	check_endpoint_full(A);
	assert_int_equal(ask(&clients[3], REQUEST("/d") "\r\n"), 101);
	assert_int_equal(ask(&clients[4], REQUEST("/d") "\r\n"), 101);
	check_endpoint_full(REQUEST("/d") "\r\n");
	leave(0, 1);
	check_endpoint_full(REQUEST("/d") "\r\n");
	assert_int_equal(ask(&clients[0], A), 101);
	leave(0, 0);
	leave(2, 4);
#undef OTHER
}

#define TEST(begin, t) cmocka_unit_test_setup_teardown(t, begin, worker_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(begin, test_both_limits),
		TEST(begin, test_ends),
		TEST(begin, test_other_workers),
		TEST(begin, test_max_connections),
		TEST(begin, test_reloads),
		TEST(begin, test_reload_while_it_ends),
		TEST(begin, test_unix_sockets),
		TEST(begin, test_prefixes),
		TEST(begin, test_prefix_of_ipv4),
		TEST(begin, test_full),
		TEST(begin_with_users, test_users),
		TEST(begin_with_users, test_users_and_reloads),
		TEST(begin_with_users, test_users_of_other_workers),
		TEST(begin_with_endpoint, test_endpoint),
		TEST(begin_with_endpoint, test_endpoint_that_takes_from_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
