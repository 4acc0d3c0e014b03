/*
 * Who is present, as members are told: when they come in, when they ask, and when others come and go,
 * in this worker and in others, which may die.
 */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "failing.h"
#include "session/attending.h"

/* --- single things --- */

static void test_who_comes_and_goes(void **state)
{
	struct member *a = &members[0], *b = &members[1], *c = &members[2];

	(void)state;
	enter(a, "/list", true);
	assert_int_equal(a->count, 1);
	enter(b, "/list", true);
	assert_int_equal(b->count, 2);
	settle();
	/* who has just come knows it, and the other is told once */
	assert_int_equal(b->frames, 1);
	assert_int_equal(a->frames, 2);
	assert_string_equal(a->last, "join");
	assert_int_equal(a->count, 2);
	enter(c, "/list", false);
	settle();
	assert_int_equal(a->count, 3);
	assert_int_equal(b->count, 3);
	assert_int_equal(c->frames, 0);
	leave(c);
	leave(b);
	settle();
	assert_int_equal(a->frames, 4);
	assert_string_equal(a->last, "leave");
	assert_int_equal(a->members, 1);
	leave(a);
	assert_int_equal(announced_all.rooms, 0);
}

/* Where only the number is told, and where nothing is. */
static void test_numbers(void **state)
{
	struct member *a = &members[0], *b = &members[1];

	(void)state;
	enter(a, "/count", true);
	assert_false(a->listed);
	assert_int_equal(a->members, 1);
	enter(b, "/count", true);
	settle();
	assert_string_equal(a->last, "join");
	assert_int_equal(a->members, 2);
	ask(a);
	assert_string_equal(a->last, "presence");
	assert_int_equal(a->members, 2);
	leave(b);
	settle();
	assert_string_equal(a->last, "leave");
	assert_int_equal(a->members, 1);
	assert_int_equal(a->frames, 4);
	leave(a);

	enter(a, "/none", true);
	enter(b, "/none", true);
	settle();
	assert_int_equal(a->frames, 1);
	say_frame(&a->client, 0x81, "{\"ignyx\":\"presence\"}");
	ASSERT_HEARD(&a->client,
		     "\x81\x59{\"type\":\"error\",\"error\":\"no-presence\",\"message\":"
		     "\"this room does not tell who is present\"}");
	leave(a);
	leave(b);
}

/* Of more than presence_max it is the number that is told, and who they are when they are fewer. */
static void test_many(void **state)
{
	struct member *a = &members[0];
	struct other *o = &others[0], *p = &others[1];

	(void)state;
	enter(a, "/list", true);
	far_begin(o);
	far_begin(p);
	for (int i = 0; i < LIST_MAX - 1; i++)
		far_comes(o, "/list", true);
	settle();
	assert_true(a->listed);
	assert_int_equal(a->members, LIST_MAX);
	assert_int_equal(a->frames, 2);
	far_comes(p, "/list", true);
	settle();
	assert_false(a->listed);
	assert_int_equal(a->members, LIST_MAX + 1);
	far_comes(p, "/list", true);
	settle();
	assert_string_equal(a->last, "join");
	assert_false(a->listed);
	far_goes(p, 0);
	far_goes(p, 0);
	settle();
	assert_string_equal(a->last, "presence");
	assert_true(a->listed);
	/* one of them has no place in a list */
	far_goes(o, 0);
	far_comes(p, "/list", false);
	settle();
	assert_false(a->listed);
	assert_int_equal(a->members, LIST_MAX);
	far_dies(p, false);
	far_dies(o, true);
	settle();
	assert_true(a->listed);
	assert_int_equal(a->members, 1);
	leave(a);
}

/* However many come, there is one event in the time that presence_rate leaves. */
static void test_rate(void **state)
{
	struct member *a = &members[0], *b = &members[1];

	(void)state;
	enter(a, "/seldom", true);
	for (int i = 0; i < 20; i++) {
		enter(b, "/seldom", true);
		pass(SESSION_TICK);
		leave(b);
		pass(SESSION_TICK);
	}
	settle();
	assert_in_range(a->frames, 2, 1 + 6);
	assert_int_equal(a->members, 1);
	leave(a);
}

