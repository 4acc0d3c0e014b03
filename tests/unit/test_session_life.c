/*
 * A connection from OPEN to its end: over a transport that takes as much as the test lets it, on
 * a clock that the test turns.
 */
// links: base proto bus config net session behaviours
#include <linux/tcp.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "session/counting.h"
#include "session/worker.h"
#include "session/verdict.h"

enum { PLENTY = 1 << 30 };

/*
 * A behaviour that does what it is told: "c": closes; "s9": sends itself nine messages of 1000
 * bytes; "S9": the same, then closes; "l9": logs nine lines; anything else comes back.
 */
static void send_many(struct conn *c, int n)
{
	static const char data[1000] = "data";

	while (n-- > 0)
		conn_send(c, WS_BINARY, "#", 1, data, sizeof(data));
}

static bool puppet_message(struct conn *c, const void *opts, void *state,
			   const struct ws_message *m, struct verdict *v)
{
	char text[16] = "";

	(void)opts;
	(void)state;
	memcpy(text, m->data, m->len < 15 ? m->len : 15);
	switch (*text) {
	case 'c':
		return verdict_close(v, 4000, REASON_DONE, "bye", 3);
	case 'S':
		send_many(c, atoi(text + 1));
		return verdict_close_word(v, 1000, REASON_DONE);
	case 's':
		send_many(c, atoi(text + 1));
		break;
	case 'l':
		for (int i = atoi(text + 1); i > 0; i--)
			conn_log(c, "line %d", i);
		break;
	default:
		conn_send_back(c, m);
	}
	return true;
}

static bool refuse_open(struct conn *c, const void *opts, void *state, struct verdict *v)
{
	(void)opts;
	(void)state;
	conn_send(c, WS_TEXT, NULL, 0, "no", 2);
	return verdict_close_word(v, WS_CLOSE_TRY_AGAIN, REASON_BUSY);
}

static const struct behaviour puppet = { .name = "puppet", .message = puppet_message };
static const struct behaviour deaf = { .name = "deaf" };
static const struct behaviour refusing = { .name = "refusing", .open = refuse_open };
static const struct behaviour *const all[] = { &puppet, &deaf, &refusing, NULL };

#define ENDPOINTS                                                                                  \
	"endpoints = ( { path = \"/\"; behaviour = \"puppet\"; },\n"                               \
	"  { path = \"/newest\"; behaviour = \"puppet\"; slow_consumer = \"drop_newest\"; },\n"    \
	"  { path = \"/zip\"; behaviour = \"puppet\"; slow_consumer = \"drop_newest\";\n"          \
	"    compression = { enabled = true; threshold = \"0\"; server_context_takeover = true; "  \
	"}; },\n"                                                                                  \
	"  { path = \"/deaf\"; behaviour = \"deaf\"; access_log = false; },\n"                     \
	"  { path = \"/no\"; behaviour = \"refusing\"; } );\n"

#define LIMITS "max_message = \"4K\"; max_pending = \"4K\"; close_timeout = \"60s\";\n"

static struct client k;

static int begin_with(const char *timers)
{
	char text[2048];

	snprintf(text, sizeof(text), "%s%s%s", LIMITS, timers, ENDPOINTS);
	worker_begin(text, all);
	return 0;
}

static int begin(void **state)
{
	(void)state;
	return begin_with(
		"ping_interval = \"0\"; idle_timeout = \"0\"; message_timeout = \"0\";\n");
}

static int begin_ping(void **state)
{
	(void)state;
	return begin_with("ping_interval = \"30s\"; ping_timeout = \"100s\"; idle_timeout = \"0\";"
			  " stall_timeout = \"0\"; message_timeout = \"0\";\n");
}

static int begin_idle(void **state)
{
	(void)state;
	return begin_with("ping_interval = \"0\"; idle_timeout = \"70s\"; message_timeout = "
			  "\"60s\";\n");
}

static void go_on(size_t takes)
{
	wire.takes = takes;
	if (k.conn->state_now != CONN_DEAD)
		conn_writable(k.conn);
	conn_settle(k.conn);
	turn();
}

