/*
 * over_user = "oldest": who goes for whom, in this worker and in others.
 */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>

#include <cmocka.h>

#include "base/tally.h"
#include "session/seats.h"
#include "session/known.h"
#include "session/worker.h"

static struct client clients[8], k;

#define A REQUEST("/a")
#define B REQUEST("/b")

#define OLDEST "over_user = \"oldest\";"
#define TWO "max_connections_per_user = 2;"

static int begin(void **state)
{
	(void)state;
	worker_begin(two_known(OLDEST TWO, ""), NULL);
	return 0;
}

static void reload(const char *text)
{
	reload_worker(text, NULL);
	turn();
	assert_int_equal(reloaded.times, 1);
}

static void let_in(struct client *c, const char *request)
{
	connect_client(c);
	say(c, request);
	assert_begins(c, "HTTP/1.1 101 ");
	c->len = 0;
	turn();
}

static void check_refused(const char *request)
{
	connect_client(&k);
	say(&k, request);
	assert_begins(&k, "HTTP/1.1 429 ");
	assert_non_null(strstr((char *)k.got, "\ntoo-many-from-user: "));
	disconnect(&k);
}

static void check_replaced(struct client *c)
{
	ASSERT_HEARD(c, "\x88\x0a\x03\xf0"
			"replaced");
	assert_int_equal(c->conn->reason, REASON_REPLACED);
	disconnect(c);
}

static void check_stays(struct client *c)
{
	say_frame(c, 0x81, "hi");
	ASSERT_HEARD(c, "\x81\x02hi");
}

static void test_the_oldest_goes(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		let_in(&clients[i], i == 1 ? B ANN : A ANN);
	check_replaced(&clients[0]);
	let_in(&clients[3], A BEA);
	/* nobody has a place as somebody else */
	assert_null(seats_oldest(&(struct tally_key){ { 0, 0 } }));
	let_in(&clients[0], A ANN);
	check_replaced(&clients[1]);
	check_stays(&clients[2]);
	check_stays(&clients[3]);
	check_stays(&clients[0]);
	disconnect(&clients[0]);
	let_in(&clients[0], A ANN);
	check_stays(&clients[2]);
	for (int i = 0; i < 4; i++)
		if (i != 1)
			disconnect(&clients[i]);
}

/* One whose peer does not answer the close does not count any more, and nobody goes in its place. */
static void test_who_was_replaced_counts_no_more(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		let_in(&clients[i], A ANN);
	assert_int_equal(counted_ends(REASON_REPLACED), 0);
	assert_int_equal(clients[2].conn->state_now, CONN_CLOSING);
	check_stays(&clients[3]);
	check_stays(&clients[4]);
	for (int i = 0; i < 5; i++)
		disconnect(&clients[i]);
	assert_int_equal(counted_ends(REASON_REPLACED), 3);
}

/* Who comes back before his last connection is found to be gone takes that one's place. */
static void test_who_is_leaving_is_the_first(void **state)
{
	(void)state;
	let_in(&clients[0], A ANN);
	let_in(&clients[1], A ANN);
	conn_close_word(clients[1].conn, WS_CLOSE_GOING_AWAY, REASON_DONE);
	let_in(&clients[2], A ANN);
	check_stays(&clients[0]);
	let_in(&clients[3], A ANN);
	check_replaced(&clients[0]);
	check_stays(&clients[2]);
	for (int i = 1; i < 4; i++)
		disconnect(&clients[i]);
}

/* Of an endpoint: those to it, as that has it. */
static void test_of_an_endpoint(void **state)
{
	(void)state;
	reload(two_known("", OLDEST TWO));
	let_in(&clients[0], B ANN);
	for (int i = 1; i < 4; i++)
		let_in(&clients[i], A ANN);
	check_replaced(&clients[1]);
	check_stays(&clients[0]);
	/* the limit of all, and the endpoint's say who makes place */
	reload(two_known(TWO, OLDEST));
	check_refused(B ANN);
	let_in(&clients[1], A ANN);
	check_replaced(&clients[0]);
	/* there were three already: a second one goes, so that there are no more than there may be */
	check_replaced(&clients[2]);
	let_in(&clients[0], A ANN);
	check_replaced(&clients[3]);
	disconnect(&clients[0]);
	disconnect(&clients[1]);
}

