/*
 * Many connections at once: what is done for all of them goes in portions, of which each turn has
 * as many as it has time for, and one in any case. The time of a turn is what the test gives it.
 */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "session/survey.h"
#include "session/worker.h"

static struct client k;

#define ENDPOINTS                                                                                  \
	"endpoints = ( { path = \"/\"; behaviour = \"echo\"; },\n"                                 \
	"  { path = \"/idle\"; behaviour = \"echo\"; idle_timeout = \"250ms\"; },\n"               \
	"  { path = \"/room\"; behaviour = \"room\"; },\n"                                         \
	"  { path = \"/often\"; behaviour = \"echo\"; ping_interval = \"2s\";\n"                   \
	"    ping_timeout = \"0\"; } );\n"

#define LIMITS                                                                                     \
	"max_message = \"4K\"; message_timeout = \"1s\"; handshake_timeout = \"3s\";\n"            \
	"close_timeout = \"60s\"; ping_interval = \"0\";\n"

static int begin(void **state)
{
	(void)state;
	worker_begin(LIMITS ENDPOINTS, NULL);
	return 0;
}

enum { CROWD = 40, OFTEN = 20 /* ticks between pings of /often */ };

static struct client crowd[CROWD];

static void gather_crowd(const char *request)
{
	for (int i = 0; i < CROWD; i++)
		upgrade(&crowd[i], request);
}