/* --- closing --- */

static void test_peer_closes(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	steer_client(&k, PLENTY);
	say_bytes(&k, "\x88\x82\0\0\0\0\x0f\xa1", 8);
	assert_int_equal(k.conn->state_now, CONN_ENDING);
	assert_int_equal(k.conn->code, 4001);
	assert_int_equal(k.conn->reason, REASON_PEER_CLOSED);
	/* its code comes back, and the end with it in one packet */
	assert_memory_equal(wire.bytes, "\x88\x02\x0f\xa1", 4);
	assert_int_equal(wire.writes, 1);
	assert_true(wire.last && wire.shut);
	disconnect(&k);
	assert_int_equal(counted_ends(REASON_PEER_CLOSED), 1);
}

static void test_behaviour_closes(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	say_frame(&k, 0x81, "c");
	ASSERT_HEARD(&k, "\x88\x05\x0f\xa0"
			 "bye");
	assert_int_equal(k.conn->state_now, CONN_CLOSING);
	/* now only its close frame is of interest */
	say_frame(&k, 0x81, "echo");
	say_frame(&k, 0x89, "ping");
	ASSERT_HEARD(&k, "");
	assert_int_equal(k.conn->messages_in, 1);
	say_bytes(&k, "\x88\x80\0\0\0\0", 6);
	assert_int_equal(k.conn->state_now, CONN_ENDING);
	assert_int_equal(conn_close_code(k.conn), 4000);
	assert_int_equal(k.conn->reason, REASON_DONE);
	assert_true(hear(&k));
	/* what comes then is thrown away */
	say_frame(&k, 0x81, "echo");
	assert_int_equal(k.conn->messages_in, 1);
	disconnect(&k);
}

static void test_behaviour_refuses(void **state)
{
	(void)state;
	connect_client(&k);
	say(&k, REQUEST("/no") "\r\n");
	hear(&k);
	k.got[k.len] = '\0';
	assert_memory_equal(strstr((char *)k.got, "\r\n\r\n"),
			    "\r\n\r\n\x81\x02no\x88\x06\x03\xf5"
			    "busy",
			    16);
	assert_int_equal(k.conn->state_now, CONN_CLOSING);
	disconnect(&k);
}

static void test_without_callbacks(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/deaf") "\r\n");
	say_frame(&k, 0x81, "x");
	ASSERT_HEARD(&k, "");
	assert_int_equal(COUNTED(messages_in), 1);
	disconnect(&k);
}

/* What cannot be understood: our close frame, and the end behind it, at once. */
static void test_protocol_error(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	say_bytes(&k, "\x81\x01x", 3);
	ASSERT_HEARD(&k, "\x88\x0c\x03\xea"
			 "not-masked");
	assert_true(hear(&k));
	assert_int_equal(k.conn->state_now, CONN_ENDING);
	disconnect(&k);
	assert_int_equal(counted_ends(REASON_NOT_MASKED), 1);
	/* also behind our close frame */
	upgrade(&k, REQUEST("/") "\r\n");
	say_frame(&k, 0x81, "c");
	say_bytes(&k, "\x83\x80\0\0\0\0", 6);
	assert_int_equal(k.conn->state_now, CONN_ENDING);
	assert_int_equal(k.conn->reason, REASON_DONE);
	disconnect(&k);
}

/* A close is waited for as long as the settings say, from its beginning, not from accept. */
static void test_close_timeout(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	pass(200000);
	say_frame(&k, 0x81, "c");
	pass(59900);
	assert_int_equal(k.conn->state_now, CONN_CLOSING);
	pass(100);
	assert_false(lives(&k));
	assert_int_equal(counted_ends(REASON_DONE), 1);
	close(k.fd);
}

/* Nor does the peer's close frame begin it anew. */
static void test_close_timeout_of_both(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	pass(1000);
	say_frame(&k, 0x81, "c");
	pass(30000);
	say_bytes(&k, "\x88\x80\0\0\0\0", 6);
	assert_int_equal(k.conn->state_now, CONN_ENDING);
	pass(29900);
	assert_true(lives(&k));
	pass(100);
	assert_false(lives(&k));
	close(k.fd);
}

