/*
 * Who may be in a room, who may speak there, and how much.
 */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bus/bus_internal.h"
#include "bus/presence.h"
#include "session/worker.h"

#define ROOM(settings)                                                                             \
	"max_message = \"60K\"; max_pending = \"1M\"; "                                            \
	"endpoints = ( { path = \"/\"; behaviour = \"room\"; " settings " } );\n"

static struct client a, b, c;

/* Returns the status of the answer. */
static int ask(struct client *k)
{
	connect_client(k);
	say(k, REQUEST("/") "\r\n");
	assert_begins(k, "HTTP/1.1 ");
	k->len = 0;
	return atoi((char *)k->got + 9);
}

static uint64_t members(void)
{
	struct bus_room room;

	return bus_find(worker.bus, "/", 1, &room) == BUS_OK ? bus_members(worker.bus, room) : 0;
}

/* --- max_members --- */

static int begin_two(void **state)
{
	(void)state;
	worker_begin("max_connections = 3;\n" ROOM("max_members = 2;"), NULL);
	return 0;
}

static void check_full(struct client *k)
{
	assert_int_equal(ask(k), 503);
	assert_non_null(strstr((char *)k->got, "room-full"));
	disconnect(k);
}

static void test_no_more_members(void **state)
{
	(void)state;
	assert_int_equal(ask(&a), 101);
	assert_int_equal(ask(&b), 101);
	check_full(&c);
	assert_int_equal(members(), 2);
	assert_int_equal(session.row->open, 2);
	/* who has a place has it once */
	say_frame(&a, 0x81, "hi");
	ASSERT_HEARD(&b, "\x81\x02hi");
	disconnect(&b);
	assert_int_equal(ask(&c), 101);
	disconnect(&a);
	disconnect(&c);
	assert_int_equal(members(), 0);
}

/* What members another worker has. */
static void test_members_elsewhere(void **state)
{
	struct bus_room room;
	uint64_t sequence;

	(void)state;
	assert_int_equal(ask(&a), 101);
	bus_set_slot(worker.bus, OTHER_SLOT);
	assert_int_equal(bus_join(worker.bus, "/", 1, NULL, &room, &sequence), BUS_OK);
	bus_go(worker.bus, room, 1, 0);
	bus_set_slot(worker.bus, WORKER_SLOT);
	check_full(&c);
	/* it died */
	bus_clear_slot(worker.bus, OTHER_SLOT);
	assert_int_equal(ask(&b), 101);
	check_full(&c);
	disconnect(&a);
	disconnect(&b);
}

/* Who is refused for another reason leaves its place. */
static void test_place_is_given_back(void **state)
{
	(void)state;
	reload_worker("max_connections = 1;\n" ROOM("max_members = 2;"), NULL);
	turn();
	assert_int_equal(ask(&a), 101);
	assert_int_equal(ask(&b), 503);
	assert_non_null(strstr((char *)b.got, "too-many-connections"));
	assert_int_equal(members(), 1);
	disconnect(&b);
	disconnect(&a);
	assert_int_equal(members(), 0);
}

/* --- publish --- */

static int begin_backend(void **state)
{
	(void)state;
	worker_begin(ROOM("publish = \"backend\";"), NULL);
	return 0;
}

/* Neither heard nor the end of who says it; who is not asked may go on. */
static void test_members_may_not_publish(void **state)
{
	struct bus_room room;
	const struct bus_meta meta = { .kind = BUS_KIND_MESSAGE };
	const struct bus_part frame = { "\x81\x02hi", 4 };

	(void)state;
	upgrade(&a, REQUEST("/") "\r\n");
	upgrade(&b, REQUEST("/") "\r\n");
	say_frame(&a, 0x81, "one");
	say_frame(&a, 0x82, "two");
	say_frame(&a, 0x89, "ping");
	ASSERT_HEARD(&a, "\x8a\x04ping");
	ASSERT_HEARD(&b, "");
	assert_int_equal(COUNTED_AT("/", not_allowed), 2);
	assert_int_equal(a.conn->extra->unheard, 2);
	assert_int_equal(bus_open(worker.bus, "/", 1, NULL, &room), BUS_OK);
	assert_int_equal(bus_append(worker.bus, room, &meta, &frame, 1), BUS_OK);
	turn();
	ASSERT_HEARD(&a, "\x81\x02hi");
	ASSERT_HEARD(&b, "\x81\x02hi");
	/* a reload applies it to those who are there */
	reload_worker(ROOM(""), NULL);
	assert_reloaded(2, 0);
	say_frame(&a, 0x81, "now");
	ASSERT_HEARD(&b, "\x81\x03now");
	assert_int_equal(COUNTED_AT("/", not_allowed), 2);
	reload_worker(ROOM("publish = \"none\";"), NULL);
	assert_reloaded(2, 0);
	say_frame(&b, 0x81, "no");
	ASSERT_HEARD(&b, "");
	assert_int_equal(COUNTED_AT("/", not_allowed), 3);
	disconnect(&a);
	disconnect(&b);
}

/* --- rate --- */