/* Who is behind, and gets compressed what depends on what it got before. */
static void test_compressed(void **state)
{
	struct member *a = &members[0], *b = &members[1];
	uint64_t sent;

	(void)state;
	upgrade(&a->client, REQUEST("/list") JSON ZIP "\r\n");
	a->client.len = 0;
	sent = COUNTED_AT("/list", messages_out);
	enter(b, "/list", true);
	pass(500);
	hear(&a->client);
	assert_true(a->client.len > 2 && a->client.got[0] == 0xc1);
	assert_int_equal(a->client.len, (size_t)a->client.got[1] + 2);
	/* with the joined frame of the other */
	assert_int_equal(COUNTED_AT("/list", messages_out) - sent, 2);
	assert_int_equal(COUNTED_AT("/list", deliveries), 0);
	disconnect(&a->client);
	leave(b);
}

/* One moves to the place of another, who has been told already and leaves. */
static void test_who_moves(void **state)
{
	const struct announced *x;

	(void)state;
	for (int i = 0; i < 4; i++)
		enter(&members[i], "/list", true);
	settle();
	x = members[0].client.conn->admission->member.room->announced;
	far_begin(&others[0]);
	far_comes(&others[0], "/list", true);
	session_tick();
	turn_short(1);
	assert_ptr_equal(announced_all.telling, x);
	assert_int_equal(x->reached, 1);
	registry_remove(&members[0].client.conn->admission->member);
	turn();
	for (int i = 1; i < 4; i++) {
		note_frames(&members[i]);
		assert_int_equal(members[i].count, 5);
	}
	settle();
	for (int i = 1; i < 4; i++)
		assert_int_equal(members[i].count, 4);
	for (int i = 0; i < 4; i++)
		leave(&members[i]);
}

/* A reload that has it told, who they are, and not any more. */
static void test_reload(void **state)
{
	struct member *a = &members[0], *b = &members[1];

	(void)state;
	reload_worker(endpoints(""), NULL);
	turn();
	enter(a, "/changes", true);
	enter(b, "/changes", true);
	assert_int_equal(b->members, 2);
	settle();
	assert_int_equal(a->frames + b->frames, 2);
	reload_worker(endpoints("presence = \"count\";"), NULL);
	settle();
	assert_string_equal(a->last, "presence");
	assert_false(a->listed);
	assert_int_equal(a->members, 2);
	reload_worker(endpoints("presence = \"list\";"), NULL);
	settle();
	assert_string_equal(b->last, "presence");
	assert_int_equal(a->count, 2);
	assert_int_equal(b->count, 2);
	/* nothing changes with one that changes nothing */
	a->frames = 0;
	reload_worker(endpoints("presence = \"list\";"), NULL);
	settle();
	assert_int_equal(a->frames, 0);
	reload_worker(endpoints(""), NULL);
	settle();
	a->frames = 0;
	leave(b);
	settle();
	assert_int_equal(a->frames, 0);
	assert_int_equal(announced_all.rooms, 0);
	leave(a);
}

/* Who cannot be told now is told later, or is let go; what is told is true. */
static void test_no_memory(void **state)
{
	struct member *a = &members[0], *b = &members[1];
	unsigned failed = 0;

	(void)state;
	for (unsigned n = 1; n < 12; n++) {
		enter(a, "/list", true);
		enter(b, "/list", true);
		failing_nth(n);
		pass(SESSION_TICK);
		failed += failing_end();
		settle();
		assert_int_equal(a->count, 2);
		assert_int_equal(b->count, 2);
		leave(a);
		leave(b);
	}
	assert_true(failed > 0);
}

/* --- a model --- */

/* Who is there, users once; `members` are all. */
static struct member truth;

static void add_to_truth(const char *name)
{
	truth.members++;
	if (!knows(&truth, name))
		note_one(&truth, name);
}