/* Our last bytes leave before our direction ends, however slowly; a close frame behind them. */
static void test_pending_ahead_of_the_end(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	steer_client(&k, 100);
	say_frame(&k, 0x81, "S3");
	assert_int_equal(k.conn->state_now, CONN_CLOSING);
	say_bytes(&k, "\x88\x80\0\0\0\0", 6);
	assert_int_equal(k.conn->state_now, CONN_ENDING);
	assert_false(wire.shut);
	for (int i = 0; i < 100 && !wire.shut; i++)
		go_on(100);
	assert_true(wire.shut && wire.last);
	assert_int_equal(wire.len, 3 * 1005 + 8);
	assert_memory_equal(wire.bytes + 3 * 1005,
			    "\x88\x06\x03\xe8"
			    "done",
			    8);
	assert_int_equal(k.conn->link.messages, 3);
	assert_int_equal(k.conn->link.bytes, 3 * 1005 + 8);
	disconnect(&k);
}

/* A peer that has ended its direction may still take our last bytes, and is gone then. */
static void test_half_close(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	steer_client(&k, 100);
	say_frame(&k, 0x81, "S3");
	say_bytes(&k, "\x88\x80\0\0\0\0", 6);
	shutdown(k.fd, SHUT_WR);
	turn();
	assert_true(lives(&k));
	assert_true(k.conn->link.ended);
	go_on(1000);
	assert_true(lives(&k));
	go_on(PLENTY);
	assert_false(lives(&k));
	assert_int_equal(wire.len, 3 * 1005 + 8);
	assert_int_equal(counted_ends(REASON_DONE), 1);
	close(k.fd);
}

/* What the transport took and holds back has to be out, too. */
static void test_held_back_at_the_end(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	steer_client(&k, PLENTY);
	wire.holds = true;
	say_bytes(&k, "\x88\x80\0\0\0\0", 6);
	assert_int_equal(k.conn->state_now, CONN_ENDING);
	go_on(PLENTY);
	assert_false(wire.shut);
	wire.holds = false;
	go_on(PLENTY);
	assert_true(wire.shut);
	disconnect(&k);
}

static void test_peer_goes(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	say_frame(&k, 0x81, "c");
	disconnect(&k);
	assert_int_equal(counted_ends(REASON_DONE), 1);
	upgrade(&k, REQUEST("/") "\r\n");
	shutdown(k.fd, SHUT_WR);
	turn();
	assert_false(lives(&k));
	assert_int_equal(counted_ends(REASON_PEER_GONE), 1);
	close(k.fd);
}

static void check_broken(int error, enum reason reason)
{
	upgrade(&k, REQUEST("/") "\r\n");
	steer_client(&k, PLENTY);
	wire.write_error = error;
	say_frame(&k, 0x81, "echo");
	assert_false(lives(&k));
	assert_int_equal(counted_ends(reason), 1);
	close(k.fd);
}

static void test_broken(void **state)
{
	(void)state;
	check_broken(ECONNRESET, REASON_RESET);
	check_broken(ETIMEDOUT, REASON_PING_TIMEOUT);
	check_broken(EPROTO, REASON_TLS_ERROR);
	check_broken(ENOMEM, REASON_NO_MEMORY);
	assert_int_equal(COUNTED(messages_out), 0);
}

/* --- slow consumers --- */

static void test_slow_consumer(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	steer_client(&k, 500);
	say_frame(&k, 0x81, "s4");
	assert_int_equal(k.conn->state_now, CONN_OPEN);
	say_frame(&k, 0x81, "s9");
	assert_int_equal(k.conn->state_now, CONN_CLOSING);
	assert_int_equal(k.conn->code, WS_CLOSE_TRY_AGAIN);
	/* nothing it says counts any more */
	say_frame(&k, 0x81, "s1");
	go_on(PLENTY);
	/* the rest of the message that was cut, and the close frame */
	assert_int_equal(wire.len, 1005 + 4 + strlen("slow-consumer"));
	assert_memory_equal(wire.bytes + 1005,
			    "\x88\x0f\x03\xf5"
			    "slow-consumer",
			    17);
	assert_int_equal(k.conn->link.messages, 1);
	assert_int_equal(COUNTED(messages_out), 1);
	assert_int_equal(COUNTED(bytes_out), wire.len);
	assert_int_equal(COUNTED(dropped), 0);
	assert_int_equal(k.conn->messages_in, 2);
	disconnect(&k);
	assert_int_equal(counted_ends(REASON_SLOW_CONSUMER), 1);
}

