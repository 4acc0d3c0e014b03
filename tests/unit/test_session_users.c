/*
 * Users among those who are present: each is told once, and is told to have gone only when presence_grace
 * is over, whatever has become of the worker in which it was.
 */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "failing.h"
#include "session/attending.h"

/* Of the endpoint /list; with it a change is told that was noted one tick later. */
enum { GRACE = 500, LATE = 2 * SESSION_TICK };

/* Somebody who was told of nothing since, but that. */
static void assert_told(struct member *m, size_t frames, const char *last, size_t count)
{
	note_frames(m);
	assert_int_equal(m->frames, frames);
	assert_string_equal(m->last, last);
	assert_int_equal(m->count, count);
}

static void test_each_once(void **state)
{
	struct member *a = &members[0], *b = &members[1], *c = &members[2];

	(void)state;
	enter(a, "/list", true);
	enter_as(b, "/list", "ada", true);
	assert_told(b, 1, "joined", 2);
	settle();
	assert_told(a, 2, "join", 2);
	assert_true(knows(a, "=ada"));
	enter_as(c, "/list", "ada", true);
	assert_told(c, 1, "joined", 2);
	assert_int_equal(c->members, 3);
	settle();
	leave(b);
	settle();
	assert_told(a, 2, "join", 2);
	assert_told(c, 1, "joined", 2);
	ask(a);
	assert_told(a, 3, "presence", 2);
	assert_int_equal(a->members, 2);
	leave(c);
	pass(GRACE - SESSION_TICK);
	assert_told(a, 3, "presence", 2);
	pass(LATE);
	assert_told(a, 4, "leave", 1);
	assert_int_equal(a->members, 1);
	leave(a);
}

/* With a name of which each character is more than itself in JSON. */
static void test_frames(void **state)
{
	struct member *a = &members[0];
	char id[NAME_SIZE], frame[512];
	int n;

	(void)state;
	upgrade(&a->client, REQUEST("/list") JSON "\r\n");
	snprintf(id, sizeof(id), "%s", name_of(NULL, a->client.conn->id));
	far_begin(&others[0]);
	far_user_comes(&others[0], "/list", "\"\\\xc3\xa4", true);
	a->client.len = 0;
	pass(LATE);
	ASSERT_HEARD(&a->client, "\x81\x45{\"type\":\"join\",\"room\":\"/list\",\"members\":2,"
				 "\"who\":[\"\\\"\\\\\xc3\xa4\"],\"users\":1}");
	say_frame(&a->client, 0x81, "{\"ignyx\":\"presence\"}");
	n = snprintf(frame, sizeof(frame),
		     "{\"type\":\"presence\",\"room\":\"/list\",\"members\":2,"
		     "\"who\":[\"%s\",\"\\\"\\\\\xc3\xa4\"],\"users\":1}",
		     id);
	hear(&a->client);
	assert_int_equal(a->client.len, (size_t)n + 2);
	assert_memory_equal(a->client.got + 2, frame, (size_t)n);
	disconnect(&a->client);
	far_dies(&others[0], false);
}

/* Nobody hears that it had gone, here or in another worker, and whoever comes meanwhile. */
static void test_back_in_time(void **state)
{
	struct member *a = &members[0], *b = &members[1], *c = &members[2];
	struct other *o = &others[0];

	(void)state;
	enter(a, "/list", true);
	enter_as(b, "/list", "ada", true);
	settle();
	leave(b);
	pass(GRACE - LATE);
	enter_as(b, "/list", "ada", true);
	settle();
	assert_told(a, 2, "join", 2);
	assert_told(b, 1, "joined", 2);
	leave(b);
	pass(LATE);
	/* is told what the others were */
	enter_as(c, "/list", "eve", true);
	assert_told(c, 1, "joined", 3);
	assert_int_equal(c->members, 2);
	far_begin(o);
	far_user_comes(o, "/list", "ada", true);
	settle();
	assert_told(a, 3, "join", 3);
	assert_told(c, 1, "joined", 3);
	assert_true(knows(a, "=ada") && knows(c, "=ada"));
	/* it goes again, and has as long as ever */
	far_goes(o, 0);
	pass(GRACE - SESSION_TICK);
	assert_told(a, 3, "join", 3);
	pass(LATE);
	assert_told(a, 4, "leave", 2);
	assert_told(c, 2, "leave", 2);
	leave(a);
	leave(c);
}

/* A worker's death is for its users that they have gone, and for others that they have left. */
static void test_a_worker_dies(void **state)
{
	struct member *a = &members[0];
	struct other *o = &others[0], *p = &others[1];

	(void)state;
	enter(a, "/list", true);
	far_begin(o);
	far_begin(p);
	far_user_comes(o, "/list", "ada", true);
	far_user_comes(o, "/list", "eve", true);
	far_comes(o, "/list", true);
	settle();
	assert_told(a, 2, "join", 4);
	far_dies(o, true);
	pass(LATE);
	assert_told(a, 3, "leave", 3);
	assert_true(knows(a, "=ada") && knows(a, "=eve"));
	far_user_comes(p, "/list", "eve", true);
	settle();
	assert_told(a, 4, "leave", 2);
	assert_true(knows(a, "=eve"));
	far_dies(p, false);
	settle();
	assert_told(a, 5, "leave", 1);
	leave(a);
}

