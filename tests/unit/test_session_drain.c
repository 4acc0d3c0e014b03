/*
 * Connections are let go: how many in which tick, who first, with which words; and who is not.
 */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "failing.h"
#include "session/leaving.h"
#include "session/worker.h"

#define LIMITS "close_timeout = \"60s\"; ping_interval = \"0\";\n"
#define ENDPOINTS                                                                                  \
	"endpoints = ( { path = \"/\"; behaviour = \"echo\"; },\n"                                 \
	"  { path = \"/gone\"; behaviour = \"echo\"; } );\n"

enum { CROWD = 40 };

static struct client crowd[CROWD], k;

static struct {
	int times;
	struct session_drained d; /* of the last one */
} ended;

static void note_drained(const struct session_drained *d)
{
	ended.times++;
	ended.d = *d;
}

static int begin(void **state)
{
	(void)state;
	ended.times = 0;
	worker_begin(LIMITS ENDPOINTS "drain_time = \"2s\";\n", NULL);
	return 0;
}

static void gather(int from, int to, const char *request)
{
	for (int i = from; i < to; i++)
		upgrade(&crowd[i], request);
}

static void disperse(void)
{
	for (int i = 0; i < CROWD; i++)
		close(crowd[i].fd);
	turn();
}

static int open_in(int from, int to)
{
	int n = 0;

	for (int i = from; i < to; i++)
		n += crowd[i].conn->state_now == CONN_OPEN;
	return n;
}

static int open_now(void)
{
	return open_in(0, CROWD);
}

/* A drain of all, over so many milliseconds. */
static struct session_drain all(int64_t over)
{
	return (struct session_drain){ .refuse = true, .most = UINT32_MAX, .over = over };
}

static void drain(struct session_drain d)
{
	session_drain(&d, note_drained);
	turn();
}

static void assert_ended(unsigned let_go, unsigned late)
{
	assert_int_equal(ended.times, 1);
	assert_int_equal(ended.d.let_go, let_go);
	assert_int_equal(ended.d.late, late);
	assert_int_equal(session.row->leaving, 0);
}

/* One in each tick, whatever the number is, and the last with the last. */
static void test_the_pace(void **state)
{
	(void)state;
	gather(0, CROWD, REQUEST("/") "\r\n");
	drain(all(CROWD * SESSION_TICK));
	assert_int_equal(open_now(), CROWD);
	for (int i = 1; i < CROWD; i++) {
		pass(SESSION_TICK);
		/* the span ends with a tick that none has to wait for */
		assert_in_range(open_now(), i < CROWD - 2 ? CROWD - i - 2 : 0, CROWD - i);
		assert_int_equal(session.row->leaving, open_now());
		assert_int_equal(ended.times, i == CROWD - 1);
	}
	assert_int_equal(open_now(), 0);
	assert_ended(CROWD, 0);
	disperse();
}

/* Few over a long time go apart, and not all at its begin or its end. */
static void test_few_over_a_long_time(void **state)
{
	int gone_at[4], gone = 0;

	(void)state;
	gather(0, 4, REQUEST("/") "\r\n");
	drain(all(100 * SESSION_TICK));
	for (int t = 1; t < 100; t++) {
		pass(SESSION_TICK);
		for (; gone < 4 - open_in(0, 4); gone++)
			gone_at[gone] = t;
	}
	assert_int_equal(gone, 4);
	for (int i = 0; i < 4; i++)
		assert_in_range(gone_at[i], 25 * (i + 1) - 3, 25 * (i + 1) + 3);
	assert_ended(4, 0);
	for (int i = 0; i < 4; i++)
		close(crowd[i].fd);
	turn();
}