/* It is noticed before the next message of the same read is taken. */
static void test_slow_consumer_within_a_read(void **state)
{
	uint8_t bytes[4096];
	size_t n = 0;

	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	steer_client(&k, 0);
	/* more than is gathered, so that it is written, and too much, ahead of the end of the read */
	n += client_frame(bytes + n, 0x81, "s99", 3);
	n += client_frame(bytes + n, 0x81, "echo", 4);
	n += client_frame(bytes + n, 0x88, "", 0);
	say_bytes(&k, bytes, n);
	assert_int_equal(k.conn->messages_in, 1);
	assert_int_equal(k.conn->state_now, CONN_ENDING);
	assert_int_equal(k.conn->reason, REASON_SLOW_CONSUMER);
	go_on(PLENTY);
	assert_int_equal(wire.len, 17);
	disconnect(&k);
}

static void test_drop_newest(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/newest") "\r\n");
	steer_client(&k, 500);
	say_frame(&k, 0x81, "s9");
	assert_int_equal(k.conn->state_now, CONN_OPEN);
	/* of nine one is cut, and 4096 bytes have space for the rest of it and three more */
	assert_int_equal(COUNTED(dropped), 5);
	assert_int_equal(k.conn->extra->dropped, 5);
	assert_int_equal(k.conn->link.messages, 0);
	/* one that is short enough fits */
	say_frame(&k, 0x81, "echo");
	assert_int_equal(COUNTED(dropped), 5);
	say_frame(&k, 0x81, "s1");
	assert_int_equal(k.conn->extra->dropped, 6);
	go_on(PLENTY);
	assert_int_equal(wire.len, 4 * 1005 + 6);
	assert_int_equal(COUNTED(messages_out), 5);
	assert_int_equal(COUNTED(bytes_out), wire.len);
	say_frame(&k, 0x81, "s1");
	assert_int_equal(COUNTED(messages_out), 6);
	disconnect(&k);
}

