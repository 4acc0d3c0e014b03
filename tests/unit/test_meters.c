/*
 * Buckets of many, by processes together: never more tokens than there are, nobody without a bucket,
 * and those that know most are kept.
 */
// links: base
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/meters.h"
#include "failing.h"

#define SECOND INT64_C(1000000000)
#define HOUR (3600 * SECOND)

enum { COUNT = 64, MANY = 1 << 16, PROCESSES = 4 };

/* One an hour, so many at once. */
#define SLOW(n) ((struct rate_size){ .every = HOUR, .depth = HOUR * (n) })

static const int64_t now = 77777 * SECOND;
static struct meters *m;

static int begin(void **state)
{
	(void)state;
	m = meters_new(COUNT);
	return m ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	meters_free(m);
	return 0;
}

static struct meters_key key(uint64_t n)
{
	return (struct meters_key){ { n, n >> 8 } };
}

static int64_t take(uint64_t n, struct rate_size size, int64_t at)
{
	const struct meters_key k = key(n);

	return meters_take(m, &k, &size, at);
}

static int passes(uint64_t n, struct rate_size size, int64_t at)
{
	int count = 0;

	while (count < 1000 && take(n, size, at) == 0)
		count++;
	return count;
}

static int64_t held(uint64_t n, int64_t most, int64_t at)
{
	const struct meters_key k = key(n);

	return meters_held(m, &k, most, at);
}

static void hold(uint64_t n, int64_t ns, int64_t at)
{
	const struct meters_key k = key(n);

	meters_hold(m, &k, ns, at);
}

static void test_each_has_its_own(void **state)
{
	struct meters_key a = { { 1, 0 } }, b = { { 1, 1 } }, c = { { 0, 1 } };
	const struct rate_size one = SLOW(1);

	(void)state;
	assert_int_equal(passes(1, SLOW(5), now), 5);
	assert_int_equal(take(1, SLOW(5), now), HOUR - METERS_APART);
	assert_int_equal(passes(2, SLOW(5), now), 5);
	assert_int_equal(passes(1, SLOW(5), now + HOUR), 1);
	assert_int_equal(passes(1, SLOW(5), now + 9 * HOUR), 5);
	/* by both words, and without a limit there is none */
	assert_int_equal(meters_take(m, &a, &one, now), 0);
	assert_int_equal(meters_take(m, &b, &one, now), 0);
	assert_int_equal(meters_take(m, &c, &one, now), 0);
	assert_int_equal(meters_take(m, &a, &one, now), HOUR - METERS_APART);
	assert_int_equal(passes(1, (struct rate_size){ 0, 0 }, now), 1000);
}

/* Of a bucket that holds nothing the first is too many. */
static void test_none_at_once(void **state)
{
	const struct rate_size none = { .every = HOUR, .depth = 0 };

	(void)state;
	assert_int_equal(take(1, none, now), HOUR - METERS_APART);
	assert_int_equal(take(1, none, now), HOUR - METERS_APART);
}

/* What others took for now is ahead or behind: a little, and all that there is may come at once still. */
static void test_clocks_apart(void **state)
{
	(void)state;
	assert_int_equal(passes(7, SLOW(3), now + METERS_APART), 3);
	assert_int_equal(take(8, SLOW(3), now + METERS_APART), 0);
	assert_int_equal(passes(8, SLOW(3), now), 2);
	assert_int_equal(passes(9, (struct rate_size){ 100, 1000 }, now + METERS_APART), 10);
	assert_int_equal(passes(9, (struct rate_size){ 100, 1000 }, now), 0);
	assert_int_equal(passes(1, SLOW(3), now), 3);
	assert_int_equal(passes(1, SLOW(3), now - RATE_APART), 0);
	assert_int_equal(passes(1, SLOW(3), now + RATE_APART), 0);
	hold(2, SECOND, now);
	assert_int_equal(held(2, SECOND, now - RATE_APART), SECOND);
}

static void test_held(void **state)
{
	(void)state;
	assert_int_equal(held(1, HOUR, now), 0);
	hold(1, 60 * SECOND, now);
	assert_int_equal(held(1, HOUR, now), 60 * SECOND);
	assert_int_equal(held(1, HOUR, now + 59 * SECOND), SECOND);
	assert_int_equal(held(1, HOUR, now + 60 * SECOND), 0);
	assert_int_equal(held(2, HOUR, now), 0);
	/* anew, and nobody so long by now */
	hold(1, 60 * SECOND, now + 30 * SECOND);
	assert_int_equal(held(1, HOUR, now + 89 * SECOND), SECOND);
	hold(1, HOUR, now);
	assert_int_equal(held(1, 60 * SECOND, now), 0);
	assert_int_equal(held(1, 60 * SECOND, now + HOUR - 60 * SECOND), 60 * SECOND);
}

