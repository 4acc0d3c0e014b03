/*
 * Time, as the test turns it, where two things meet: a timeout and another that is nearer, output
 * that is pending, an endpoint's own. The single ones are in test_session_life.c.
 */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "session/worker.h"

enum { OLD = 1000 * 1000 }; /* milliseconds that a connection is there before something happens */

static struct client k;

static int begin(void **state)
{
	(void)state;
	worker_begin("handshake_timeout = \"3s\"; close_timeout = \"60s\"; ping_interval = \"0\";\n"
		     "max_pending = \"4K\"; stall_timeout = \"0\"; message_timeout = \"0\";\n"
		     "endpoints = ( { path = \"/\"; behaviour = \"echo\"; },\n"
		     "  { path = \"/idle\"; behaviour = \"echo\"; idle_timeout = \"250ms\"; },\n"
		     "  { path = \"/stall\"; behaviour = \"echo\"; stall_timeout = \"3s\";\n"
		     "    slow_consumer = \"drop_newest\"; },\n"
		     "  { path = \"/quiet\"; behaviour = \"room\"; idle_timeout = \"3s\";\n"
		     "    slow_consumer = \"drop_newest\"; max_message = \"4K\"; },\n"
		     "  { path = \"/whole\"; behaviour = \"echo\"; message_timeout = \"70s\"; },\n"
		     "  { path = \"/once\"; behaviour = \"oneshot\"; message = \"x\";\n"
		     "    ping_interval = \"100s\"; close_timeout = \"700ms\"; },\n"
		     "  { path = \"/forever\"; behaviour = \"echo\"; ping_interval = \"60s\";\n"
		     "    ping_timeout = \"0\"; } );\n",
		     NULL);
	return 0;
}

static void assert_state(enum conn_state expected)
{
	assert_true(lives(&k));
	assert_int_equal(k.conn->state_now, expected);
}

/* It is there, in that state, until `ms` from now and no longer; returns with it gone. */
static void assert_ends_after(int64_t ms, enum conn_state until)
{
	pass(ms - SESSION_TICK);
	assert_state(until);
	pass(SESSION_TICK);
	assert_false(lives(&k));
	close(k.fd);
}

/* So many pings have come since it was last looked at. */
static void assert_pings(size_t n)
{
	hear(&k);
	assert_int_equal(k.len, n * 6);
	for (size_t i = 0; i < n; i++)
		assert_memory_equal(k.got + i * 6, "\x89\x04", 2);
	k.len = 0;
}

static void say_close(void)
{
	say_bytes(&k, "\x88\x82\0\0\0\0\x03\xe8", 8);
}

/* --- closing --- */

/* The endpoint's own, which is much sooner than what it was to be looked at for. */
static void test_close_timeout_of_an_endpoint(void **state)
{
	(void)state;
	connect_client(&k);
	say(&k, REQUEST("/once") "\r\n");
	assert_ends_after(700, CONN_CLOSING);
}

/* What is pending has that time, too, be the connection as old as it may. */
static void test_pending_output_of_an_old_connection(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	pass(OLD);
	steer_client(&k, 3);
	say_frame(&k, 0x81, "a message");
	say_close();
	assert_state(CONN_ENDING);
	assert_int_equal(wire.len, 3);
	pass(50000);
	assert_state(CONN_ENDING);
	wire.takes = 100;
	conn_writable(k.conn);
	turn();
	assert_int_equal(wire.len, 11 + 4);
	assert_true(wire.shut);
	assert_ends_after(10000, CONN_ENDING);
}

static void test_handshake_timeout(void **state)
{
	(void)state;
	connect_client(&k);
	pass(2900);
	say(&k, "GET / HTTP/1.1\r\n");
	assert_state(CONN_UPGRADE);
	pass(100);
	assert_state(CONN_ENDING);
	/* a refusal has close_timeout, from then on */
	assert_ends_after(60000, CONN_ENDING);
}

/* An error and the end of the stream in one event: the error is why it ended. */
static void test_error_ahead_of_the_end(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	steer_client(&k, 3);
	say_frame(&k, 0x81, "a message");
	wire.write_error = ETIMEDOUT;
	close(k.fd);
	turn();
	assert_int_equal(session.conns, 0);
	assert_int_equal(counted_ends(REASON_PING_TIMEOUT), 1);
}

/* --- silence --- */

/* Never early: what is no multiple of a tick is rounded up. */
static void test_idle_timeout_is_not_early(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/idle") "\r\n");
	pass(200);
	assert_state(CONN_OPEN);
	pass(100);
	assert_state(CONN_CLOSING);
	assert_int_equal(k.conn->reason, REASON_IDLE_TIMEOUT);
	assert_int_equal(k.conn->code, WS_CLOSE_GOING_AWAY);
	disconnect(&k);
}