/* What was gathered, more than the buffer holds, and a message that refers to it. */
static void test_dropped_takes_what_refers_to_it(void **state)
{
	uint64_t dropped;

	(void)state;
	upgrade(&k, REQUEST("/zip") "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
	assert_int_equal(compress_class(k.conn), -1);
	steer_client(&k, 0);
	/* a turn that is long enough to compress all of them at once */
	this_turn.credit = INT32_MAX;
	say_frame(&k, 0x81, "s9999");
	dropped = COUNTED(dropped);
	assert_true(dropped > 0);
	assert_int_equal(k.conn->extra->dropped, dropped);
	go_on(PLENTY);
	assert_int_equal(COUNTED(messages_out) + dropped, 9999);
	assert_int_equal(k.conn->state_now, CONN_OPEN);
	disconnect(&k);
}

/* A message may be longer than all that is gathered. */
static void test_closing_with_too_much(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	steer_client(&k, 0);
	say_frame(&k, 0x81, "S9");
	/* it is closing: its close frame goes out, though not all messages do */
	assert_int_equal(k.conn->state_now, CONN_CLOSING);
	go_on(PLENTY);
	assert_memory_equal(wire.bytes + wire.len - 4, "done", 4);
	disconnect(&k);
}

/* --- time --- */

static void test_ping(void **state)
{
	uint8_t pong[10] = { 0x8a, 0x84 };

	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	/* the first comes when its turn is, and that is not soon */
	assert_in_range(pass_until_heard(&k, 30000), 15000, 30000);
	assert_int_equal(k.len, 6);
	assert_memory_equal(k.got, "\x89\x04", 2);
	/* what answers no ping tells nothing */
	say_bytes(&k, "\x8a\x84\0\0\0\0none", 10);
	assert_int_equal(k.conn->ping_state, PING_AWAITED);
	memcpy(pong + 6, k.got + 2, 4);
	say_bytes(&k, pong, sizeof(pong));
	assert_int_equal(k.conn->ping_state, PING_ANSWERED);
	assert_int_equal(counted_pings(), 1);
	say_bytes(&k, pong, sizeof(pong));
	assert_int_equal(counted_pings(), 1);
	k.len = 0;
	assert_in_range(pass_until_heard(&k, 30000), 15000, 30000);
	assert_int_equal(k.len, 6);
	k.len = 0;
	say_frame(&k, 0x8a, "");
	assert_int_equal(pass_until_heard(&k, 30000), 30000);
	disconnect(&k);
}

/* Its ping is given up after so long, and no earlier. */
static void assert_given_up_after(int64_t ms)
{
	pass(ms - 100);
	assert_int_equal(k.conn->state_now, CONN_OPEN);
	pass(100);
	assert_int_equal(k.conn->state_now, CONN_CLOSING);
	assert_int_equal(k.conn->reason, REASON_PING_TIMEOUT);
	disconnect(&k);
}

/* A ping is unanswered while nothing comes; the time it has may be longer than the wheel. */
static void test_ping_timeout(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	pass_until_heard(&k, 30000);
	pass(99900);
	assert_int_equal(k.conn->state_now, CONN_OPEN);
	/* one that is not answered is not followed by others */
	hear(&k);
	assert_int_equal(k.len, 6);
	pass(100);
	assert_int_equal(k.conn->state_now, CONN_CLOSING);
	assert_int_equal(k.conn->code, WS_CLOSE_INTERNAL);
	assert_int_equal(k.conn->reason, REASON_PING_TIMEOUT);
	disconnect(&k);
}

/* Any byte is a sign of life, and so is taking what waits. */
static void test_signs_of_life(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	pass_until_heard(&k, 30000);
	pass(90000);
	say_bytes(&k, "\x81", 1);
	pass(90000);
	assert_int_equal(k.conn->state_now, CONN_OPEN);
	say_bytes(&k, "\x84\0\0\0\0echo", 9);
	steer_client(&k, 0);
	say_frame(&k, 0x81, "s3");
	for (int i = 0; i < 6; i++) {
		pass(60000);
		assert_int_equal(k.conn->state_now, CONN_OPEN);
		wire.takes = 10;
	}
	assert_true(k.conn->link.pending);
	for (int i = 0; i < 30 && k.conn->state_now == CONN_OPEN; i++)
		pass(10000);
	assert_int_equal(k.conn->state_now, CONN_CLOSING);
	assert_int_equal(k.conn->reason, REASON_PING_TIMEOUT);
	disconnect(&k);
}

/*
 * Who takes what the kernel has for it, ahead of the ping, is alive as long as it does: with each time that
 * an answer is due. By the first it cannot be told.
 */
static void test_who_takes_slowly_is_alive(void **state)
{
	enum { COUNT = 8 };
	static uint8_t some[1000];

	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	pass_until_heard(&k, 30000);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(send(k.conn->link.transport.fd, some, sizeof(some), 0),
				 sizeof(some));
	for (int i = 0; i < COUNT - 3; i++) {
		pass(100000);
		assert_int_equal(k.conn->state_now, CONN_OPEN);
		/* and not looked at with every tick */
		assert_true(k.conn->deadline - session.now > 10);
		assert_int_equal(recv(k.fd, some, sizeof(some), 0), sizeof(some));
	}
	pass(100000);
	assert_int_equal(k.conn->state_now, CONN_OPEN);
	assert_given_up_after(100000);
}

/* It comes and is pinged, and something is sent behind that. */
static void ping_and_send(void)
{
	upgrade(&k, REQUEST("/") "\r\n");
	pass_until_heard(&k, 30000);
	assert_int_equal(send(k.conn->link.transport.fd, "some", 4, 0), 4);
}

/* From when it has all, and the ping, it has as long as any other to answer. */
static void test_who_has_just_got_the_ping(void **state)
{
	char some[4];

	(void)state;
	ping_and_send();
	pass(100000);
	assert_int_equal(recv(k.fd, some, sizeof(some), 0), 4);
	assert_given_up_after(200000);
}

/* For how long TCP has heard nothing (0: the sockets are no TCP sockets), and how much was acknowledged. */
static uint32_t silent;
static uint64_t acked;

/* The one that uptake.c calls, too. */
int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict len)
{
	if (silent == 0 || level != IPPROTO_TCP || name != TCP_INFO)
		return (int)syscall(SYS_getsockopt, fd, level, name, value, len);
	*(struct tcp_info *)value =
		(struct tcp_info){ .tcpi_last_ack_recv = silent, .tcpi_bytes_acked = acked };
	return 0;
}

