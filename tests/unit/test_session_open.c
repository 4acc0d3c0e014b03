/*
 * A connection up to the moment at which it is open: what is answered, when it is not waited for
 * any more, who the client is.
 */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "failing.h"
#include "net/tickets.h"
#include "net/tls.h"
#include "person.h"
#include "session/worker.h"
#include "config/key.h"
#include "proto/forwarded.h"
#include "proto/proxy.h"
#include "proto/refusal.h"

static bool closed_behaviour;

/* Admits nobody whose endpoint says so. */
struct door_opts {
	bool open;
};

static const struct config_key door_keys[] = {
	{ .name = "open",
	  .type = CONFIG_BOOL,
	  .offset = offsetof(struct door_opts, open),
	  .preset = "true" },
	{ 0 },
};

static bool door_admit(const struct conn *c, const void *opts, struct refusal *why)
{
	const struct door_opts *o = opts;

	assert_int_equal(c->state_now, CONN_ADMIT);
	if (!o->open)
		refusal_set(why, REASON_BAD_ORIGIN, "the door is shut");
	return o->open;
}

static void door_close(struct conn *c, const void *opts, void *state, int code)
{
	(void)c;
	(void)opts;
	(void)state;
	(void)code;
	closed_behaviour = true;
}

static const struct behaviour door = { .name = "door",
				       .state_size = 16,
				       .keys = door_keys,
				       .opts_size = sizeof(struct door_opts),
				       .admit = door_admit,
				       .close = door_close };
extern const struct behaviour behaviour_echo;
static const struct behaviour *const all[] = { &door, &behaviour_echo, NULL };

static struct client k;

static int begin(void **state)
{
	(void)state;
	worker_begin(
		"handshake_timeout = \"10s\"; close_timeout = \"2s\"; health = \"/health\";\n"
		"max_connections = 3; max_head = \"2K\"; ping_interval = \"0\";\n"
		"endpoints = ( { path = \"/\"; behaviour = \"door\"; },\n"
		"  { path = \"/shut\"; behaviour = \"door\"; open = false; },\n"
		"  { path = \"/slow\"; behaviour = \"door\"; handshake_timeout = \"120s\"; },\n"
		"  { path = \"/sub\"; behaviour = \"door\"; subprotocols = ( \"a\", \"b\" );\n"
		"    require_subprotocol = true; },\n"
		"  { path = \"/here\"; behaviour = \"door\";\n"
		"    allowed_origins = ( \"https://here\" ); },\n"
		"  { path = \"/zip\"; behaviour = \"echo\";\n"
		"    compression = { enabled = true; }; } );\n",
		all);
	closed_behaviour = false;
	return 0;
}

/* A request that is refused: its answer, and then the end. */
static void check_refused(const char *request, const char *status, const char *words)
{
	size_t others = session.conns;

	connect_client(&k);
	say(&k, request);
	assert_begins(&k, status);
	assert_non_null(strstr((char *)k.got, words));
	assert_true(hear(&k));
	assert_int_equal(k.conn->state_now, CONN_ENDING);
	assert_int_equal(session.row->handshakes, 0);
	disconnect(&k);
	assert_int_equal(session.conns, others);
	assert_false(closed_behaviour);
}

static void test_open(void **state)
{
	uint64_t took = session.row->handshake.sum;

	(void)state;

	upgrade(&k, REQUEST("/") "\r\n");
	assert_null(k.conn->opening);
	assert_true(session.row->handshake.sum > took);
	assert_int_equal(session.row->open, 1);
	assert_int_equal(COUNTED(opened), 1);
	assert_int_equal(session.row->handshakes, 0);
	assert_int_equal(k.conn->link.bytes, 0);
	disconnect(&k);
	assert_true(closed_behaviour);
	assert_int_equal(session.row->open, 0);
	assert_int_equal(session.row->abandoned, 0);
	assert_int_equal(counted_ends(REASON_PEER_GONE), 1);
}