/* Who leaves by himself is none of those that are let go, and the rest goes on. */
static void test_some_leave_by_themselves(void **state)
{
	(void)state;
	gather(0, CROWD, REQUEST("/") "\r\n");
	drain(all(20 * SESSION_TICK));
	for (int i = 0; i < CROWD; i += 2)
		close(crowd[i].fd);
	turn();
	assert_int_equal(leaving_count(LEAVING_ASKED), CROWD / 2);
	pass(20 * SESSION_TICK);
	assert_int_equal(session.row->open, CROWD / 2);
	assert_ended(CROWD / 2, 0);
	for (int i = 1; i < CROWD; i += 2)
		close(crowd[i].fd);
	turn();
}

/* To put them in order is of a turn: of ten thousand it would be two of them. */
static void test_order_is_charged(void **state)
{
	int64_t credit;

	(void)state;
	gather(0, 2, REQUEST("/") "\r\n");
	credit = this_turn.credit;
	assert_true(leaving_add(LEAVING_ASKED, crowd[0].conn, 1));
	assert_true(leaving_add(LEAVING_ASKED, crowd[1].conn, 1));
	assert_true(leaving_add(LEAVING_ASKED, crowd[0].conn, 2));
	assert_int_equal(this_turn.credit, credit - 2 * TURN_SORT);
	assert_ptr_equal(leaving_take(LEAVING_ASKED), crowd[0].conn);
	assert_int_equal(this_turn.credit, credit - 3 * TURN_SORT);
	leaving_remove(LEAVING_ASKED, crowd[1].conn);
	assert_int_equal(this_turn.credit, credit - 4 * TURN_SORT);
	assert_null(leaving_take(LEAVING_ASKED));
	for (int i = 0; i < 2; i++)
		close(crowd[i].fd);
	turn();
}

static void assert_order(enum leaving_order order, int first, int last)
{
	struct session_drain d = all(10 * SESSION_TICK);

	d.order = (int)order;
	gather(0, CROWD, REQUEST("/") "\r\n");
	drain(d);
	pass(5 * SESSION_TICK);
	assert_in_range(open_now(), CROWD / 4, CROWD * 3 / 4);
	assert_int_equal(open_in(first, first + CROWD / 4), 0);
	assert_int_equal(open_in(last, last + CROWD / 4), CROWD / 4);
	disperse();
}

static void test_oldest_first(void **state)
{
	(void)state;
	assert_order(LEAVING_OLDEST, 0, CROWD * 3 / 4);
}

static void test_newest_first(void **state)
{
	(void)state;
	assert_order(LEAVING_NEWEST, CROWD * 3 / 4, 0);
}

/* Of 40 that go by chance the half that came first is not the half that goes first. */
static void test_at_random(void **state)
{
	struct session_drain d = all(10 * SESSION_TICK);

	(void)state;
	d.order = LEAVING_RANDOM;
	gather(0, CROWD, REQUEST("/") "\r\n");
	drain(d);
	pass(5 * SESSION_TICK);
	assert_in_range(open_in(0, CROWD / 2), 1, CROWD / 2 - 1);
	assert_in_range(open_in(CROWD / 2, CROWD), 1, CROWD / 2 - 1);
	pass(5 * SESSION_TICK);
	assert_ended(CROWD, 0);
	disperse();
}

/* The text of a close frame, read as "WORD retry-after=12.4s"; in tenths of a second. */
static unsigned retry_of(struct client *c, int code, const char *word)
{
	char text[130];
	unsigned s, tenth, n;

	hear(c);
	assert_true(c->len > 4);
	n = c->got[1] - 2u;
	assert_int_equal(c->len, n + 4);
	assert_int_equal(c->got[0], 0x88);
	assert_int_equal(c->got[2] << 8 | c->got[3], code);
	memcpy(text, c->got + 4, n);
	text[n] = '\0';
	assert_memory_equal(text, word, strlen(word));
	assert_int_equal(sscanf(text + strlen(word), " retry-after=%u.%us", &s, &tenth), 2);
	assert_int_equal(text[n - 1], 's');
	return s * 10 + tenth;
}

/* All within the span, and not at once. */
static void assert_spread(int code, const char *word, unsigned most)
{
	unsigned low = most, high = 0;

	for (int i = 0; i < CROWD; i++) {
		unsigned r = retry_of(&crowd[i], code, word);

		assert_in_range(r, 1, most);
		low = r < low ? r : low;
		high = r > high ? r : high;
	}
	assert_true(low < most / 2 && high > most / 2);
}

