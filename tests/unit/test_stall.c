/*
 * What stands still, and what follows: workers whose heartbeat stops, a lock that nobody gives back.
 */
// links: base proto bus config net session behaviours admin process
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "process/stall.h"
#include "process/ticks.h"

enum { SECOND = 1000 / MASTER_TICK, LIMIT = 10 * SECOND, BEGUN = 1000 };

/* A worker that began, and has not moved since. */
static struct stall_worker begun(void)
{
	struct stall_worker w = { .beats = 1, .moved = 2, .awaited = 3 };

	stall_begin(&w, 7, BEGUN);
	return w;
}

static enum stall_verdict judge(struct stall_worker *w, bool awaited, uint64_t after)
{
	return stall_judge(w, awaited, LIMIT, BEGUN + after);
}

static void test_timeout_to_the_tick(void **state)
{
	struct stall_worker w = begun();

	(void)state;
	assert_int_equal(judge(&w, false, 0), STALL_NONE);
	assert_int_equal(judge(&w, false, LIMIT - 1), STALL_NONE);
	assert_int_equal(judge(&w, false, LIMIT), STALL_TIMEOUT);
	assert_int_equal(judge(&w, false, LIMIT + 1), STALL_TIMEOUT);
}

/* What the worker before it had counted is no beat of this one's. */
static void test_heartbeat_of_one_before(void **state)
{
	struct stall_worker w = begun();

	(void)state;
	assert_false(stall_note_beats(&w, 7, BEGUN + LIMIT));
	assert_int_equal(judge(&w, false, LIMIT), STALL_TIMEOUT);
}

static void test_a_beat_is_a_move(void **state)
{
	struct stall_worker w = begun();

	(void)state;
	assert_true(stall_note_beats(&w, 8, BEGUN + LIMIT));
	assert_false(stall_note_beats(&w, 8, BEGUN + LIMIT + 1));
	assert_int_equal(judge(&w, false, 2 * LIMIT - 1), STALL_NONE);
	assert_int_equal(judge(&w, false, 2 * LIMIT), STALL_TIMEOUT);
	/* counters may go round: another number is a move, a lesser one as well */
	assert_true(stall_note_beats(&w, 0, BEGUN + 2 * LIMIT));
	assert_int_equal(judge(&w, false, 2 * LIMIT), STALL_NONE);
}

static void test_what_it_tells_is_a_move(void **state)
{
	struct stall_worker w = begun();

	(void)state;
	stall_moved(&w, BEGUN + 5);
	assert_int_equal(judge(&w, false, LIMIT + 4), STALL_NONE);
	assert_int_equal(judge(&w, false, LIMIT + 5), STALL_TIMEOUT);
}

static void test_still_from_a_second_on(void **state)
{
	struct stall_worker w = begun();

	(void)state;
	assert_false(stall_is_still(&w, BEGUN));
	assert_false(stall_is_still(&w, BEGUN + SECOND - 1));
	assert_true(stall_is_still(&w, BEGUN + SECOND));
	stall_note_beats(&w, 8, BEGUN + SECOND);
	assert_false(stall_is_still(&w, BEGUN + SECOND));
}

/* Two seconds: one to be still, and one more that the log waits. */
static void test_awaited_all_along(void **state)
{
	struct stall_worker w = begun();

	(void)state;
	for (uint64_t after = 0; after < 2 * SECOND; after++)
		assert_int_equal(judge(&w, true, after), STALL_NONE);
	assert_int_equal(judge(&w, true, 2 * SECOND), STALL_AWAITED);
}

/* The log begins to wait for one that is still already: a second from then. */
static void test_awaited_from_later_on(void **state)
{
	struct stall_worker w = begun();

	(void)state;
	assert_int_equal(judge(&w, false, 4 * SECOND), STALL_NONE);
	assert_int_equal(judge(&w, true, 4 * SECOND + 1), STALL_NONE);
	assert_int_equal(judge(&w, true, 5 * SECOND), STALL_NONE);
	assert_int_equal(judge(&w, true, 5 * SECOND + 1), STALL_AWAITED);
}