static void find_truth(void)
{
	truth.members = truth.count = 0;
	for (int i = 0; i < CLIENTS; i++)
		if (members[i].room)
			add_to_truth(own_name(&members[i]));
	for (int i = 0; i < OTHERS; i++)
		for (size_t n = 0; n < others[i].count; n++)
			add_to_truth(name_of(others[i].users[n], others[i].ids[n]));
}

/* That is what each client knows. */
static void assert_true_state(const char *room)
{
	bool some_users = false;

	find_truth();
	for (size_t n = 0; n < truth.count; n++)
		some_users |= truth.known[n][0] == '=';
	for (int i = 0; i < CLIENTS; i++) {
		const struct member *m = &members[i];

		if (!m->room || !m->json)
			continue;
		assert_int_equal(m->listed, room[1] == 'l' && truth.count <= LIST_MAX);
		/* that a user has one connection more is not told where it is told who they are */
		if (!m->listed || !some_users)
			assert_int_equal(m->members, truth.members);
		if (!m->listed)
			continue;
		assert_int_equal(m->count, truth.count);
		for (size_t n = 0; n < truth.count; n++)
			assert_true(knows(m, truth.known[n]));
	}
}

/* Time passes, in turns that may be too short for what there is to do. */
static void pass_in_pieces(void)
{
	session_tick();
	for (long n = random() % 4; n > 0; n--)
		turn_short(1);
	if (random() % 2)
		turn();
}

/* Half of them are nobody's who is known. */
static const char *somebody(void)
{
	static const char *const users[] = { "ada", "eve", "1f\"\\\xc3\xa4" };

	return random() % 2 ? users[random() % 3] : NULL;
}

static void do_something(const char *room)
{
	struct member *m = &members[random() % CLIENTS];
	struct other *o = &others[random() % OTHERS];

	switch (random() % 8) {
	case 0:
	case 1:
		if (m->room)
			leave(m);
		else
			enter_as(m, room, somebody(), random() % 4 != 0);
		break;
	case 2:
		if (m->room && m->json)
			ask(m);
		break;
	case 3:
		if (o->count < FAR_MAX)
			far_user_comes(o, room, somebody(), true);
		break;
	case 4:
		if (o->count > 0)
			far_goes(o, (size_t)random() % o->count);
		break;
	case 5:
		if (random() % 4 == 0)
			far_dies(o, random() % 2);
		break;
	default:
		pass_in_pieces();
		break;
	}
}

static void run_model(unsigned seed, const char *room)
{
	enum { STEPS = 400, CHECK = 25 };

	print_message("seed %u %s\n", seed, room);
	srandom(seed);
	for (int i = 0; i < OTHERS; i++)
		far_begin(&others[i]);
	for (int i = 0; i < STEPS; i++) {
		do_something(room);
		if (i % CHECK != CHECK - 1)
			continue;
		settle();
		assert_true_state(room);
	}
	for (int i = 0; i < CLIENTS; i++)
		if (members[i].room)
			leave(&members[i]);
	for (int i = 0; i < OTHERS; i++)
		far_dies(&others[i], false);
}

static void test_model(void **state)
{
	const char *given = getenv("SEED");
	unsigned seed = given ? (unsigned)atoi(given) : (unsigned)time(NULL);

	(void)state;
	for (unsigned i = 0; i < (given ? 1 : 10); i++) {
		run_model(seed + i, "/list");
		run_model(seed + i, "/count");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_who_comes_and_goes, begin, worker_teardown),
		cmocka_unit_test_setup_teardown(test_numbers, begin, worker_teardown),
		cmocka_unit_test_setup_teardown(test_many, begin, worker_teardown),
		cmocka_unit_test_setup_teardown(test_rate, begin, worker_teardown),
		cmocka_unit_test_setup_teardown(test_compressed, begin, worker_teardown),
		cmocka_unit_test_setup_teardown(test_who_moves, begin, worker_teardown),
		cmocka_unit_test_setup_teardown(test_reload, begin, worker_teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, begin, worker_teardown),
		cmocka_unit_test_setup_teardown(test_model, begin, worker_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
