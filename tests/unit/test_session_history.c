/* What a worker's members get of the past: without memory, and without end. */
// links: base proto bus net config session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing.h"
#include "session/turn.h"
#include "session/worker.h"

#define ENVELOPED "Sec-WebSocket-Protocol: ignyx.room.v1\r\n\r\n"

static struct client a, b;

static int begin(void **state)
{
	(void)state;
	worker_begin("ping_interval = \"0\"; access_log = false; max_message = \"16K\";\n"
		     "endpoints = ( { path = \"/\"; behaviour = \"room\"; format = \"both\";\n"
		     "  history = 100; history_bytes = \"16K\"; replay = 100; } );\n",
		     NULL);
	return 0;
}

static void say_long(size_t len)
{
	static char text[2000];

	memset(text, 'x', len);
	text[len] = '\0';
	say_frame(&a, 0x81, text);
	turn();
	hear(&a);
	a.len = 0;
}

static bool has_heard(const struct client *k, const char *text)
{
	return memmem(k->got, k->len, text, strlen(text)) != NULL;
}

/* Either what it is told that it gets, or no connection. */
static void test_replay_without_memory(void **state)
{
	bool failed = true;

	(void)state;
	upgrade(&a, REQUEST("/?replay=0") "\r\n");
	say_long(5);
	for (unsigned n = 1; failed; n++) {
		connect_client(&b);
		failing_nth(n);
		say(&b, REQUEST("/") ENVELOPED);
		failed = failing_end();
		hear(&b);
		if (has_heard(&b, "\"joined\"") && lives(&b))
			assert_true(has_heard(&b, has_heard(&b, "\"data\":\"xxxxx\"")
							  ? ".0\",\"members\""
							  : ".1\",\"members\""));
		if (lives(&b))
			disconnect(&b);
		else
			close(b.fd);
		b.conn = NULL;
		turn();
	}
	assert_true(has_heard(&b, "\"data\":\"xxxxx\""));
	disconnect(&a);
}

/* However many are asked for in one read: what is over the turn waits for the next one. */
static void test_answers_take_turns(void **state)
{
	enum { MANY = 64 };
	static const char ask[] = "{\"ignyx\":\"history\"}";
	uint8_t frames[MANY * 32];
	size_t len = 0;

	(void)state;
	upgrade(&a, REQUEST("/") "\r\n");
	for (int i = 0; i < 8; i++)
		say_long(1800);
	for (int i = 0; i < MANY; i++)
		len += client_frame(frames + len, 0x81, ask, sizeof(ask) - 1);
	upgrade(&b, REQUEST("/?replay=0") ENVELOPED);
	b.len = 0;
	assert_int_equal(write(b.fd, frames, len), (ssize_t)len);
	turn_short(TURN_STEP);
	assert_in_range(b.conn->messages_in, 1, 8);
	disconnect(&b);
	disconnect(&a);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, worker_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_replay_without_memory),
		TEST(test_answers_take_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