static void test_when_to_come_back(void **state)
{
	(void)state;
	gather(0, CROWD, REQUEST("/") "\r\n");
	drain(all(5000));
	pass(5000);
	assert_spread(1001, "drained", 50);
	disperse();
}

/* Without a pace the word stands alone, and none is late. */
static void test_at_once(void **state)
{
	(void)state;
	gather(0, CROWD, REQUEST("/") "\r\n");
	drain(all(0));
	assert_int_equal(open_now(), 0);
	for (int i = 0; i < CROWD; i++)
		ASSERT_HEARD(&crowd[i], "\x88\x09\x03\xe9"
					"drained");
	assert_ended(CROWD, 0);
	disperse();
}

/* A worker that had no time closes the rest at the end, and says how many those were. */
static void test_what_is_left_at_the_deadline(void **state)
{
	(void)state;
	gather(0, CROWD, REQUEST("/") "\r\n");
	drain(all(10 * SESSION_TICK));
	pass(4 * SESSION_TICK);
	for (int i = 0; i < 6; i++)
		session_tick();
	turn();
	assert_int_equal(open_now(), 0);
	assert_int_equal(ended.times, 1);
	assert_int_equal(ended.d.let_go, CROWD);
	assert_in_range(ended.d.late, CROWD / 2, CROWD * 3 / 4);
	disperse();
}

/* One in each turn that has no more time. */
static void test_in_portions(void **state)
{
	int turns = 0, before = CROWD;

	(void)state;
	gather(0, CROWD, REQUEST("/") "\r\n");
	session_drain(&(struct session_drain){ .most = UINT32_MAX }, note_drained);
	while (end_turn(0) && turns++ < 1000) {
		assert_in_range(before - open_now(), 0, 1);
		before = open_now();
	}
	assert_in_range(turns, 2 * CROWD, 1000);
	assert_int_equal(open_now(), 0);
	assert_ended(CROWD, 0);
	disperse();
}

/* So many of them, and no other; new ones come, and 1012 says so. */
static void test_a_part(void **state)
{
	(void)state;
	gather(0, CROWD, REQUEST("/") "\r\n");
	drain((struct session_drain){ .most = 7, .over = 1000 });
	assert_int_equal(session.row->leaving, 7);
	pass(1000);
	assert_int_equal(open_now(), CROWD - 7);
	assert_int_equal(open_in(0, 7), 0);
	assert_ended(7, 0);
	retry_of(&crowd[0], 1012, "drained");
	upgrade(&k, REQUEST("/") "\r\n");
	pass(2000);
	assert_int_equal(open_now(), CROWD - 7);
	assert_int_equal(k.conn->state_now, CONN_OPEN);
	disconnect(&k);
	disperse();
}

/* Those go at once then that it comes upon first, and still no more of them. */
static void test_a_part_without_memory(void **state)
{
	(void)state;
	gather(0, CROWD, REQUEST("/") "\r\n");
	failing_from(1);
	drain((struct session_drain){ .most = 7, .over = 1000 });
	assert_true(failing_end());
	pass(1000);
	assert_int_equal(open_now(), CROWD - 7);
	assert_ended(7, 0);
	disperse();
}

static void test_none_of_them(void **state)
{
	(void)state;
	upgrade(&k, REQUEST("/") "\r\n");
	drain((struct session_drain){ .most = 0, .over = 1000 });
	assert_ended(0, 0);
	assert_int_equal(k.conn->state_now, CONN_OPEN);
	disconnect(&k);
}

static void assert_refused(const char *request)
{
	connect_client(&k);
	say(&k, request);
	assert_begins(&k, "HTTP/1.1 503 ");
	assert_non_null(strstr((char *)k.got, "\r\nRetry-After: "));
	assert_non_null(strstr((char *)k.got, "the server lets connections go"));
	disconnect(&k);
}

