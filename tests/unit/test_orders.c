/*
 * What processes leave with each other: whole, once, and gone with whom it was left with.
 */
// links: base
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/orders.h"
#include "base/slots.h"
#include "failing.h"
#include "skipping.h"
#include "step.h"

static struct orders *o;

static int begin(void **state)
{
	(void)state;
	o = orders_new();
	if (!o)
		return -1;
	orders_use(o, 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	orders_free(o);
	return 0;
}

static struct order order(uint64_t n)
{
	return (struct order){ { n, ~n, n << 1, n << 2 } };
}

static bool leave(int slot, uint64_t n)
{
	const struct order what = order(n);

	return orders_leave(o, slot, &what);
}

/* 0: there is none. */
static uint64_t take(void)
{
	struct order what = { 0 }, whole;

	if (!orders_take(o, &what))
		return 0;
	whole = order(what.of[0]);
	assert_memory_equal(&what, &whole, sizeof(what));
	return what.of[0];
}

static void test_each_has_its_own(void **state)
{
	(void)state;
	assert_false(orders_are_there(o));
	assert_true(leave(0, 1));
	assert_true(leave(SLOTS - 1, 2));
	assert_true(orders_are_there(o));
	assert_int_equal(take(), 1);
	assert_int_equal(take(), 0);
	assert_false(orders_are_there(o));
	orders_use(o, SLOTS - 1);
	assert_int_equal(take(), 2);
	assert_int_equal(take(), 0);
}

/* Of two about the same the second is not needed, as long as the first was not taken. */
static void test_about_the_same(void **state)
{
	const struct order a = { { 1, 2, 3, 4 } }, b = { { 1, 2, 5, 6 } }, c = { { 1, 3, 3, 4 } };
	struct order what;

	(void)state;
	assert_true(orders_leave(o, 0, &a));
	assert_true(orders_leave(o, 0, &b));
	assert_true(orders_take(o, &what));
	assert_memory_equal(&what, &a, sizeof(a));
	assert_false(orders_take(o, &what));
	assert_true(orders_leave(o, 0, &b));
	assert_true(orders_leave(o, 0, &c));
	assert_true(orders_leave(o, 1, &b));
	assert_true(orders_take(o, &what));
	assert_true(orders_take(o, &what));
	assert_false(orders_take(o, &what));
}

static void test_full(void **state)
{
	uint64_t sum = 0, n;

	(void)state;
	for (uint64_t i = 1; i <= ORDERS_MOST; i++)
		assert_true(leave(0, i));
	assert_false(leave(0, ORDERS_MOST + 1));
	while ((n = take()) > 0)
		sum += n;
	assert_int_equal(sum, ORDERS_MOST * (ORDERS_MOST + 1) / 2);
	for (uint64_t i = 1; i <= ORDERS_MOST; i++)
		assert_true(leave(0, i));
}

static void test_dead(void **state)
{
	(void)state;
	orders_use(o, 3);
	assert_true(leave(0, 1));
	assert_true(leave(3, 2));
	orders_use(o, 0);
	assert_true(leave(3, 4));
	orders_clear_slot(o, 3);
	/* what it has left whole is done */
	assert_int_equal(take(), 1);
	orders_use(o, 3);
	assert_int_equal(take(), 0);
}

static void test_no_memory(void **state)
{
	struct orders *none;

	(void)state;
	failing_nth(1);
	none = orders_new();
	assert_true(failing_end());
	assert_null(none);
}

enum { AUTHORS = 4, EACH = 20000 };

static void leave_all(int author)
{
	orders_use(o, 1 + author);
	for (uint64_t i = 1; i <= EACH; i++)
		while (!leave(0, (uint64_t)author << 32 | i))
			usleep(10);
	_exit(0);
}

static void test_many_at_once(void **state)
{
	uint64_t sum = 0, count = 0, n;
	int status;

	(void)state;
	for (int i = 0; i < AUTHORS; i++)
		if (fork() == 0)
			leave_all(i);
	while (count < AUTHORS * EACH) {
		while (!orders_are_there(o))
			usleep(10);
		while ((n = take()) > 0) {
			sum += (uint32_t)n;
			count++;
		}
	}
	for (int i = 0; i < AUTHORS; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(sum, (uint64_t)AUTHORS * EACH * (EACH + 1) / 2);
	assert_int_equal(take(), 0);
}

/* Killed at any moment: no cell is lost. */
static void test_killed(void **state)
{
	(void)state;
	for (int round = 0; round < 50; round++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			orders_use(o, 1);
			for (uint64_t n = 1;; n++)
				(void)leave(0, n);
		}
		for (int i = 0; i < 500; i++)
			(void)take();
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		orders_clear_slot(o, 1);
	}
	while (take() > 0)
		;
	for (uint64_t i = 1; i <= ORDERS_MOST; i++)
		assert_true(leave(0, i));
}

enum { TAIL = 200, STRIDE = 3, ALL_OF_IT = 100000 };

/* A process that leaves one is killed at that instruction. Returns how many it came to. */
static unsigned kill_at(unsigned at)
{
	pid_t pid = fork();
	unsigned ran;

	if (pid == 0) {
		orders_use(o, 1);
		step_begin();
		(void)leave(0, 1);
		raise(SIGSTOP);
		_exit(0);
	}
	if (!step_ready(pid))
		skip_for(NO_PTRACE);
	ran = step(pid, at);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	orders_clear_slot(o, 1);
	while (take() > 0)
		;
	return ran;
}

/* In the last part of it, where a place is taken, filled, and told of: none is lost. */
static void test_killed_within(void **state)
{
	unsigned length;

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip_for("not under AddressSanitizer: its own are most of the instructions to be stepped "
		 "through");
#endif
	length = kill_at(ALL_OF_IT);
	assert_in_range(length, TAIL, ALL_OF_IT - 1);
	for (unsigned at = length - TAIL; at < length; at += STRIDE)
		kill_at(at);
	for (uint64_t i = 1; i <= ORDERS_MOST; i++)
		assert_true(leave(0, i));
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_has_its_own), TEST(test_full),          TEST(test_dead),
		TEST(test_about_the_same),   TEST(test_no_memory),     TEST(test_many_at_once),
		TEST(test_killed),           TEST(test_killed_within),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