/* Of whom nothing has been heard since the ping is dead, though something waits for him: no second look. */
static void test_a_silent_network(void **state)
{
	(void)state;
	ping_and_send();
	silent = 100001;
	assert_given_up_after(100000);
	silent = 0;
}

/* What was sent behind the ping tells nothing: who has the ping, and more, has as long as any other. */
static void test_what_is_behind_a_ping(void **state)
{
	(void)state;
	ping_and_send();
	silent = 1;
	acked = 1000;
	pass(100000);
	assert_int_equal(k.conn->state_now, CONN_OPEN);
	acked += 1000000;
	pass(100000);
	assert_int_equal(k.conn->state_now, CONN_OPEN);
	acked += 1000000;
	assert_given_up_after(100000);
	silent = 0;
}

static void test_idle_timeout(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	pass(60000);
	say_frame(&k, 0x81, "echo");
	pass(69900);
	/* pings and pongs are no messages */
	say_frame(&k, 0x89, "");
	assert_int_equal(k.conn->state_now, CONN_OPEN);
	pass(100);
	assert_int_equal(k.conn->code, WS_CLOSE_GOING_AWAY);
	assert_int_equal(k.conn->reason, REASON_IDLE_TIMEOUT);
	disconnect(&k);
}

static void test_message_timeout(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	pass(5000);
	say_bytes(&k, "\x01\x82\0\0\0\0ec", 8);
	pass(59900);
	say_bytes(&k, "\x00\x81\0\0\0\0h", 7);
	assert_int_equal(k.conn->state_now, CONN_OPEN);
	pass(100);
	assert_int_equal(k.conn->code, WS_CLOSE_POLICY);
	assert_int_equal(k.conn->reason, REASON_MESSAGE_TIMEOUT);
	disconnect(&k);
}

/* --- the rest --- */

static void test_pong_behind_a_blocked_socket(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	steer_client(&k, 100);
	say_frame(&k, 0x81, "s1");
	say_frame(&k, 0x89, "old");
	say_frame(&k, 0x89, "new");
	say_frame(&k, 0x81, "c");
	go_on(PLENTY);
	assert_int_equal(wire.len, 1005 + 5 + 7);
	assert_memory_equal(wire.bytes + 1005, "\x8a\x03new\x88\x05", 7);
	disconnect(&k);
}

/* A flood of lines is told in one, when there is leave again or at the end. */
static void test_lines_of_a_behaviour(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	say_frame(&k, 0x81, "l150");
	assert_int_equal(k.conn->extra->lines.missed, 50);
	assert_true(entry_owes(k.conn));
	pass(2000);
	assert_false(entry_owes(k.conn));
	say_frame(&k, 0x81, "l300");
	assert_true(entry_owes(k.conn));
	disconnect(&k);
}

