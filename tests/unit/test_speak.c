/*
 * Who may be in a room, who may speak there, and how much.
 */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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
	bus_set_members(worker.bus, room, 1);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_more_members, begin_two, worker_teardown),
		cmocka_unit_test_setup_teardown(test_members_elsewhere, begin_two, worker_teardown),
		cmocka_unit_test_setup_teardown(test_place_is_given_back, begin_two,
						worker_teardown),
		cmocka_unit_test_setup_teardown(test_members_may_not_publish, begin_backend,
						worker_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