static void assert_stalled(void)
{
	assert_state(CONN_CLOSING);
	assert_int_equal(k.conn->reason, REASON_SLOW_CONSUMER);
	assert_int_equal(k.conn->code, WS_CLOSE_TRY_AGAIN);
}

/* Nothing leaves any more: by the second, it is the end, and not earlier. */
static void test_stall_timeout(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/stall") "\r\n");
	pass(OLD);
	steer_client(&k, 3);
	say_frame(&k, 0x81, "hello");
	pass(2900);
	assert_state(CONN_OPEN);
	pass(1200);
	assert_stalled();
	/* of the rest of what was cut, and the close frame */
	wire.takes = 100;
	turn();
	assert_int_equal(wire.len, 7 + 2 + 2 + strlen("slow-consumer"));
	disconnect(&k);
}

/* Who takes a little of it now and then is as slow as its oldest byte is old. */
static void test_stall_of_one_that_drains(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/stall") "\r\n");
	steer_client(&k, 0);
	say_frame(&k, 0x81, "0123456789");
	for (int i = 0; i < 3; i++) {
		assert_state(CONN_OPEN);
		wire.takes = 1;
		pass(900);
		say_frame(&k, 0x81, "0123456789");
	}
	pass(1400);
	assert_stalled();
	disconnect(&k);
}

/* Something always waits, but nothing for long. */
static void test_no_stall_of_what_flows(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/stall") "\r\n");
	steer_client(&k, 0);
	say_frame(&k, 0x81, "0123456789");
	pass(1000);
	for (int i = 0; i < 30; i++) {
		say_frame(&k, 0x81, "0123456789");
		wire.takes = 12;
		pass(1000);
		assert_int_equal(wire.takes, 0);
		assert_non_null(k.conn->link.pending);
		assert_state(CONN_OPEN);
	}
	disconnect(&k);
}

/* To be sent something that does not leave is not to be active. */
static void test_idle_though_it_is_sent_to(void **state)
{
	static struct client speaker;

	(void)state;
	upgrade(&k, REQUEST("/quiet") "\r\n");
	upgrade(&speaker, REQUEST("/quiet") "\r\n");
	steer_client(&k, 8 * 7);
	for (int i = 0; i < 9; i++) {
		say_frame(&speaker, 0x81, "hello");
		pass(1000);
		assert_state(CONN_OPEN);
	}
	say_frame(&speaker, 0x81, "hello");
	pass(1100);
	assert_state(CONN_CLOSING);
	assert_int_equal(k.conn->reason, REASON_IDLE_TIMEOUT);
	assert_true(lives(&speaker));
	assert_int_equal(speaker.conn->state_now, CONN_OPEN);
	disconnect(&k);
	disconnect(&speaker);
}

/* One that is whole in time leaves nothing behind that would count for the next. */
static void test_message_in_time(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/whole") "\r\n");
	for (int i = 0; i < 3; i++) {
		say_bytes(&k, "\x01\x81\0\0\0\0x", 7);
		pass(60000);
		say_bytes(&k, "\x80\x81\0\0\0\0x", 7);
		assert_state(CONN_OPEN);
	}
	pass(OLD);
	assert_state(CONN_OPEN);
	disconnect(&k);
}

/* --- pings --- */

/* A pong ahead of all pings answers none, whatever is in it. */
static void test_pong_without_a_ping(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/forever") "\r\n");
	say_bytes(&k, "\x8a\x84\0\0\0\0\0\0\0\0", 10);
	assert_int_equal(counted_pings(), 0);
	assert_int_equal(k.conn->ping_state, PING_NONE);
	disconnect(&k);
}

/* Where silence is no fault, pings go on. */
static void test_pings_without_a_timeout(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/forever") "\r\n");
	pass(5 * 60000);
	assert_pings(5);
	assert_state(CONN_OPEN);
	disconnect(&k);
}

/* Who does not read cannot be pinged; taking what waits is its sign of life. */
static void test_no_ping_behind_what_is_pending(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/forever") "\r\n");
	steer_client(&k, 3);
	say_frame(&k, 0x81, "x x x");
	pass(2 * 60000);
	assert_int_equal(wire.len, 3);
	wire.takes = 100;
	pass(60000);
	/* the rest, and one ping */
	assert_int_equal(wire.len, 7 + 6);
	disconnect(&k);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, worker_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_close_timeout_of_an_endpoint),
		TEST(test_pending_output_of_an_old_connection),
		TEST(test_error_ahead_of_the_end),
		TEST(test_handshake_timeout),
		TEST(test_idle_timeout_is_not_early),
		TEST(test_stall_timeout),
		TEST(test_stall_of_one_that_drains),
		TEST(test_no_stall_of_what_flows),
		TEST(test_idle_though_it_is_sent_to),
		TEST(test_message_in_time),
		TEST(test_pong_without_a_ping),
		TEST(test_pings_without_a_timeout),
		TEST(test_no_ping_behind_what_is_pending),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