/* Both at once is one second, however often they came apart before. */
static void test_awaited_with_a_break(void **state)
{
	struct stall_worker w = begun();

	(void)state;
	assert_int_equal(judge(&w, true, SECOND), STALL_NONE);
	assert_int_equal(judge(&w, false, 2 * SECOND - 1), STALL_NONE);
	assert_int_equal(judge(&w, true, 2 * SECOND), STALL_NONE);
	assert_int_equal(judge(&w, true, 3 * SECOND - 1), STALL_NONE);
	assert_int_equal(judge(&w, true, 3 * SECOND), STALL_AWAITED);
}

/* A worker that moves has much to do: it is not ended though the log waits for it for minutes. */
static void test_awaited_but_moving(void **state)
{
	struct stall_worker w = begun();

	(void)state;
	for (uint64_t after = 0; after < 60 * LIMIT; after++) {
		if (after % (SECOND + 1) == SECOND)
			stall_note_beats(&w, after, BEGUN + after);
		assert_int_equal(judge(&w, true, after), STALL_NONE);
	}
}

static void test_timeout_comes_first(void **state)
{
	struct stall_worker w = begun();

	(void)state;
	judge(&w, true, SECOND);
	assert_int_equal(stall_judge(&w, true, SECOND, BEGUN + 2 * SECOND), STALL_TIMEOUT);
}

static void test_lock_that_is_kept(void **state)
{
	struct stall_lock l = { 0 };

	(void)state;
	assert_false(stall_note_lock(&l, 42, 9, BEGUN));
	assert_false(stall_note_lock(&l, 42, 9, BEGUN + SECOND - 1));
	assert_true(stall_note_lock(&l, 42, 9, BEGUN + SECOND));
	/* who is ended for that may not be gone yet: it is told again, but not with each tick */
	assert_false(stall_note_lock(&l, 42, 9, BEGUN + SECOND + 1));
	assert_true(stall_note_lock(&l, 42, 9, BEGUN + 2 * SECOND));
}

/* Seen held with every look, but each time another acquisition or another owner. */
static void test_lock_that_moves(void **state)
{
	struct stall_lock l = { 0 };

	(void)state;
	for (uint64_t n = 0; n < 100; n++)
		assert_false(stall_note_lock(&l, 42, n, BEGUN + n * SECOND));
	for (uint64_t n = 0; n < 100; n++)
		assert_false(stall_note_lock(&l, 43 + n % 2, 0, BEGUN + (100 + n) * SECOND));
}

static void test_lock_that_is_free(void **state)
{
	struct stall_lock l = { 0 };

	(void)state;
	for (uint64_t n = 0; n < 100; n++)
		assert_false(stall_note_lock(&l, 0, 5, BEGUN + n * SECOND));
	/* and from now on it is held, not from when it was looked at first */
	assert_false(stall_note_lock(&l, 42, 5, BEGUN + 100 * SECOND));
	assert_false(stall_note_lock(&l, 42, 5, BEGUN + 101 * SECOND - 1));
	assert_true(stall_note_lock(&l, 42, 5, BEGUN + 101 * SECOND));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timeout_to_the_tick),
		cmocka_unit_test(test_heartbeat_of_one_before),
		cmocka_unit_test(test_a_beat_is_a_move),
		cmocka_unit_test(test_what_it_tells_is_a_move),
		cmocka_unit_test(test_still_from_a_second_on),
		cmocka_unit_test(test_awaited_all_along),
		cmocka_unit_test(test_awaited_from_later_on),
		cmocka_unit_test(test_awaited_with_a_break),
		cmocka_unit_test(test_awaited_but_moving),
		cmocka_unit_test(test_timeout_comes_first),
		cmocka_unit_test(test_lock_that_is_kept),
		cmocka_unit_test(test_lock_that_moves),
		cmocka_unit_test(test_lock_that_is_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