static void test_refusals(void **state)
{
	(void)state;
	check_refused(REQUEST("/none") "\r\n", "HTTP/1.1 404 ", "not-found");
	check_refused("POST / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405 ", "method-not-allowed");
	check_refused("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 426 ", "upgrade-required");
	check_refused(REQUEST("/here") "Origin: https://there\r\n\r\n", "HTTP/1.1 403 ",
		      "bad-origin");
	check_refused(REQUEST("/sub") "\r\n", "HTTP/1.1 400 ", "subprotocol-required");
	check_refused(REQUEST("/sub") "Sec-WebSocket-Protocol: c\r\n\r\n", "HTTP/1.1 400 ",
		      "subprotocol-required");
	check_refused("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ", "missing-host");
	check_refused("bad\r\n", "HTTP/1.1 400 ", "bad-request");
	/* what the behaviour says, ahead of the 101 */
	check_refused(REQUEST("/shut") "\r\n", "HTTP/1.1 403 ", "the door is shut");
	assert_int_equal(session.row->refused[REASON_BAD_ORIGIN], 2);
	assert_int_equal(COUNTED(opened), 0);
}

static void test_what_is_agreed(void **state)
{
	(void)state;
	connect_client(&k);
	say(&k, REQUEST("/sub") "Sec-WebSocket-Protocol: x, b\r\n\r\n");
	assert_begins(&k, "HTTP/1.1 101 ");
	assert_non_null(strstr((char *)k.got, "Sec-WebSocket-Protocol: b\r\n"));
	disconnect(&k);
	connect_client(&k);
	say(&k, REQUEST("/here") "Origin: https://here\r\n\r\n");
	assert_begins(&k, "HTTP/1.1 101 ");
	disconnect(&k);
	connect_client(&k);
	say(&k, REQUEST("/zip") "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
	assert_begins(&k, "HTTP/1.1 101 ");
	assert_non_null(strstr((char *)k.got, "permessage-deflate"));
	disconnect(&k);
}

/* A head may come in any pieces, and messages right behind it. */
static void test_pieces(void **state)
{
	static const char request[] = REQUEST("/zip") "\r\n";

	(void)state;
	connect_client(&k);
	for (size_t i = 0; i < sizeof(request) - 1; i++) {
		assert_int_equal(k.conn->state_now, CONN_UPGRADE);
		say_bytes(&k, request + i, 1);
	}
	assert_begins(&k, "HTTP/1.1 101 ");
	k.len = 0;
	say_frame(&k, 0x81, "x");
	ASSERT_HEARD(&k, "\x81\x01x");
	disconnect(&k);
}

static void test_messages_behind_the_head(void **state)
{
	char bytes[1024];
	size_t n = sizeof(REQUEST("/zip") "\r\n") - 1;

	(void)state;
	for (size_t first = 0; first <= 1; first++) {
		memcpy(bytes, REQUEST("/zip") "\r\n", n);
		connect_client(&k);
		say_bytes(&k, bytes, first * 100);
		n += client_frame((uint8_t *)bytes + n, 0x81, "early", 5);
		say_bytes(&k, bytes + first * 100, n - first * 100);
		assert_begins(&k, "HTTP/1.1 101 ");
		assert_non_null(strstr((char *)k.got, "\r\n\r\n\x81\x05"
						      "early"));
		assert_int_equal(k.conn->bytes_in, 11);
		disconnect(&k);
		n = sizeof(REQUEST("/zip") "\r\n") - 1;
	}
}

static void test_head_too_long(void **state)
{
	char line[1100];

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "X-Long: ", 8);
	memcpy(line + sizeof(line) - 3, "\r\n", 3);
	connect_client(&k);
	say(&k, "GET /slow HTTP/1.1\r\nHost: x\r\n");
	say(&k, line);
	assert_int_equal(k.conn->state_now, CONN_UPGRADE);
	say(&k, line);
	assert_begins(&k, "HTTP/1.1 431 ");
	disconnect(&k);
}

/* Whoever has not asked in time is told so, by the time that its endpoint gives it. */
static void test_timeout(void **state)
{
	(void)state;
	connect_client(&k);
	pass(9900);
	say(&k, "GET / HT");
	assert_int_equal(k.conn->state_now, CONN_UPGRADE);
	pass(100);
	assert_begins(&k, "HTTP/1.1 408 ");
	assert_int_equal(k.conn->state_now, CONN_ENDING);
	/* and who does not go then is not waited for */
	pass(1900);
	assert_true(lives(&k));
	pass(200);
	assert_false(lives(&k));
	assert_int_equal(session.row->refused[REASON_HANDSHAKE_TIMEOUT], 1);
	close(k.fd);
}