static void test_an_endpoint(void **state)
{
	struct session_drain d = all(1000);

	(void)state;
	d.endpoint = "/gone";
	gather(0, CROWD / 2, REQUEST("/") "\r\n");
	gather(CROWD / 2, CROWD, REQUEST("/gone") "\r\n");
	drain(d);
	pass(1000);
	assert_int_equal(open_in(0, CROWD / 2), CROWD / 2);
	assert_int_equal(open_in(CROWD / 2, CROWD), 0);
	assert_ended(CROWD / 2, 0);
	assert_refused(REQUEST("/gone") "\r\n");
	upgrade(&k, REQUEST("/") "\r\n");
	disconnect(&k);
	session_undrain();
	upgrade(&k, REQUEST("/gone") "\r\n");
	disconnect(&k);
	disperse();
}

/* Whose handshake has begun is refused when his request comes; and so is who comes later. */
static void test_new_ones(void **state)
{
	(void)state;
	connect_client(&crowd[0]);
	drain(all(1000));
	say(&crowd[0], REQUEST("/") "\r\n");
	assert_begins(&crowd[0], "HTTP/1.1 503 ");
	disconnect(&crowd[0]);
	assert_refused(REQUEST("/") "\r\n");
	pass(1000);
	assert_refused(REQUEST("/gone") "\r\n");
	assert_ended(0, 0);
}

/* Whoever comes is refused all the same: the others would send him on to here. */
static void test_new_ones_without_memory(void **state)
{
	struct session_drain d = all(1000);

	(void)state;
	d.endpoint = "/gone";
	failing_from(1);
	session_drain(&d, note_drained);
	failing_end();
	assert_refused(REQUEST("/gone") "\r\n");
	upgrade(&k, REQUEST("/") "\r\n");
	disconnect(&k);
	session_undrain();
	upgrade(&k, REQUEST("/gone") "\r\n");
	disconnect(&k);
}

/* In the midst of it, all that are left stay, and nobody is told. */
static void test_undrain(void **state)
{
	int left;

	(void)state;
	gather(0, CROWD, REQUEST("/") "\r\n");
	drain(all(1000));
	pass(500);
	left = open_now();
	assert_in_range(left, 10, 30);
	session_undrain();
	pass(2000);
	assert_int_equal(open_now(), left);
	assert_int_equal(ended.times, 0);
	assert_int_equal(session.row->leaving, 0);
	disperse();
}

/* Another takes its place, with its own order, and is told alone. */
static void test_another_drain(void **state)
{
	struct session_drain d = all(10000);
	int left;

	(void)state;
	gather(0, CROWD, REQUEST("/") "\r\n");
	drain(d);
	pass(1000);
	left = open_now();
	d.over = 500;
	d.order = LEAVING_NEWEST;
	drain(d);
	pass(200);
	assert_in_range(open_now(), 1, left - 1);
	assert_int_equal(open_in(CROWD - 8, CROWD), 0);
	pass(300);
	assert_ended((unsigned)left, 0);
	disperse();
}

/* --- a reload, a retirement, a stop --- */

#define WITHOUT LIMITS "endpoints = ( { path = \"/\"; behaviour = \"echo\"; } );\n"

static void test_removal_of_an_endpoint(void **state)
{
	(void)state;
	gather(0, CROWD, REQUEST("/gone") "\r\n");
	upgrade(&k, REQUEST("/") "\r\n");
	reload_worker(WITHOUT "drain_time = \"4s\";\n", NULL);
	assert_reloaded(1, CROWD);
	assert_int_equal(open_now(), CROWD);
	pass(2000);
	assert_in_range(open_now(), CROWD / 4, CROWD * 3 / 4);
	pass(2000);
	assert_spread(1012, "endpoint-changed", 40);
	assert_int_equal(k.conn->state_now, CONN_OPEN);
	disconnect(&k);
	disperse();
}