/* Who was there before there was a limit, or anybody who made place, is in his place by his age. */
static void test_reloads(void **state)
{
	(void)state;
	reload(two_known(TWO, ""));
	let_in(&clients[0], A ANN);
	let_in(&clients[1], A ANN);
	check_refused(A ANN);
	reload(two_known(OLDEST TWO, ""));
	let_in(&clients[2], A ANN);
	check_replaced(&clients[0]);
	reload(two_known("", ""));
	let_in(&clients[0], A ANN);
	let_in(&clients[3], A ANN);
	reload(two_known(OLDEST "max_connections_per_user = 4;", ""));
	let_in(&clients[4], A ANN);
	check_replaced(&clients[1]);
	reload(two_known(TWO, ""));
	check_refused(A ANN);
	for (int i = 0; i < 5; i++)
		if (i != 1)
			disconnect(&clients[i]);
}

/* --- other workers --- */

static struct tally_key ann(void)
{
	static const char name[] = "\0\0\0\0\0\0\0\0ann";

	return tally_key_of(worker.tally, name, sizeof(name) - 1);
}

/* The other one has so many of hers, the oldest since then. */
static void others(int count, uint64_t since)
{
	const struct tally_key a = ann();

	tally_use(worker.tally, OTHER_SLOT);
	while (count-- > 0)
		assert_true(tally_add(worker.tally, &a));
	tally_mark(worker.tally, &a, since);
	tally_use(worker.tally, WORKER_SLOT);
}

/* What was left with the other one; false: nothing. */
static bool take_of_other(struct order *o)
{
	bool some;

	orders_use(worker.orders, OTHER_SLOT);
	some = orders_take(worker.orders, o);
	orders_use(worker.orders, WORKER_SLOT);
	return some;
}

static void leave_with_this(const struct order *o)
{
	orders_use(worker.orders, OTHER_SLOT);
	assert_true(orders_leave(worker.orders, WORKER_SLOT, o));
	orders_use(worker.orders, WORKER_SLOT);
	turn();
}

static void test_another_has_the_oldest(void **state)
{
	const struct tally_key a = ann();
	struct order o;

	(void)state;
	others(2, 5);
	let_in(&clients[0], A ANN);
	assert_true(take_of_other(&o));
	assert_int_equal(o.of[0], a.of[0]);
	assert_int_equal(o.of[1], a.of[1]);
	assert_int_equal(o.of[2], 2);
	assert_false(take_of_other(&o));
	check_stays(&clients[0]);
	tally_clear_slot(worker.tally, OTHER_SLOT);
	disconnect(&clients[0]);
}

static void test_another_asks(void **state)
{
	const struct tally_key a = ann();
	const struct order o = { { a.of[0], a.of[1], 2, 0 } };
	struct order passed;

	(void)state;
	let_in(&clients[0], A ANN);
	let_in(&clients[1], A ANN);
	/* nobody is too many by now */
	leave_with_this(&o);
	check_stays(&clients[0]);
	others(1, UINT64_MAX - 1);
	leave_with_this(&o);
	check_replaced(&clients[0]);
	leave_with_this(&o);
	check_stays(&clients[1]);
	/* the other one has the oldest by now */
	others(1, 5);
	leave_with_this(&o);
	check_stays(&clients[1]);
	assert_true(take_of_other(&passed));
	assert_int_equal(passed.of[3], 1);
	/* and it is not passed on without end */
	passed.of[3] = 255;
	leave_with_this(&passed);
	assert_false(take_of_other(&passed));
	tally_clear_slot(worker.tally, OTHER_SLOT);
	disconnect(&clients[1]);
}

/* Where the other one takes no more orders, who comes is refused, and is counted nowhere. */
static void test_no_room_for_orders(void **state)
{
	const struct tally_key a = ann();
	struct order o = { { 1, 2, 3, 4 } };

	(void)state;
	others(2, 5);
	while (orders_leave(worker.orders, OTHER_SLOT, &o))
		o.of[0]++;
	check_refused(A ANN);
	assert_int_equal(tally_count(worker.tally, &a), 2);
	assert_int_equal(session.row->open, 0);
	tally_clear_slot(worker.tally, OTHER_SLOT);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, worker_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_oldest_goes),
		TEST(test_who_was_replaced_counts_no_more),
		TEST(test_who_is_leaving_is_the_first),
		TEST(test_of_an_endpoint),
		TEST(test_reloads),
		TEST(test_another_has_the_oldest),
		TEST(test_another_asks),
		TEST(test_no_room_for_orders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