static void test_reload(void **state)
{
	static struct client stays, ends, asks;

	(void)state;
	upgrade(&stays, REQUEST("/") "\r\n");
	upgrade(&ends, REQUEST("/deaf") "\r\n");
	connect_client(&asks);
	say(&asks, "GET /deaf HTTP/1.1\r\n");
	assert_non_null(asks.conn->endpoint);
	reload_worker("max_message = \"2K\"; handshake_timeout = \"1s\"; drain_time = \"0\";\n"
		      "endpoints = ( { path = \"/\"; behaviour = \"puppet\"; } );",
		      all);
	assert_reloaded(1, 1);
	assert_int_equal(stays.conn->decoder.max_message, 2048);
	assert_int_equal(ends.conn->code, WS_CLOSE_SERVICE_RESTART);
	assert_null(asks.conn->endpoint);
	pass(1000);
	assert_begins(&asks, "HTTP/1.1 408 ");
	disconnect(&stays);
	disconnect(&ends);
	disconnect(&asks);
}

/* What had no label of its own, and has one from a reload on, counts there. */
static void test_reload_to_another_label(void **state)
{
	struct metrics_cell *own, *other = &metrics_cells[METRICS_OTHER];

	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	own = k.conn->endpoint->cell;
	((struct config_endpoint *)k.conn->endpoint)->cell = other;
	counting_moved(k.conn, own);
	assert_int_equal(COUNTED_AT("/", open), 0);
	reload_worker("endpoints = ( { path = \"/\"; behaviour = \"puppet\"; } );", all);
	assert_reloaded(1, 0);
	assert_int_equal(COUNTED_AT("/", open), 1);
	assert_int_equal(atomic_load(&other->open), 0);
	disconnect(&k);
	assert_int_equal(COUNTED_AT("/", open), 0);
}

static void test_stop(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	session_stop(0, 0);
	turn();
	ASSERT_HEARD(&k, "\x88\x0a\x03\xe9"
			 "shutdown");
	/* who is closing already is left alone */
	session_stop(0, 0);
	turn();
	ASSERT_HEARD(&k, "");
	disconnect(&k);
}

/* A move that cannot be is refused, and changes nothing. */
static void test_impossible_move(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	conn_set_state(k.conn, CONN_PROXY);
	assert_int_equal(k.conn->state_now, CONN_OPEN);
	conn_kill(k.conn, REASON_RESET);
	conn_kill(k.conn, REASON_DONE);
	conn_close_word(k.conn, 1000, REASON_DONE);
	conn_end(k.conn, 0, REASON_DONE, "", 0);
	conn_send(k.conn, WS_TEXT, NULL, 0, "x", 1);
	assert_int_equal(k.conn->reason, REASON_RESET);
	assert_int_equal(k.conn->state_now, CONN_DEAD);
	turn();
	assert_true(hear(&k));
	assert_int_equal(k.len, 0);
	close(k.fd);
}

#define TEST_WITH(t, b) cmocka_unit_test_setup_teardown(t, b, worker_teardown)
#define TEST(t) TEST_WITH(t, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_peer_closes),
		TEST(test_behaviour_closes),
		TEST(test_behaviour_refuses),
		TEST(test_without_callbacks),
		TEST(test_protocol_error),
		TEST(test_close_timeout),
		TEST(test_close_timeout_of_both),
		TEST(test_pending_ahead_of_the_end),
		TEST(test_half_close),
		TEST(test_held_back_at_the_end),
		TEST(test_peer_goes),
		TEST(test_broken),
		TEST(test_slow_consumer),
		TEST(test_slow_consumer_within_a_read),
		TEST(test_drop_newest),
		TEST(test_dropped_takes_what_refers_to_it),
		TEST(test_closing_with_too_much),
		TEST_WITH(test_ping, begin_ping),
		TEST_WITH(test_ping_timeout, begin_ping),
		TEST_WITH(test_signs_of_life, begin_ping),
		TEST_WITH(test_who_takes_slowly_is_alive, begin_ping),
		TEST_WITH(test_who_has_just_got_the_ping, begin_ping),
		TEST_WITH(test_a_silent_network, begin_ping),
		TEST_WITH(test_what_is_behind_a_ping, begin_ping),
		TEST_WITH(test_idle_timeout, begin_idle),
		TEST_WITH(test_message_timeout, begin_idle),
		TEST(test_pong_behind_a_blocked_socket),
		TEST(test_lines_of_a_behaviour),
		TEST(test_reload),
		TEST(test_reload_to_another_label),
		TEST(test_stop),
		TEST(test_impossible_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