/* Who was to go stays, if his endpoint comes back in time. */
static void test_removal_that_is_undone(void **state)
{
	int left;

	(void)state;
	gather(0, CROWD, REQUEST("/gone") "\r\n");
	reload_worker(WITHOUT "drain_time = \"4s\";\n", NULL);
	turn();
	pass(2000);
	left = open_now();
	assert_in_range(left, CROWD / 4, CROWD * 3 / 4);
	reload_worker(LIMITS ENDPOINTS "drain_time = \"4s\";\n", NULL);
	assert_reloaded((unsigned)left, 0);
	pass(5000);
	assert_int_equal(open_now(), left);
	assert_int_equal(session.row->leaving, 0);
	disperse();
}

/* A reload of other things goes over those that leave, and they leave. */
static void test_removal_and_another_reload(void **state)
{
	(void)state;
	gather(0, CROWD, REQUEST("/gone") "\r\n");
	reload_worker(WITHOUT "drain_time = \"4s\";\n", NULL);
	turn();
	pass(2000);
	reload_worker(WITHOUT "drain_time = \"1s\";\n", NULL);
	turn();
	assert_int_equal(reloaded.times, 1);
	assert_int_equal(reloaded.moved, 0);
	pass(1000);
	assert_int_equal(open_now(), 0);
	disperse();
}

static void test_removal_at_once(void **state)
{
	(void)state;
	gather(0, CROWD, REQUEST("/gone") "\r\n");
	reload_worker(WITHOUT "drain_time = \"0\";\n", NULL);
	assert_reloaded(0, CROWD);
	ASSERT_HEARD(&crowd[0], "\x88\x12\x03\xf4"
				"endpoint-changed");
	assert_int_equal(open_now(), 0);
	disperse();
}

/* Those that come while it goes on get their own time. */
static void test_retirement(void **state)
{
	(void)state;
	gather(0, CROWD, REQUEST("/") "\r\n");
	session_retire();
	pass(1000);
	assert_in_range(open_now(), CROWD / 4, CROWD * 3 / 4);
	upgrade(&k, REQUEST("/") "\r\n");
	pass(1000);
	assert_spread(1012, "drained", 20);
	assert_int_equal(k.conn->state_now, CONN_OPEN);
	pass(2200);
	retry_of(&k, 1012, "drained");
	disconnect(&k);
	disperse();
}

static void test_retirement_that_is_undone(void **state)
{
	int left;

	(void)state;
	gather(0, CROWD, REQUEST("/") "\r\n");
	session_retire();
	pass(1000);
	left = open_now();
	session_stay();
	pass(3000);
	assert_int_equal(open_now(), left);
	disperse();
}

static void test_stop_at_a_pace(void **state)
{
	(void)state;
	gather(0, CROWD, REQUEST("/") "\r\n");
	session_stop(500, 2000);
	turn();
	assert_int_equal(open_now(), CROWD);
	pass(1000);
	assert_in_range(open_now(), CROWD / 4, CROWD * 3 / 4);
	pass(1000);
	assert_spread(1001, "shutdown", 20);
	disperse();
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, worker_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_pace),
		TEST(test_few_over_a_long_time),
		TEST(test_some_leave_by_themselves),
		TEST(test_order_is_charged),
		TEST(test_oldest_first),
		TEST(test_newest_first),
		TEST(test_at_random),
		TEST(test_when_to_come_back),
		TEST(test_at_once),
		TEST(test_what_is_left_at_the_deadline),
		TEST(test_in_portions),
		TEST(test_a_part),
		TEST(test_a_part_without_memory),
		TEST(test_none_of_them),
		TEST(test_an_endpoint),
		TEST(test_new_ones),
		TEST(test_new_ones_without_memory),
		TEST(test_undrain),
		TEST(test_another_drain),
		TEST(test_removal_of_an_endpoint),
		TEST(test_removal_that_is_undone),
		TEST(test_removal_and_another_reload),
		TEST(test_removal_at_once),
		TEST(test_retirement),
		TEST(test_retirement_that_is_undone),
		TEST(test_stop_at_a_pace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
