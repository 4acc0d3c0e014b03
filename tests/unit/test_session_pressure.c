/*
 * The sum of what is kept for all connections has a bound: beyond it the largest slow consumer
 * goes, and where there is none, who has sent most of a message that is not whole.
 */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/account.h"
#include "session/worker.h"

enum { CROWD = 6, KIB = 1024 };

static struct client crowd[CROWD];

static int begin(void **state)
{
	(void)state;
	worker_begin(
		"ping_interval = \"0\"; access_log = false; max_message = \"2M\";\n"
		"max_pending = \"8M\"; max_memory = \"1M\"; message_timeout = \"0\";\n"
		"endpoints = ( { path = \"/\"; behaviour = \"echo\"; },\n"
		"  { path = \"/takeover\"; behaviour = \"echo\";\n"
		"    compression = { enabled = true; server_context_takeover = true; }; } );\n",
		NULL);
	for (int i = 0; i < CROWD; i++)
		upgrade(&crowd[i], REQUEST("/") "\r\n");
	return 0;
}

static int end(void **state)
{
	for (int i = 0; i < CROWD; i++)
		disconnect(&crowd[i]);
	worker_teardown(state);
	assert_int_equal(account_bytes, 0);
	return 0;
}

/* From here on it does not read, and has so much to get. */
static void stall(struct client *k, size_t kib)
{
	static char text[32 * KIB + 1];

	memset(text, 'x', sizeof(text) - 1);
	steer_client(k, 0);
	for (size_t i = 0; i < kib; i += 32)
		say_frame(k, 0x81, text);
}

/* The beginning of a message of 2 MiB. */
static void begin_message(struct client *k, size_t kib)
{
	static const char header[14] = "\x82\xff\0\0\0\0\0\x20\0\0";
	static char bytes[32 * KIB];

	say_bytes(k, header, sizeof(header));
	for (size_t i = 0; i < kib; i += 32)
		say_bytes(k, bytes, sizeof(bytes));
}

static void assert_only(const struct client *gone, enum conn_state state)
{
	for (int i = 0; i < CROWD; i++) {
		struct client *k = &crowd[i];

		assert_true(lives(k));
		assert_int_equal(k->conn->state_now, k == gone ? state : CONN_OPEN);
		if (k != gone)
			continue;
		assert_int_equal(k->conn->reason, REASON_MEMORY_PRESSURE);
		assert_int_equal(k->conn->code, WS_CLOSE_TRY_AGAIN);
	}
	assert_true(account_bytes <= 1024 * KIB);
}

static void test_largest_slow_consumer(void **state)
{
	(void)state;
	stall(&crowd[1], 256);
	stall(&crowd[2], 384);
	begin_message(&crowd[4], 64);
	assert_only(NULL, CONN_OPEN);
	/* not who asks for the last of it, nor who has sent more than that one is to get */
	stall(&crowd[3], 320);
	assert_only(&crowd[2], CONN_CLOSING);
	assert_true(link_unsent(&crowd[2].conn->link) < 100);
}

static void test_largest_message(void **state)
{
	(void)state;
	begin_message(&crowd[0], 128);
	begin_message(&crowd[1], 448);
	assert_only(NULL, CONN_OPEN);
	begin_message(&crowd[2], 224);
	begin_message(&crowd[3], 224);
	assert_only(&crowd[1], CONN_ENDING);
	assert_int_equal(ws_decoder_bytes(&crowd[1].conn->decoder), 0);
	/* what it sends now is nobody's */
	say_bytes(&crowd[1], "\x82\x81", 2);
	assert_only(&crowd[1], CONN_ENDING);
}

/* It has been told, and still keeps as much: what was cut has to go out whole. */
static void test_who_is_told_and_does_not_go(void **state)
{
	static uint8_t frame[900 * KIB];
	struct iovec part = { frame, sizeof(frame) };
	uint64_t mark = link_mark(sizeof(frame), LINK_MESSAGE);
	const struct link_run r = { &part, 1, sizeof(frame), &mark, 1, 1, 0, NULL, 0, NULL };
	struct client *k = &crowd[1];

	(void)state;
	steer_client(k, 10);
	output_run(k->conn, &r);
	conn_settle(k->conn);
	turn();
	assert_only(NULL, CONN_OPEN);
	stall(&crowd[2], 256);
	for (int i = 0; i < 4; i++)
		turn();
	assert_false(lives(k));
	assert_true(lives(&crowd[2]));
	assert_int_equal(crowd[2].conn->state_now, CONN_OPEN);
	assert_true(account_bytes <= 1024 * KIB);
}

/* A round takes as many turns as it needs, and who ends meanwhile is nobody's largest. */
static void test_round_in_portions(void **state)
{
	(void)state;
	stall(&crowd[1], 256);
	stall(&crowd[2], 384);
	stall(&crowd[3], 256);
	session.config->max_memory = 512 * KIB;
	assert_true(end_turn(0));
	assert_true(end_turn(0));
	conn_kill(crowd[2].conn, REASON_SHUTDOWN);
	turn();
	assert_false(lives(&crowd[2]));
	assert_true(account_bytes <= 600 * KIB);
}

/* In one turn, if it is long enough, whoever there are. */
static void test_as_many_as_it_takes(void **state)
{
	int told = 0;

	(void)state;
	for (int i = 0; i < 4; i++)
		stall(&crowd[i], 224);
	session.config->max_memory = (int64_t)account_bytes * 5 / 8;
	session_turn_end();
	assert_true(account_bytes <= (size_t)session.config->max_memory);
	for (int i = 0; i < CROWD; i++)
		told += crowd[i].conn->reason == REASON_MEMORY_PRESSURE;
	assert_int_equal(told, 2);
}

/* --- with context takeover: what is not compressed yet --- */

static void join_with_takeover(struct client *c)
{
	disconnect(c);
	upgrade(c, REQUEST("/takeover") "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
	assert_int_equal(compress_class(c->conn), -1);
}

static void test_what_is_not_compressed(void **state)
{
	(void)state;
	join_with_takeover(&crowd[5]);
	stall(&crowd[5], 512);
	/* of which nearly nothing is left */
	assert_true(link_unsent(&crowd[5].conn->link) < 4 * KIB);
	stall(&crowd[1], 448);
	assert_only(NULL, CONN_OPEN);
	stall(&crowd[2], 128);
	assert_only(&crowd[5], CONN_CLOSING);
}

/* Each that waits takes some memory, even if it says nothing. */
static void test_empty_messages(void **state)
{
	enum { MANY = 4000 };
	size_t before;

	(void)state;
	join_with_takeover(&crowd[5]);
	stall(&crowd[5], 32);
	before = account_bytes;
	for (int i = 0; i < MANY; i++)
		say_frame(&crowd[5], 0x81, "");
	assert_true(account_bytes - before >= MANY * sizeof(struct uncompressed_message));
	stall(&crowd[1], 128);
	session.config->max_memory = (int64_t)account_bytes - 1;
	turn();
	assert_only(&crowd[5], CONN_CLOSING);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_largest_slow_consumer),
		TEST(test_largest_message),
		TEST(test_who_is_told_and_does_not_go),
		TEST(test_round_in_portions),
		TEST(test_as_many_as_it_takes),
		TEST(test_what_is_not_compressed),
		TEST(test_empty_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