/* What has come is read, without an end of the turn. */
static void take_events(void)
{
	for (int i = 0; i < 4; i++)
		event_base_loop(worker.base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
}

static void disperse_crowd(void)
{
	for (int i = 0; i < CROWD; i++)
		close(crowd[i].fd);
	turn();
}

/* How many of them have come to that state. */
static int crowd_in(enum conn_state state)
{
	int n = 0;

	for (int i = 0; i < CROWD; i++)
		n += crowd[i].conn->state_now == state;
	return n;
}

/* How many pings came to them, since the last time that this was asked. */
static int pings_of_crowd(void)
{
	size_t n = 0;

	for (int i = 0; i < CROWD; i++) {
		hear(&crowd[i]);
		n += crowd[i].len / 6;
		crowd[i].len = 0;
	}
	return (int)n;
}

/* So many in each tick of an interval; returns behind it. */
static void assert_pings_are_spread(void)
{
	for (int i = 0; i < OFTEN; i++) {
		pass(SESSION_TICK);
		assert_int_equal(pings_of_crowd(), CROWD / OFTEN);
	}
}

/* One to each within the interval, in the second half, and never many; returns behind it. */
static void assert_pings_come_apart(void)
{
	int all = 0, n;

	for (int i = 1; i <= OFTEN; i++, all += n) {
		pass(SESSION_TICK);
		n = pings_of_crowd();
		assert_in_range(n, 0, i < OFTEN / 2 ? 0 : 3 * CROWD / OFTEN);
	}
	assert_int_equal(all, CROWD);
}

/* Who comes together is not pinged together, nor for ever who once was. */
static void test_pings_are_spread(void **state)
{
	(void)state;
	gather_crowd(REQUEST("/often") "\r\n");
	assert_pings_come_apart();
	assert_pings_are_spread();
	assert_pings_are_spread();
	/* as a worker that has no time */
	for (int i = 0; i < OFTEN; i++)
		session_tick();
	turn();
	assert_int_equal(pings_of_crowd(), CROWD);
	assert_pings_come_apart();
	assert_pings_are_spread();
	disperse_crowd();
}

/* What a turn has no time for is done in the next one, and one thing is done in each. */
static void test_a_tick_in_portions(void **state)
{
	(void)state;
	gather_crowd(REQUEST("/idle") "\r\n");
	pass(200);
	session_tick();
	for (int i = 0; i < CROWD; i++) {
		assert_int_equal(crowd_in(CONN_CLOSING), i);
		assert_true(end_turn(0));
	}
	assert_int_equal(crowd_in(CONN_CLOSING), CROWD);
	assert_false(end_turn(0));
	disperse_crowd();
}

/* As many as fit, so that many turns are not needed either. */
static void test_a_portion(void **state)
{
	(void)state;
	gather_crowd(REQUEST("/idle") "\r\n");
	pass(200);
	session_tick();
	assert_true(end_turn(10 * (TURN_LOOK + TURN_CALL)));
	assert_int_equal(crowd_in(CONN_CLOSING), 10);
	turn();
	disperse_crowd();
}

/* Another tick comes, those who wait end, others come: each has its turn, in the order of ticks. */
static void test_what_happens_between_portions(void **state)
{
	static struct client later;

	(void)state;
	gather_crowd(REQUEST("/idle") "\r\n");
	pass(100);
	upgrade(&later, REQUEST("/idle") "\r\n");
	pass(100);
	session_tick();
	end_turn(0);
	assert_int_equal(crowd[0].conn->state_now, CONN_CLOSING);
	/* the next, the last, and the one that the place was kept behind */
	conn_kill(crowd[1].conn, REASON_RESET);
	conn_kill(crowd[CROWD - 1].conn, REASON_RESET);
	conn_kill(crowd[0].conn, REASON_RESET);
	session_tick();
	connect_client(&k);
	for (int i = 2; i < CROWD - 1; i++) {
		assert_int_equal(later.conn->state_now, CONN_OPEN);
		end_turn(0);
	}
	assert_int_equal(crowd[CROWD - 2].conn->state_now, CONN_CLOSING);
	end_turn(0);
	assert_int_equal(later.conn->state_now, CONN_CLOSING);
	pass(2800);
	assert_int_equal(k.conn->state_now, CONN_UPGRADE);
	pass(200);
	assert_int_equal(k.conn->state_now, CONN_ENDING);
	close(later.fd);
	close(k.fd);
	disperse_crowd();
}

/* --- ends --- */

static void kill_crowd(void)
{
	for (int i = 0; i < CROWD; i++)
		conn_kill(crowd[i].conn, REASON_RESET);
}

/* Who comes in place of one that ended does not wait for what the end costs. */
static void test_ends_in_portions(void **state)
{
	(void)state;
	gather_crowd(REQUEST("/") "\r\n");
	assert_int_equal(session.row->open, CROWD);
	kill_crowd();
	assert_int_equal(session.row->open, 0);
	for (size_t left = CROWD; left > 1; left--) {
		assert_int_equal(session.conns, left);
		assert_true(end_turn(0));
	}
	assert_false(end_turn(0));
	assert_int_equal(session.conns, 0);
	disperse_crowd();
	/* and as many as fit */
	gather_crowd(REQUEST("/") "\r\n");
	kill_crowd();
	assert_true(end_turn(10 * TURN_END));
	assert_int_equal(session.conns, CROWD - 10);
	disperse_crowd();
}

/* Who is first in a turn takes what there is of it: that changes, and the others do one thing. */
static void test_chores_take_turns(void **state)
{
	int closing;
	size_t conns;

	(void)state;
	gather_crowd(REQUEST("/idle") "\r\n");
	pass(200);
	for (int i = 0; i < CROWD / 4; i++)
		conn_kill(crowd[i].conn, REASON_RESET);
	session_tick();
	/* each of the eight is first once, from wherever it was; six times timers are ahead, twice the ends */
	for (int i = 0; i < 8; i++)
		assert_true(end_turn(TURN_END * 3 / 2));
	conns = session.conns;
	closing = 0;
	for (int i = CROWD / 4; i < CROWD; i++)
		closing += crowd[i].conn->state_now == CONN_CLOSING;
	assert_int_equal(conns, CROWD - (2 * 2 + 6));
	assert_int_equal(closing, 6 * (TURN_END * 3 / 2 / (TURN_LOOK + TURN_CALL) + 1) + 2);
	disperse_crowd();
}

/* One that waits to be freed hears nothing, says nothing, and its time does not come. */
static void test_the_dead_are_silent(void **state)
{
	struct client *dead = &crowd[1];

	(void)state;
	upgrade(&crowd[0], REQUEST("/room") "\r\n");
	upgrade(dead, REQUEST("/room") "\r\n");
	upgrade(&k, REQUEST("/room") "\r\n");
	conn_kill(crowd[0].conn, REASON_RESET);
	conn_kill(dead->conn, REASON_RESET);
	assert_int_equal(write(dead->fd, "\x81\x81\0\0\0\0x", 7), 7);
	assert_int_equal(write(k.fd, "\x81\x81\0\0\0\0y", 7), 7);
	session_tick();
	take_events();
	/* one member in each turn */
	assert_true(end_turn(0));
	assert_int_equal(session.conns, 2);
	assert_false(hear(dead));
	end_turn(0);
	assert_int_equal(session.conns, 1);
	assert_true(hear(dead));
	assert_int_equal(dead->len, 0);
	turn();
	ASSERT_HEARD(&k, "\x81\x01y");
	assert_int_equal(COUNTED(messages_in), 1);
	close(crowd[0].fd);
	close(dead->fd);
	disconnect(&k);
}

/* --- reload --- */

/* What was echoed plainly has a prefix then, and /idle is gone. */
#define OTHERWISE                                                                                  \
	LIMITS "drain_time = \"0\";\n"                                                             \
	       "endpoints = ( { path = \"/\"; behaviour = \"echo\"; prefix = \"new \"; },\n"       \
	       "  { path = \"/room\"; behaviour = \"room\"; } );\n"

static int crowd_moved(void)
{
	int n = 0;

	for (int i = 0; i < CROWD; i++)
		n += crowd[i].conn->endpoint->config == session.config;
	return n;
}

/* Those that are not moved yet go on as they are, and all are told of together. */
static void test_reload_in_portions(void **state)
{
	(void)state;
	gather_crowd(REQUEST("/") "\r\n");
	reload_worker(OTHERWISE, NULL);
	for (int i = 1; i <= CROWD; i++) {
		assert_true(end_turn(0));
		assert_int_equal(crowd_moved(), i);
		assert_int_equal(reloaded.times, 0);
	}
	assert_reloaded(CROWD, 0);
	disperse_crowd();
}

static void test_messages_during_a_reload(void **state)
{
	(void)state;
	gather_crowd(REQUEST("/") "\r\n");
	reload_worker(OTHERWISE, NULL);
	end_turn(0);
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(write(crowd[i].fd, "\x81\x81\0\0\0\0x", 7), 7);
	take_events();
	ASSERT_HEARD(&crowd[0], "\x81\x05new x");
	ASSERT_HEARD(&crowd[CROWD - 1], "\x81\x01x");
	assert_reloaded(CROWD, 0);
	disperse_crowd();
}

/* Who comes, closes or is closed meanwhile; each is counted once, or not. */
static void test_what_happens_during_a_reload(void **state)
{
	static struct client gone, asks;

	(void)state;
	gather_crowd(REQUEST("/") "\r\n");
	upgrade(&gone, REQUEST("/idle") "\r\n");
	reload_worker(OTHERWISE, NULL);
	end_turn(0);
	end_turn(0);
	/* of these three one was moved; the place is kept behind it */
	conn_kill(crowd[0].conn, REASON_RESET);
	conn_close_word(crowd[1].conn, 1000, REASON_DONE);
	conn_kill(crowd[CROWD - 1].conn, REASON_RESET);
	connect_client(&asks);
	end_turn(0);
	assert_int_equal(write(asks.fd, REQUEST("/") "\r\n", sizeof(REQUEST("/")) + 1),
			 sizeof(REQUEST("/")) + 1);
	take_events();
	assert_int_equal(asks.conn->state_now, CONN_OPEN);
	assert_ptr_equal(asks.conn->endpoint->config, session.config);
	assert_reloaded(CROWD - 2, 1);
	assert_int_equal(gone.conn->code, WS_CLOSE_SERVICE_RESTART);
	close(gone.fd);
	close(asks.fd);
	disperse_crowd();
}

/* One that is put to another tick meanwhile, where all have come by, is not passed over. */
static void test_moved_about_during_a_reload(void **state)
{
	struct client *last = &crowd[CROWD - 1];

	(void)state;
	gather_crowd(REQUEST("/") "\r\n");
	reload_worker(OTHERWISE, NULL);
	end_turn(0);
	assert_int_equal(write(last->fd, "\x01\x81\0\0\0\0x", 7), 7);
	take_events();
	assert_true(last->conn->deadline < crowd[0].conn->deadline);
	for (int i = 0; i < CROWD && !reloaded.times; i++)
		end_turn(0);
	assert_reloaded(CROWD, 0);
	assert_int_equal(crowd_moved(), CROWD);
	disperse_crowd();
}

/* The one that was under way is told as far as it has come, ahead of the next. */
static void test_reload_during_a_reload(void **state)
{
	struct config *c = worker_config(LIMITS ENDPOINTS, NULL);

	(void)state;
	gather_crowd(REQUEST("/") "\r\n");
	reload_worker(OTHERWISE, NULL);
	for (int i = 0; i < 3; i++)
		end_turn(0);
	session_reload(c, note_reloaded);
	config_unref(c);
	assert_int_equal(reloaded.times, 1);
	assert_int_equal(reloaded.moved, 3);
	reloaded.times = 0;
	assert_reloaded(CROWD, 0);
	assert_int_equal(crowd_moved(), CROWD);
	disperse_crowd();
}

/* Timers go on meanwhile; both keep their places in one list. */
static void test_timers_during_a_reload(void **state)
{
	(void)state;
	gather_crowd(REQUEST("/idle") "\r\n");
	pass(200);
	session_tick();
	end_turn(0);
	reload_worker(LIMITS ENDPOINTS, NULL);
	for (int i = 0; i < 2 * CROWD && session.chores; i++)
		end_turn(0);
	assert_int_equal(crowd_in(CONN_CLOSING), CROWD);
	assert_int_equal(reloaded.times, 1);
	/* one for each that was moved ahead of its time */
	assert_in_range(reloaded.moved, 1, CROWD - 1);
	disperse_crowd();
}

/* --- a survey --- */

static struct {
	int times;
	struct survey_answer answer;
	json_t *list;
} told;

static void note_survey(const struct survey_answer *a)
{
	told.times++;
	told.answer = *a;
	json_decref(told.list);
	told.list = json_loadb(a->json, a->len, 0, NULL);
	assert_non_null(told.list);
}

static void ask_worker(const struct survey_question *q)
{
	told.times = 0;
	assert_true(survey_is_sound(q));
	survey_begin(q, note_survey);
}

static void forget_survey(void)
{
	json_decref(told.list);
	told.list = NULL;
}

/* Whether it is told of the connection, once. */
static bool is_told_of(const struct conn *c)
{
	char id[32];
	json_t *one;
	size_t i;
	int n = 0;

	snprintf(id, sizeof(id), "%llx", (unsigned long long)c->id);
	json_array_foreach(told.list, i, one) n +=
		strcmp(json_string_value(json_object_get(one, "id")), id) == 0;
	assert_in_range(n, 0, 1);
	return n == 1;
}

/* One is looked at in a turn that has no time. */
static void test_a_survey_in_portions(void **state)
{
	(void)state;
	gather_crowd(REQUEST("/") "\r\n");
	ask_worker(&(struct survey_question){ .limit = 1000 });
	for (int i = 0; i < CROWD; i++) {
		assert_int_equal(told.times, 0);
		assert_true(end_turn(0));
	}
	turn();
	assert_int_equal(told.times, 1);
	assert_int_equal(json_array_size(told.list), CROWD);
	assert_false(told.answer.more);
	forget_survey();
	disperse_crowd();
}

/* Timers move those that it has not come to behind it, others end, others come. */
static void test_what_happens_during_a_survey(void **state)
{
	static struct client gone, later;

	(void)state;
	upgrade(&gone, REQUEST("/") "\r\n");
	gather_crowd(REQUEST("/often") "\r\n");
	ask_worker(&(struct survey_question){ .limit = 1000 });
	for (int i = 0; i < 5; i++)
		end_turn(0);
	conn_kill(gone.conn, REASON_RESET);
	conn_kill(crowd[CROWD - 1].conn, REASON_RESET);
	for (int i = 0; i < 3 * OFTEN && told.times == 0; i++) {
		session_tick();
		for (int j = 0; j < 4; j++)
			end_turn(0);
	}
	upgrade(&later, REQUEST("/") "\r\n");
	turn();
	assert_int_equal(told.times, 1);
	for (int i = 0; i < CROWD - 1; i++)
		assert_true(is_told_of(crowd[i].conn));
	assert_int_equal(json_array_size(told.list), CROWD - 1);
	forget_survey();
	close(gone.fd);
	close(later.fd);
	disperse_crowd();
}

/* Page after page by the lowest ids, whatever the order of timers is. */
static void test_pages_of_a_survey(void **state)
{
	struct survey_question q = { .limit = 7 };
	size_t all = 0;

	(void)state;
	gather_crowd(REQUEST("/often") "\r\n");
	for (int i = 0; i < 3; i++)
		pass(700);
	do {
		ask_worker(&q);
		turn();
		assert_int_equal(told.times, 1);
		for (size_t i = 0; i < json_array_size(told.list); i++)
			assert_true(is_told_of(crowd[all + i].conn));
		all += json_array_size(told.list);
		q.after = told.answer.last;
	} while (told.answer.more);
	assert_int_equal(all, CROWD);
	forget_survey();
	disperse_crowd();
}

/* Another one in its place, a reload and timers beside it. */
static void test_a_survey_beside_others(void **state)
{
	(void)state;
	gather_crowd(REQUEST("/") "\r\n");
	ask_worker(&(struct survey_question){ .limit = 3 });
	end_turn(0);
	ask_worker(&(struct survey_question){ .limit = 1000, .code = 4000, .reason = "bye" });
	end_turn(0);
	reload_worker(OTHERWISE, NULL);
	turn();
	assert_int_equal(reloaded.times, 1);
	assert_int_equal(told.times, 1);
	assert_int_equal(told.answer.closed, CROWD);
	assert_int_equal(crowd_in(CONN_CLOSING), CROWD);
	ASSERT_HEARD(&crowd[0], "\x88\x05\x0f\xa0"
				"bye");
	forget_survey();
	disperse_crowd();
}

static void test_questions_that_are_none(void **state)
{
	struct survey_question q = { .limit = 1 };

	(void)state;
	assert_true(survey_is_sound(&q));
	q.code = 1005;
	assert_false(survey_is_sound(&q));
	q.code = 65536 + 1000;
	assert_false(survey_is_sound(&q));
	q.code = 0;
	q.limit = 0;
	assert_false(survey_is_sound(&q));
	q.limit = 1;
	memset(q.peer, 'x', sizeof(q.peer));
	assert_false(survey_is_sound(&q));
}

/* --- stop --- */

static void test_stop_in_portions(void **state)
{
	(void)state;
	gather_crowd(REQUEST("/") "\r\n");
	connect_client(&k);
	session_stop(0, 0);
	assert_true(session.stopping);
	for (int i = 0; i <= CROWD; i++) {
		assert_int_equal(crowd_in(CONN_CLOSING) + (k.conn->state_now == CONN_ENDING), i);
		assert_true(end_turn(0));
	}
	assert_int_equal(crowd_in(CONN_CLOSING), CROWD);
	turn();
	for (int i = 0; i < CROWD; i++)
		ASSERT_HEARD(&crowd[i], "\x88\x0a\x03\xe9shutdown");
	assert_begins(&k, "HTTP/1.1 503 ");
	close(k.fd);
	disperse_crowd();
}

/* What was said before, to members whose turn comes after the stop. */
static void test_stop_behind_what_was_said(void **state)
{
	(void)state;
	gather_crowd(REQUEST("/room") "\r\n");
	assert_int_equal(write(crowd[0].fd, "\x81\x81\0\0\0\0x", 7), 7);
	take_events();
	session_stop(10000, 0);
	for (int i = 0; i < CROWD / 2; i++) {
		end_turn(0);
		assert_int_equal(crowd_in(CONN_OPEN), CROWD);
	}
	turn();
	for (int i = 0; i < CROWD; i++)
		ASSERT_HEARD(&crowd[i], "\x81\x01x\x88\x0a\x03\xe9shutdown");
	disperse_crowd();
}

/* But the close frames are not waited for without end. */
static void test_stop_without_patience(void **state)
{
	(void)state;
	gather_crowd(REQUEST("/room") "\r\n");
	assert_int_equal(write(crowd[0].fd, "\x81\x81\0\0\0\0x", 7), 7);
	take_events();
	session_stop(200, 0);
	session_tick();
	end_turn(0);
	assert_int_equal(crowd_in(CONN_OPEN), CROWD);
	session_tick();
	end_turn(0);
	assert_int_equal(crowd_in(CONN_OPEN), CROWD - 1);
	turn();
	assert_int_equal(crowd_in(CONN_CLOSING), CROWD);
	disperse_crowd();
}

/* A stop ends a reload, which is told; one that comes behind it moves nobody and is told, too. */
static void test_stop_and_reload(void **state)
{
	(void)state;
	gather_crowd(REQUEST("/") "\r\n");
	reload_worker(OTHERWISE, NULL);
	end_turn(0);
	session_stop(0, 0);
	assert_int_equal(reloaded.times, 1);
	assert_int_equal(reloaded.moved, 1);
	end_turn(0);
	reload_worker(OTHERWISE, NULL);
	assert_reloaded(0, 0);
	assert_int_equal(crowd_in(CONN_CLOSING), CROWD);
	disperse_crowd();
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, worker_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pings_are_spread),
		TEST(test_a_tick_in_portions),
		TEST(test_a_portion),
		TEST(test_what_happens_between_portions),
		TEST(test_ends_in_portions),
		TEST(test_chores_take_turns),
		TEST(test_the_dead_are_silent),
		TEST(test_reload_in_portions),
		TEST(test_messages_during_a_reload),
		TEST(test_what_happens_during_a_reload),
		TEST(test_moved_about_during_a_reload),
		TEST(test_reload_during_a_reload),
		TEST(test_timers_during_a_reload),
		TEST(test_a_survey_in_portions),
		TEST(test_what_happens_during_a_survey),
		TEST(test_pages_of_a_survey),
		TEST(test_a_survey_beside_others),
		TEST(test_questions_that_are_none),
		TEST(test_stop_in_portions),
		TEST(test_stop_behind_what_was_said),
		TEST(test_stop_without_patience),
		TEST(test_stop_and_reload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