static void test_timeout_of_endpoint(void **state)
{
	(void)state;
	connect_client(&k);
	pass(5000);
	say(&k, "GET /slow HTTP/1.1\r\nHost: x\r\n");
	pass(114900);
	assert_int_equal(k.conn->state_now, CONN_UPGRADE);
	pass(100);
	assert_begins(&k, "HTTP/1.1 408 ");
	disconnect(&k);
}

/* HEAD has no body in its answer, also where its head has not come whole (RFC 9110 9.3.2). */
static void test_timeout_of_head(void **state)
{
	(void)state;
	connect_client(&k);
	say(&k, "HEAD / HTTP/1.1\r\nHost: x\r\n");
	pass(10000);
	assert_begins(&k, "HTTP/1.1 408 ");
	assert_string_equal(strstr((char *)k.got, "\r\n\r\n"), "\r\n\r\n");
	disconnect(&k);
}

static void test_health(void **state)
{
	(void)state;
	connect_client(&k);
	say(&k, "GET /health HTTP/1.0\r\n\r\n");
	assert_begins(&k, "HTTP/1.1 200 ");
	assert_int_equal(k.conn->reason, REASON_HEALTH_CHECK);
	disconnect(&k);
	connect_client(&k);
	say(&k, "HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_begins(&k, "HTTP/1.1 200 ");
	assert_string_equal(strstr((char *)k.got, "\r\n\r\n"), "\r\n\r\n");
	disconnect(&k);
	check_refused("POST /health HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405 ", "GET, HEAD");
}

static void test_too_many(void **state)
{
	static struct client others[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		upgrade(&others[i], REQUEST("/") "\r\n");
	check_refused(REQUEST("/") "\r\n", "HTTP/1.1 503 ", "too-many-connections");
	assert_int_equal(session.row->open, 3);
	disconnect(&others[0]);
	upgrade(&k, REQUEST("/") "\r\n");
	disconnect(&k);
	disconnect(&others[1]);
	disconnect(&others[2]);
}

/* Stopping: who is ahead of OPEN is answered 503, or ended where nobody would understand it. */
static void test_stop(void **state)
{
	static struct client asks, checks, proxied;

	(void)state;
	connect_client(&asks);
	say(&asks, "GET / HTTP/1.1\r\n");
	connect_client(&checks);
	say(&checks, "GET /health HTTP/1.1\r\n");
	worker.listener->proxy_protocol = true;
	connect_client(&proxied);
	connect_client(&k);
	worker.listener->proxy_protocol = false;
	session_stop(0, 0);
	turn();
	assert_begins(&asks, "HTTP/1.1 503 ");
	assert_begins(&checks, "HTTP/1.1 503 ");
	assert_non_null(strstr((char *)checks.got, "stopping"));
	assert_true(hear(&proxied) && hear(&k));
	assert_int_equal(session.row->refused[REASON_SHUTDOWN], 2);
	close(proxied.fd);
	close(k.fd);
	disconnect(&asks);
	disconnect(&checks);
	check_refused(REQUEST("/") "\r\n", "HTTP/1.1 503 ", "shutdown");
	connect_client(&k);
	say(&k, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_begins(&k, "HTTP/1.1 503 ");
	disconnect(&k);
}

static void test_abort(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	assert_int_equal(session_abort(), 1);
	assert_true(hear(&k));
	close(k.fd);
	assert_true(closed_behaviour);
}

/* --- who the client is --- */

static void trust_everybody(void)
{
	worker.listener->trusted[0] = (struct cidr){ .family = AF_INET };
}

static void assert_peer(const char *text)
{
	char peer[NET_PEER_TEXT_MAX];

	assert_string_equal(net_peer_format(&k.conn->peer, peer), text);
}

static void test_proxy_header(void **state)
{
	char proxy[NET_PEER_TEXT_MAX];

	(void)state;
	worker.listener->proxy_protocol = true;
	trust_everybody();
	connect_client(&k);
	assert_int_equal(k.conn->state_now, CONN_PROXY);
	say(&k, "PROXY TCP4 198.51.100.7");
	assert_int_equal(k.conn->state_now, CONN_PROXY);
	assert_non_null(k.conn->opening->proxy);
	say(&k, " 192.0.2.9 1234 80\r\n" REQUEST("/") "\r\n");
	assert_begins(&k, "HTTP/1.1 101 ");
	assert_peer("198.51.100.7:1234");
	assert_string_equal(net_peer_format(&k.conn->extra->proxy, proxy), "192.0.2.1:4711");
	disconnect(&k);
}

static void check_silent_end(const char *bytes, enum reason reason)
{
	uint64_t before = session.row->refused[reason];

	connect_client(&k);
	if (*bytes)
		say(&k, bytes);
	assert_true(hear(&k));
	assert_int_equal(k.len, 0);
	assert_int_equal(session.row->refused[reason], before + 1);
	close(k.fd);
}

static void test_bad_proxy_headers(void **state)
{
	(void)state;
	worker.listener->proxy_protocol = true;
	check_silent_end("PROXY TCP4 198.51.100.7 192.0.2.9 1234 80\r\n", REASON_UNTRUSTED_PROXY);
	trust_everybody();
	check_silent_end("GET / HTTP/1.1\r\n", REASON_BAD_PROXY_HEADER);
	connect_client(&k);
	disconnect(&k);
	assert_int_equal(session.row->abandoned, 1);
	connect_client(&k);
	say(&k, "PROXY ");
	pass(10000);
	assert_true(hear(&k));
	assert_int_equal(k.len, 0);
	assert_int_equal(session.row->refused[REASON_HANDSHAKE_TIMEOUT], 1);
	close(k.fd);
}

/* A header of the request counts only from those who are trusted, and behind a PROXY header. */
static void test_forwarded(void **state)
{
	(void)state;
	worker.listener->forwarded = FORWARDED_X_FORWARDED_FOR;
	upgrade(&k, REQUEST("/") "X-Forwarded-For: 203.0.113.5\r\n\r\n");
	assert_peer("192.0.2.1:4711");
	disconnect(&k);
	trust_everybody();
	worker.listener->trusted[0] =
		(struct cidr){ .family = AF_INET, .bits = 24, .address = { 192, 0, 2, 0 } };
	upgrade(&k, REQUEST("/") "X-Forwarded-For: 203.0.113.5\r\n\r\n");
	assert_peer("203.0.113.5");
	disconnect(&k);
	/* in a request that is refused, too, or is no upgrade at all */
	connect_client(&k);
	say(&k, "GET / HTTP/1.1\r\nX-Forwarded-For: 203.0.113.6\r\n\r\n");
	assert_peer("203.0.113.6");
	disconnect(&k);
	worker.listener->proxy_protocol = true;
	connect_client(&k);
	say(&k, "PROXY TCP4 198.51.100.7 192.0.2.9 1234 80\r\n" REQUEST(
			"/") "X-Forwarded-For: 203.0.113.5\r\n\r\n");
	assert_peer("198.51.100.7:1234");
	disconnect(&k);
	connect_client(&k);
	say(&k, "PROXY UNKNOWN\r\n" REQUEST("/") "X-Forwarded-For: 203.0.113.5\r\n\r\n");
	assert_peer("192.0.2.1:4711");
	disconnect(&k);
}

/* The name in a certificate that the proxy has verified goes with the connection. */
static void test_name_by_proxy(void **state)
{
	static const uint8_t header[] = "\r\n\r\n\0\r\nQUIT\n"
					"\x21\x11\x00\x19" /* PROXY, TCP over IPv4, 25 bytes */
					"\xcb\x00\x71\x07\xc0\x00\x02\x09\x10\xe1\x00\x50"
					"\x20\x00\x0a" /* PP2_TYPE_SSL, 10 bytes */
					"\x07\x00\x00\x00\x00" /* by TLS, verified */
					"\x22\x00\x02"
					"me"; /* PP2_SUBTYPE_SSL_CN */

	(void)state;
	worker.listener->proxy_protocol = true;
	trust_everybody();
	connect_client(&k);
	for (size_t i = 0; i < sizeof(header) - 1; i++)
		say_bytes(&k, header + i, 1);
	assert_int_equal(k.conn->state_now, CONN_UPGRADE);
	assert_peer("203.0.113.7:4321");
	assert_non_null(k.conn->extra->client);
	assert_string_equal(k.conn->extra->client, "CN=me");
	disconnect(&k);
}

/* Connections share their openings one after the other, and more at a time than are kept. */
static void test_many_openings(void **state)
{
	static struct client many[100];

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 100; i++)
			connect_client(&many[i]);
		assert_int_equal(session.row->handshakes, 100);
		for (int i = 0; i < 100; i++)
			disconnect(&many[i]);
		assert_int_equal(session.conns, 0);
	}
}

/*
 * Some of a crowd's openings wait for those to come, who then ask for the memory of a connection
 * alone; that of the others is let go.
 */
static void test_openings_that_wait(void **state)
{
	static struct client many[100];
	unsigned waited = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		connect_client(&many[i]);
	for (int i = 0; i < 100; i++)
		disconnect(&many[i]);
	for (int i = 0; i < 100; i++) {
		failing_nth(2);
		connect_client(&many[i]);
		waited += !failing_end();
	}
	assert_in_range(waited, 1, 99);
	assert_int_equal(session.conns, waited);
	for (int i = 0; i < 100; i++)
		disconnect(&many[i]);
}

/* What has come is read, in a turn that is long enough. Returns what that cost. */
static int64_t take_events(void)
{
	const int64_t plenty = (int64_t)1 << 40;

	this_turn = (struct turn){ .credit = plenty, .began = 1 };
	for (int i = 0; i < 4; i++)
		event_base_loop(worker.base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	return plenty - this_turn.credit;
}

static unsigned in_state_tls(const struct client *many, int n)
{
	unsigned waiting = 0;

	for (int i = 0; i < n; i++)
		waiting += lives(&many[i]) && many[i].conn->state_now == CONN_TLS;
	return waiting;
}

/*
 * Handshakes cost much: they wait for the end of a turn, which takes some of them and one in any
 * case, and who is open does not wait for them.
 */
static void test_a_turn_of_handshakes(void **state)
{
	static const char ciphers[] = "ECDHE+AESGCM", junk[] = "this is no TLS at all";
	static struct client many[40];
	const char *names[] = { NULL }, *why;
	struct person p = person_make((struct wish){ .name = "server" });
	struct config_certificate certificate = { .leaf = p.x,
						  .private_key = p.key,
						  .names = (char **)names };
	const struct config_tls tls = { .on = true,
					.ciphers = (char *)ciphers,
					.certificate_count = 1,
					.certificates = &certificate };
	struct tickets *tickets = tickets_new();

	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	worker.listener->tls = tls_server_new(&tls, tickets, &why);
	assert_non_null(worker.listener->tls);
	for (int i = 0; i < 40; i++) {
		connect_client(&many[i]);
		assert_int_equal(write(many[i].fd, junk, strlen(junk)), strlen(junk));
	}
	assert_int_equal(write(k.fd, "\x81\x81\0\0\0\0x", 7), 7);
	take_events();
	assert_int_equal(k.conn->messages_in, 1);
	assert_int_equal(in_state_tls(many, 40), 40);
	/* nor are they watched while they wait */
	take_events();
	assert_int_equal(take_events(), 0);
	assert_true(end_turn(10 * TURN_STEP));
	assert_int_equal(in_state_tls(many, 40), 30);
	assert_true(end_turn(0));
	assert_int_equal(in_state_tls(many, 40), 29);
	/* one ends, and one that was done is not watched in vain */
	conn_kill(many[39].conn, REASON_RESET);
	turn();
	assert_int_equal(session.row->refused[REASON_TLS_HANDSHAKE], 39);
	for (int i = 0; i < 40; i++)
		disconnect(&many[i]);
	/* one that is gone is not in the queue any more */
	connect_client(&many[0]);
	assert_int_equal(write(many[0].fd, junk, strlen(junk)), strlen(junk));
	take_events();
	assert_true(opening_some_wait());
	conn_kill(many[0].conn, REASON_RESET);
	conn_reap();
	assert_false(opening_some_wait());
	close(many[0].fd);
	disconnect(&k);
	tickets_free(tickets);
	person_end(&p);
}

static void test_size(void **state)
{
	(void)state;
	/* what a connection costs that says nothing */
	assert_true(sizeof(struct conn) <= 328);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, worker_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_open),
		TEST(test_refusals),
		TEST(test_what_is_agreed),
		TEST(test_pieces),
		TEST(test_messages_behind_the_head),
		TEST(test_head_too_long),
		TEST(test_timeout),
		TEST(test_timeout_of_endpoint),
		TEST(test_timeout_of_head),
		TEST(test_health),
		TEST(test_too_many),
		TEST(test_stop),
		TEST(test_abort),
		TEST(test_proxy_header),
		TEST(test_bad_proxy_headers),
		TEST(test_forwarded),
		TEST(test_name_by_proxy),
		TEST(test_many_openings),
		TEST(test_openings_that_wait),
		TEST(test_a_turn_of_handshakes),
		cmocka_unit_test(test_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