/* Who asks or comes while one is gone is told the same, and so is all that follows. */
static void test_asks_meanwhile(void **state)
{
	struct member *a = &members[0], *b = &members[1], *c = &members[2];

	(void)state;
	enter(a, "/list", true);
	enter_as(b, "/list", "ada", true);
	settle();
	leave(b);
	/* ahead of the tick that finds it missing, and behind it */
	ask(a);
	assert_told(a, 3, "presence", 2);
	pass(LATE);
	ask(a);
	assert_told(a, 4, "presence", 2);
	enter(c, "/list", true);
	assert_told(c, 1, "joined", 3);
	pass(LATE);
	assert_told(a, 5, "join", 3);
	/* it is over as it was to be, whatever was looked at since */
	pass(GRACE - LATE);
	assert_told(a, 6, "leave", 2);
	assert_told(c, 2, "leave", 2);
	/* of nobody who has told it here anything is known */
	leave(a);
	leave(c);
	enter_as(b, "/list", "ada", false);
	leave(b);
	enter(a, "/list", true);
	assert_told(a, 1, "joined", 1);
	leave(a);
}

/* It is the setting that there is when it goes by. */
static void test_reload(void **state)
{
	struct member *a = &members[0], *b = &members[1];

	(void)state;
	reload_worker(endpoints("presence = \"list\"; presence_grace = \"5m\";"), NULL);
	turn();
	enter(a, "/changes", true);
	enter_as(b, "/changes", "ada", true);
	settle();
	leave(b);
	settle();
	assert_told(a, 2, "join", 2);
	reload_worker(endpoints("presence = \"list\"; presence_grace = \"3s\";"), NULL);
	pass(1500);
	assert_told(a, 2, "join", 2);
	pass(500 + LATE);
	assert_told(a, 3, "leave", 1);
	reload_worker(endpoints("presence = \"list\"; presence_grace = \"0\";"), NULL);
	turn();
	enter_as(b, "/changes", "ada", true);
	pass(LATE);
	leave(b);
	pass(LATE);
	assert_told(a, 5, "leave", 1);
	/* those who are told to be there still are let go of with the list */
	reload_worker(endpoints("presence = \"list\";"), NULL);
	enter_as(b, "/changes", "ada", true);
	pass(LATE);
	leave(b);
	pass(LATE);
	assert_told(a, 6, "join", 2);
	reload_worker(endpoints("presence = \"count\";"), NULL);
	settle();
	assert_string_equal(a->last, "presence");
	assert_int_equal(a->members, 1);
	reload_worker(endpoints("presence = \"list\";"), NULL);
	settle();
	assert_told(a, 8, "presence", 1);
	leave(a);
}

/* Up to presence_max users are told, however many connections they have; who has gone gives way. */
static void test_many(void **state)
{
	static const char *const users[FAR_MAX] = { "u1", "u2", "u3", "u4", "u5" };
	struct member *a = &members[0];
	struct other *o = &others[0], *p = &others[1];

	(void)state;
	enter(a, "/list", true);
	far_begin(o);
	far_begin(p);
	for (int i = 0; i < FAR_MAX; i++)
		far_user_comes(o, "/list", "ada", true);
	for (int i = 0; i < FAR_MAX - 1; i++)
		far_user_comes(p, "/list", users[i], true);
	settle();
	assert_told(a, 2, "join", LIST_MAX);
	assert_int_equal(a->members, 1 + 2 * FAR_MAX - 1);
	far_goes(p, 0);
	pass(LATE);
	assert_told(a, 2, "join", LIST_MAX);
	far_user_comes(p, "/list", users[FAR_MAX - 1], true);
	pass(LATE);
	assert_told(a, 4, "join", LIST_MAX);
	assert_false(knows(a, "=u1"));
	far_goes(o, 0);
	far_user_comes(o, "/list", "u1", true);
	settle();
	assert_string_equal(a->last, "presence");
	assert_false(a->listed);
	far_goes(o, FAR_MAX - 1);
	settle();
	assert_told(a, 6, "presence", LIST_MAX);
	leave(a);
}

/* What is noted of those who have gone is noted when there is memory, and what is told is true. */
static void test_no_memory(void **state)
{
	struct member *a = &members[0], *b = &members[1];
	unsigned failed = 0;

	(void)state;
	for (unsigned n = 1; n < 16; n++) {
		enter(a, "/list", true);
		enter_as(b, "/list", "ada", false);
		failing_nth(n);
		pass(SESSION_TICK);
		failed += failing_end();
		settle();
		leave(b);
		failing_nth(n);
		pass(LATE);
		failed += failing_end();
		assert_true(knows(a, "=ada"));
		settle();
		note_frames(a);
		assert_int_equal(a->count, 1);
		leave(a);
	}
	assert_true(failed > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_once, begin, worker_teardown),
		cmocka_unit_test_setup_teardown(test_frames, begin, worker_teardown),
		cmocka_unit_test_setup_teardown(test_back_in_time, begin, worker_teardown),
		cmocka_unit_test_setup_teardown(test_a_worker_dies, begin, worker_teardown),
		cmocka_unit_test_setup_teardown(test_asks_meanwhile, begin, worker_teardown),
		cmocka_unit_test_setup_teardown(test_reload, begin, worker_teardown),
		cmocka_unit_test_setup_teardown(test_many, begin, worker_teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, begin, worker_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