/* Nobody is without a bucket, however many there are, and whoever is held stays so. */
static void test_many(void **state)
{
	(void)state;
	for (uint64_t n = 0; n < 4; n++)
		hold(n, HOUR, now);
	for (uint64_t n = 100; n < MANY; n++)
		assert_int_equal(take(n, (struct rate_size){ SECOND, SECOND }, now), 0);
	for (uint64_t n = 0; n < 4; n++)
		assert_int_equal(held(n, HOUR, now), HOUR);
	/* who comes where all know much gets a bucket that is full */
	for (uint64_t n = 100; n < MANY; n++)
		hold(n, HOUR + (int64_t)n, now);
	for (uint64_t n = MANY; n < 2 * MANY; n++)
		assert_int_equal(take(n, SLOW(1), now), 0);
}

/* A place that says it is further ahead than can be does not keep others out. */
static void test_nonsense(void **state)
{
	(void)state;
	for (uint64_t n = 0; n < MANY; n++)
		hold(n, 2 * METERS_AHEAD, now);
	for (uint64_t n = MANY; n < MANY + 8; n++) {
		assert_int_equal(passes(n, SLOW(2), now), 2);
		assert_int_equal(passes(n, SLOW(2), now), 0);
	}
	assert_int_equal(held(MANY - 1, METERS_AHEAD, now), 0);
}

/* Nor does it leave them one place for all: most are known again. */
static void test_nonsense_is_forgotten(void **state)
{
	int known = 0;

	(void)state;
	for (uint64_t n = 0; n < MANY; n++)
		hold(n, 2 * METERS_AHEAD, now);
	for (uint64_t n = MANY; n < MANY + COUNT; n++)
		assert_int_equal(take(n, SLOW(1), now), 0);
	for (uint64_t n = MANY; n < MANY + COUNT; n++)
		known += take(n, SLOW(1), now) > 0;
	assert_in_range(known, COUNT / 3, COUNT);
}

static void test_no_memory(void **state)
{
	struct meters *none;

	(void)state;
	failing_nth(1);
	none = meters_new(COUNT);
	assert_true(failing_end());
	assert_null(none);
}

/* --- many at once --- */

enum { KEYS = 24, TOKENS = 50 };

struct board {
	_Atomic unsigned taken[KEYS];
};

static void take_all(struct board *b)
{
	for (int i = 0; i < 2 * TOKENS; i++)
		for (unsigned k = 0; k < KEYS; k++)
			if (take(k, SLOW(TOKENS), now) == 0)
				atomic_fetch_add(&b->taken[k], 1);
}

/* Where there is a place for each key, each has as many tokens as there are, and not one more. */
static void test_over_processes(void **state)
{
	struct board *b =
		mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;

	(void)state;
	assert_true(b != MAP_FAILED);
	/* so many that no set is too small for those that fall to it */
	meters_free(m);
	m = meters_new(MANY);
	assert_non_null(m);
	for (int i = 0; i < PROCESSES; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			take_all(b);
			_exit(0);
		}
	}
	for (int i = 0; i < PROCESSES; i++) {
		assert_true(wait(&status) > 0);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	for (unsigned k = 0; k < KEYS; k++)
		assert_int_equal(b->taken[k], TOKENS);
	munmap(b, sizeof(*b));
}

/* Far more keys than places, killed at any moment: it goes on, and who comes then has a bucket. */
static void test_killed(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0)
			for (uint64_t n = 0;; n++)
				(void)take(n % 1000, SLOW(3), now);
		for (uint64_t n = 0; n < 2000; n++)
			(void)take(n % 1000, SLOW(3), now);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
	for (uint64_t n = MANY; n < MANY + 8; n++)
		assert_int_equal(passes(n, SLOW(2), now + 3 * HOUR), 2);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_has_its_own),
		TEST(test_none_at_once),
		TEST(test_clocks_apart),
		TEST(test_held),
		TEST(test_many),
		TEST(test_nonsense),
		TEST(test_nonsense_is_forgotten),
		TEST(test_no_memory),
		TEST(test_over_processes),
		TEST(test_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
