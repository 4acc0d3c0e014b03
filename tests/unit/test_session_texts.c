/* Prefixes with placeholders: made when a connection opens and by a reload, kept, counted, given back. */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/account.h"
#include "failing.h"
#include "session/worker.h"

#define ECHO(prefix)                                                                               \
	"max_message = \"16K\"; endpoints = ( { path = \"/e/{x}\"; behaviour = \"echo\"; prefix "  \
	"= \"" prefix "\"; } );"
#define ROOM(prefix)                                                                               \
	"max_message = \"16K\"; endpoints = ( { path = \"/e/{x}\"; behaviour = \"room\"; prefix "  \
	"= \"" prefix "\"; } );"

static struct client one, two;

static void test_echo(void **state)
{
	char expected[64];
	int n;

	(void)state;
	worker_begin(ECHO("{x} {peer} {conn}: "), NULL);
	upgrade(&one, REQUEST("/e/ann") "\r\n");
	n = snprintf(expected, sizeof(expected), "\x81_ann 192.0.2.1:4711 %llx: hi",
		     (unsigned long long)one.conn->id);
	expected[1] = (char)(n - 2);
	assert_int_equal(account_bytes, n - 4);
	say_frame(&one, 0x81, "hi");
	assert_heard(&one, expected, (size_t)n);
	say_frame(&one, 0x82, "hi");
	ASSERT_HEARD(&one, "\x82\x02hi");
	disconnect(&one);
	assert_int_equal(account_bytes, 0);
}

/* The text is each one's own, and that of a reload holds from the next message on. */
static void test_reload(void **state)
{
	(void)state;
	worker_begin(ROOM("{x}: "), NULL);
	upgrade(&one, REQUEST("/e/ann") "\r\n");
	upgrade(&two, REQUEST("/e/bo") "\r\n");
	say_frame(&one, 0x81, "1");
	ASSERT_HEARD(&one, "\x81\x06"
			   "ann: 1");
	reload_worker(ROOM("<{x}> "), NULL);
	assert_reloaded(2, 0);
	say_frame(&one, 0x81, "2");
	ASSERT_HEARD(&one, "\x81\x07<ann> 2");
	say_frame(&two, 0x81, "3");
	ASSERT_HEARD(&two, "\x81\x06<bo> 3");
	assert_int_equal(account_bytes, sizeof("<ann> <bo> ") - 1);
	/* one without takes nothing, and gives back what it was */
	reload_worker(ROOM("all: "), NULL);
	assert_reloaded(2, 0);
	assert_int_equal(account_bytes, 0);
	say_frame(&two, 0x81, "4");
	ASSERT_HEARD(&two, "\x81\x06"
			   "all: 4");
	/* and the other way round, for one that had nothing to keep */
	reload_worker(ROOM("{x}={x} "), NULL);
	assert_reloaded(2, 0);
	say_frame(&two, 0x81, "5");
	ASSERT_HEARD(&two, "\x81\x07"
			   "bo=bo 5");
	disconnect(&one);
	disconnect(&two);
}

/* One that had no name of its own has the path that it came by. */
static void test_from_a_path_without(void **state)
{
	(void)state;
	worker_begin("endpoints = ( { path = \"/e/ann\"; behaviour = \"echo\"; } );", NULL);
	upgrade(&one, REQUEST("/e/ann") "\r\n");
	say_frame(&one, 0x81, "1");
	ASSERT_HEARD(&one, "\x81\x01"
			   "1");
	reload_worker(ECHO("{x}: "), NULL);
	assert_reloaded(1, 0);
	say_frame(&one, 0x81, "2");
	ASSERT_HEARD(&one, "\x81\x06"
			   "ann: 2");
	disconnect(&one);
}

/* Without memory it is not let in, or let go by the reload; never without its prefix. */
static void test_no_memory(void **state)
{
	bool refused = false;

	(void)state;
	worker_begin(ECHO("{x}: "), NULL);
	for (unsigned n = 1;; n++) {
		connect_client(&one);
		failing_nth(n);
		say(&one, REQUEST("/e/ann") "\r\n");
		if (!failing_end())
			break;
		hear(&one);
		one.got[one.len] = '\0';
		refused |= strstr((char *)one.got, "503") != NULL;
		disconnect(&one);
		assert_int_equal(account_bytes, 0);
	}
	assert_true(refused);
	assert_begins(&one, "HTTP/1.1 101 ");
	one.len = 0;
	say_frame(&one, 0x81, "1");
	ASSERT_HEARD(&one, "\x81\x06"
			   "ann: 1");
	disconnect(&one);
}

static void test_no_memory_for_a_reload(void **state)
{
	struct config *c;

	(void)state;
	worker_begin("drain_time = \"0\";" ECHO("{x}: "), NULL);
	upgrade(&one, REQUEST("/e/ann") "\r\n");
	c = worker_config("drain_time = \"0\";" ECHO("{x}; "), NULL);
	worker_label(c);
	session_reload(c, note_reloaded);
	config_unref(c);
	failing_nth(1);
	turn();
	assert_true(failing_end());
	hear(&one);
	assert_memory_equal(one.got + 2, "\x03\xf4", 2); /* 1012 */
	disconnect(&one);
	assert_int_equal(account_bytes, 0);
}

/* What is sent once is not kept. */
static void test_told_once(void **state)
{
	(void)state;
	worker_begin("max_message = \"16K\"; endpoints = ( { path = \"/e/{x}\"; behaviour = "
		     "\"oneshot\"; message = \"Bye, {x}\"; },"
		     "{ path = \"/n/{x}\"; behaviour = \"notify\"; room_names = \".*\"; "
		     "message = { who = \"{x}\"; }; } );",
		     NULL);
	connect_client(&one);
	say(&one, REQUEST("/e/ann") "\r\n");
	hear(&one);
	assert_non_null(memmem(one.got, one.len,
			       "\x81\x08"
			       "Bye, ann\x88",
			       11));
	disconnect(&one);
	connect_client(&one);
	say(&one, REQUEST("/n/%22%5C") "\r\n");
	hear(&one);
	assert_non_null(memmem(one.got, one.len, "{\"who\": \"\\\"\\\\\"}", 15));
	assert_int_equal(account_bytes, 0);
	assert_null(one.conn->extra);
	disconnect(&one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_echo, worker_teardown),
		cmocka_unit_test_teardown(test_reload, worker_teardown),
		cmocka_unit_test_teardown(test_from_a_path_without, worker_teardown),
		cmocka_unit_test_teardown(test_no_memory, worker_teardown),
		cmocka_unit_test_teardown(test_no_memory_for_a_reload, worker_teardown),
		cmocka_unit_test_teardown(test_told_once, worker_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