#define ECHO(settings)                                                                             \
	"ping_interval = \"5s\"; idle_timeout = \"30s\";\n"                                        \
	"endpoints = ( { path = \"/\"; behaviour = \"echo\"; rate = \"1/m\"; burst = 2; " settings \
	" } );\n"

static int begin_delay(void **state)
{
	(void)state;
	worker_begin(ECHO(""), NULL);
	return 0;
}

/* As if so long had passed that it is full again: the clock of rates is no tick. */
static void fill(struct client *k)
{
	atomic_store(&k->conn->extra->rate.full_at, 0);
}

/*
 * What is too much waits, with all behind it, and its client is neither pinged nor idle meanwhile; when
 * its time has come, and not before, it goes on.
 */
static void test_delay(void **state)
{
	(void)state;
	upgrade(&a, REQUEST("/") "\r\n");
	upgrade(&b, REQUEST("/") "\r\n");
	say_frame(&a, 0x89, "free");
	ASSERT_HEARD(&a, "\x8a\x04"
			 "free");
	say_frame(&a, 0x81, "1");
	say_frame(&a, 0x82, "2");
	ASSERT_HEARD(&a, "\x81\x01"
			 "1\x82\x01"
			 "2");
	say_frame(&a, 0x81, "3");
	say_frame(&a, 0x89, "ping");
	assert_true(a.conn->parked);
	assert_int_equal(park_in_line(), 0);
	assert_int_equal(COUNTED_AT("/", rate_limited), 1);
	pass(50 * 1000 - pass_until_heard(&b, 30 * 1000));
	ASSERT_HEARD(&a, "");
	assert_int_equal(a.conn->state_now, CONN_OPEN);
	/* it is not there yet: it goes on waiting, and does not spin */
	pass(11 * 1000);
	ASSERT_HEARD(&a, "");
	assert_int_equal(park_in_line(), 0);
	assert_false(turn_once());
	fill(&a);
	pass_until_heard(&a, 61 * 1000);
	ASSERT_HEARD(&a, "\x81\x01"
			 "3\x8a\x04ping");
	assert_false(a.conn->parked);
	assert_int_equal(COUNTED_AT("/", rate_limited), 1);
	disconnect(&a);
	/* who is read from, and says nothing, is not excused */
	assert_int_equal(counted_ends(REASON_PING_TIMEOUT), 1);
	disconnect(&b);
}

/* The end of one that waits. */
static void test_delay_then_end(void **state)
{
	(void)state;
	upgrade(&a, REQUEST("/") "\r\n");
	upgrade(&b, REQUEST("/") "\r\n");
	for (int i = 0; i < 4; i++) {
		say_frame(&a, 0x81, "x");
		say_frame(&b, 0x81, "x");
	}
	assert_true(a.conn->parked);
	conn_close_word(a.conn, WS_CLOSE_GOING_AWAY, REASON_DONE);
	say_frame(&a, 0x88, "");
	assert_int_equal(a.conn->state_now, CONN_ENDING);
	conn_kill(b.conn, REASON_RESET);
	disconnect(&a);
	assert_int_equal(counted_ends(REASON_DONE), 1);
	disconnect(&b);
	assert_int_equal(park_in_line(), 0);
}

/* A reload without a rate lets it go on when it is looked at. */
static void test_delay_is_lifted(void **state)
{
	(void)state;
	upgrade(&a, REQUEST("/") "\r\n");
	for (int i = 0; i < 3; i++)
		say_frame(&a, 0x81, "x");
	reload_worker("endpoints = ( { path = \"/\"; behaviour = \"echo\"; } );\n", NULL);
	assert_reloaded(1, 0);
	ASSERT_HEARD(&a, "\x81\x01x\x81\x01x");
	pass_until_heard(&a, 61 * 1000);
	ASSERT_HEARD(&a, "\x81\x01x");
	disconnect(&a);
}

static int begin_drop(void **state)
{
	(void)state;
	worker_begin(ECHO("over_rate = \"drop\";"), NULL);
	return 0;
}

static void test_drop(void **state)
{
	(void)state;
	upgrade(&a, REQUEST("/") "\r\n");
	for (int i = 0; i < 5; i++)
		say_frame(&a, 0x81, "x");
	say_frame(&a, 0x89, "ping");
	ASSERT_HEARD(&a, "\x81\x01x\x81\x01x\x8a\x04ping");
	assert_int_equal(COUNTED_AT("/", rate_limited), 3);
	assert_int_equal(COUNTED_AT("/", messages_in), 5);
	assert_int_equal(a.conn->extra->unheard, 3);
	fill(&a);
	say_frame(&a, 0x81, "y");
	ASSERT_HEARD(&a, "\x81\x01y");
	disconnect(&a);
}

static int begin_close(void **state)
{
	(void)state;
	worker_begin(ECHO("over_rate = \"close\";"), NULL);
	return 0;
}

static void test_close(void **state)
{
	(void)state;
	upgrade(&a, REQUEST("/") "\r\n");
	for (int i = 0; i < 3; i++)
		say_frame(&a, 0x81, "x");
	ASSERT_HEARD(&a, "\x81\x01x\x81\x01x\x88\x0e\x03\xf0rate-limited");
	assert_int_equal(COUNTED_AT("/", rate_limited), 1);
	disconnect(&a);
}

