/* What is said while `data` changes: it is what it is by the settings that it is published by. */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/account.h"
#include "session/worker.h"

#define ROOM(data, more)                                                                           \
	"max_message = \"60K\"; endpoints = ( { path = \"/\"; behaviour = \"room\"; format = "     \
	"\"json\"; data = \"" data "\"; " more " } );"

/* More than one slice is gone through at once. */
enum { LONG = 60000 };

static struct client one;
static char text[LONG + 1];

static void join(void)
{
	connect_client(&one);
	say(&one, REQUEST("/") "\r\n");
	assert_begins(&one, "HTTP/1.1 101 ");
	one.len = 0;
}

/* An array of many spaces, and what it ends with. */
static void make_text(const char *end)
{
	memset(text, ' ', LONG);
	text[0] = '[';
	memcpy(text + LONG - strlen(end), end, strlen(end));
}

/* It has come, and is to be gone through. */
static void say_long(const char *end)
{
	static uint8_t frame[LONG + 16];
	int size = 1 << 20;
	size_t n;

	make_text(end);
	n = client_frame(frame, 0x81, text, LONG);
	assert_int_equal(setsockopt(one.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	assert_int_equal(write(one.fd, frame, n), (ssize_t)n);
	for (int i = 0; i < 20 && !one.conn->parked; i++)
		event_base_loop(worker.base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	assert_non_null(park_text_of(one.conn));
}

static bool has(const char *what)
{
	hear(&one);
	return memmem(one.got, one.len, what, strlen(what)) != NULL;
}

static void assert_invalid(void)
{
	turn();
	assert_true(has("invalid-json: line 1 column "));
	assert_false(has("\"data\""));
	disconnect(&one);
	assert_int_equal(account_bytes, 0);
}

static void test_long(void **state)
{
	(void)state;
	worker_begin(ROOM("json", ""), NULL);
	join();
	say_long("1]");
	turn();
	assert_true(has("\"data\":[  "));
	assert_true(has("  1]}"));
	one.len = 0;
	say_long("1");
	assert_invalid();
}

static void test_to_text_meanwhile(void **state)
{
	(void)state;
	worker_begin(ROOM("json", ""), NULL);
	join();
	say_long("1");
	reload_worker(ROOM("text", ""), NULL);
	end_turn(0);
	assert_reloaded(1, 0);
	assert_true(has("\"data\":\"[  "));
	assert_true(has("  1\"}"));
	disconnect(&one);
}

static void test_to_other_settings_meanwhile(void **state)
{
	(void)state;
	worker_begin(ROOM("json", ""), NULL);
	join();
	say_long("1");
	reload_worker(ROOM("json", "history = 1;"), NULL);
	end_turn(0);
	assert_reloaded(1, 0);
	assert_invalid();
}

/* What waits for its turn by rate is looked at when it comes. */
static void test_over_the_rate(void **state)
{
	(void)state;
	worker_begin(ROOM("text", "rate = \"1/s\"; burst = 1;"), NULL);
	join();
	say_frame(&one, 0x81, "x");
	assert_true(has("\"data\":\"x\"}"));
	one.len = 0;
	say_frame(&one, 0x81, "y");
	reload_worker(ROOM("json", ""), NULL);
	assert_reloaded(1, 0);
	assert_false(has("y"));
	pass(3000);
	assert_invalid();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_long, worker_teardown),
		cmocka_unit_test_teardown(test_to_text_meanwhile, worker_teardown),
		cmocka_unit_test_teardown(test_to_other_settings_meanwhile, worker_teardown),
		cmocka_unit_test_teardown(test_over_the_rate, worker_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