/* JSON that is over it is checked when its time has come. */
static int begin_json(void **state)
{
	(void)state;
	worker_begin("max_message = \"60K\"; max_pending = \"1M\"; ping_interval = \"0\";\n"
		     "endpoints = ( { path = \"/\"; behaviour = \"notify\"; message = \"hi\";\n"
		     "  on_invalid = \"error\"; rate = \"1/m\"; burst = 1; } );\n",
		     NULL);
	return 0;
}

static void test_json(void **state)
{
	(void)state;
	upgrade(&a, REQUEST("/") "\r\n");
	hear(&a);
	a.len = 0;
	say_frame(&a, 0x81, "{}");
	say_frame(&a, 0x81, "[1,");
	ASSERT_HEARD(&a, "");
	fill(&a);
	pass_until_heard(&a, 61 * 1000);
	a.got[a.len] = '\0';
	assert_non_null(strstr((char *)a.got + 2, "invalid-json"));
	disconnect(&a);
}

/* --- room_rate --- */

static int begin_room_rate(void **state)
{
	(void)state;
	worker_begin("ping_interval = \"0\";\n" ROOM("room_rate = \"2/m\";"), NULL);
	return 0;
}

static void fill_room(void)
{
	struct bus_room room;

	assert_int_equal(bus_find(worker.bus, "/", 1, &room), BUS_OK);
	atomic_store(&worker.bus->rates[room.index].full_at, 0);
}

/* All of a room together; those who wait go on in their order, and who comes then is behind them. */
static void test_room_delay(void **state)
{
	(void)state;
	upgrade(&a, REQUEST("/") "\r\n");
	upgrade(&b, REQUEST("/") "\r\n");
	upgrade(&c, REQUEST("/") "\r\n");
	say_frame(&a, 0x81, "1");
	say_frame(&a, 0x81, "2");
	say_frame(&b, 0x81, "3");
	ASSERT_HEARD(&c, "\x81\x01"
			 "1");
	assert_true(a.conn->parked && b.conn->parked);
	assert_int_equal(COUNTED_AT("/", rate_limited), 2);
	pass(1000);
	assert_false(turn_once());
	ASSERT_HEARD(&c, "");
	fill_room();
	say_frame(&c, 0x81, "4");
	ASSERT_HEARD(&c, "\x81\x01"
			 "2");
	fill_room();
	pass(SESSION_TICK);
	ASSERT_HEARD(&c, "\x81\x01"
			 "3");
	/* who waited leaves */
	disconnect(&c);
	fill_room();
	pass(SESSION_TICK);
	assert_int_equal(session.conns, 2);
	hear(&b);
	b.len = 0;
	fill_room();
	say_frame(&a, 0x81, "5");
	ASSERT_HEARD(&b, "\x81\x01"
			 "5");
	assert_int_equal(session.row->bus_waits, 0);
	disconnect(&a);
	disconnect(&b);
}

static void test_room_drop_and_close(void **state)
{
	(void)state;
	reload_worker(ROOM("room_rate = \"2/m\"; over_rate = \"drop\";"), NULL);
	turn();
	upgrade(&a, REQUEST("/") "\r\n");
	upgrade(&b, REQUEST("/") "\r\n");
	say_frame(&a, 0x81, "1");
	say_frame(&b, 0x81, "2");
	ASSERT_HEARD(&a, "\x81\x01"
			 "1");
	assert_int_equal(b.conn->extra->unheard, 1);
	reload_worker(ROOM("room_rate = \"2/m\"; over_rate = \"close\";"), NULL);
	turn();
	say_frame(&a, 0x81, "3");
	ASSERT_HEARD(&a, "\x88\x0e\x03\xf0rate-limited");
	assert_int_equal(COUNTED_AT("/", rate_limited), 2);
	disconnect(&a);
	disconnect(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_more_members, begin_two, worker_teardown),
		cmocka_unit_test_setup_teardown(test_members_elsewhere, begin_two, worker_teardown),
		cmocka_unit_test_setup_teardown(test_place_is_given_back, begin_two,
						worker_teardown),
		cmocka_unit_test_setup_teardown(test_members_may_not_publish, begin_backend,
						worker_teardown),
		cmocka_unit_test_setup_teardown(test_delay, begin_delay, worker_teardown),
		cmocka_unit_test_setup_teardown(test_delay_then_end, begin_delay, worker_teardown),
		cmocka_unit_test_setup_teardown(test_delay_is_lifted, begin_delay, worker_teardown),
		cmocka_unit_test_setup_teardown(test_drop, begin_drop, worker_teardown),
		cmocka_unit_test_setup_teardown(test_close, begin_close, worker_teardown),
		cmocka_unit_test_setup_teardown(test_json, begin_json, worker_teardown),
		cmocka_unit_test_setup_teardown(test_room_delay, begin_room_rate, worker_teardown),
		cmocka_unit_test_setup_teardown(test_room_drop_and_close, begin_room_rate,
						worker_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
