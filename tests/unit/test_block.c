/*
 * Memory for long messages: what is let go serves the next, and what nobody needs goes back
 * to the kernel, a portion with each tick.
 */
// links: base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/block.h"

enum { MIB = 1024 * 1024, COUNT = 64 };

static void *pieces[COUNT];

static void *get(size_t size)
{
	uint8_t *p = block_resize(NULL, 0, 0, size);

	assert_non_null(p);
	memset(p, 0x5a, size);
	return p;
}

static void ticks(int n)
{
	while (n-- > 0)
		block_tick();
}

/* Until nothing but what is kept waits; returns after how many ticks. */
static int give_all_back(void)
{
	int n = 0;

	while (block_waiting() > BLOCK_KEPT && n++ < 1000)
		block_tick();
	return n;
}

static void test_growing_keeps_the_bytes(void **state)
{
	static const size_t sizes[] = { 100,     BLOCK_MIN - 1, BLOCK_MIN, BLOCK_MIN + 1,
					3 * MIB, 200 * 1000,    50,        17 * MIB };
	size_t had = 0;
	uint8_t *p = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		size_t kept = had < sizes[i] ? had : sizes[i];

		p = block_resize(p, kept, had, sizes[i]);
		assert_non_null(p);
		for (size_t k = 0; k < kept; k++)
			assert_int_equal(p[k], (uint8_t)k);
		for (size_t k = 0; k < sizes[i]; k++)
			p[k] = (uint8_t)k;
		had = sizes[i];
	}
	block_free(p, had);
	block_free(NULL, 0);
}

static void test_what_was_let_go_serves_the_next(void **state)
{
	void *p = get(MIB), *q;

	(void)state;
	block_free(p, MIB);
	q = get(MIB - 1);
	assert_ptr_equal(p, q);
	block_free(q, MIB - 1);
}

/* A spike goes back, but not within a second and never more than a portion at once. */
static void test_spike_goes_back_in_portions(void **state)
{
	size_t before, waiting;

	(void)state;
	give_all_back();
	for (int i = 0; i < COUNT; i++)
		pieces[i] = get(4 * MIB);
	ticks(3 * BLOCK_TICKS);
	before = block_waiting();
	for (int i = 0; i < COUNT; i++)
		block_free(pieces[i], 4 * MIB);
	waiting = block_waiting();
	assert_int_equal(waiting, before + (size_t)COUNT * 4 * MIB);
	ticks(BLOCK_TICKS - 1);
	assert_int_equal(block_waiting(), waiting);
	for (int i = 0; block_waiting() > BLOCK_KEPT; i++) {
		waiting = block_waiting();
		block_tick();
		assert_true(waiting - block_waiting() <= BLOCK_PORTION);
		assert_true(i < 3 * BLOCK_TICKS + COUNT * 4 * MIB / BLOCK_PORTION);
	}
}

/* A block that is longer than a portion goes in several. */
static void test_one_long_block_goes_in_portions(void **state)
{
	size_t waiting;

	(void)state;
	give_all_back();
	block_free(get(100 * MIB), 100 * MIB);
	for (int i = 0; block_waiting() > BLOCK_KEPT; i++) {
		waiting = block_waiting();
		block_tick();
		assert_true(waiting - block_waiting() <= BLOCK_PORTION);
		assert_true(i < 5 * BLOCK_TICKS);
	}
}

/* Small pieces in great numbers: bounded by calls. */
static void test_a_tick_makes_few_calls(void **state)
{
	static void *many[1000];
	size_t waiting;

	(void)state;
	for (int i = 0; i < 1000; i++)
		many[i] = get(BLOCK_MIN);
	for (int i = 0; i < 1000; i++)
		block_free(many[i], BLOCK_MIN);
	for (int i = 0; i < 3 * BLOCK_TICKS; i++) {
		waiting = block_waiting();
		block_tick();
		assert_true(waiting - block_waiting() <= (size_t)BLOCK_CALLS * BLOCK_MIN);
	}
	assert_true(give_all_back() < 1000);
}

/* What is needed again and again stays, however much that is. */
static void test_what_is_in_use_stays(void **state)
{
	(void)state;
	give_all_back();
	for (int round = 0; round < 10 * BLOCK_TICKS; round++) {
		for (int i = 0; i < COUNT; i++)
			pieces[i] = get(MIB);
		for (int i = 0; i < COUNT; i++)
			block_free(pieces[i], MIB);
		block_tick();
		assert_true(block_waiting() >= (size_t)COUNT * MIB);
	}
}

static size_t address_space(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	size_t pages;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%zu", &pages), 1);
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* A piece that grows, too, gets what waits for others before memory is said to have run out. */
static void test_growing_when_memory_runs_out(void **state)
{
	struct rlimit old, little;
	uint8_t *p = get(MIB), *grown;

	(void)state;
	block_free(get(64 * MIB), 64 * MIB);
	assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
	little = (struct rlimit){ address_space() + 4 * MIB, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_AS, &little), 0);
	grown = block_resize(p, MIB, MIB, 32 * MIB);
	assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
	assert_non_null(grown);
	assert_int_equal(grown[MIB - 1], 0x5a);
	block_free(grown, 32 * MIB);
}

/* So does a new one, down to the last piece that waits. */
static void test_asking_when_memory_runs_out(void **state)
{
	struct rlimit old, little;
	uint8_t *p;

	(void)state;
	give_all_back();
	block_free(get(64 * MIB), 64 * MIB);
	assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
	little = (struct rlimit){ address_space() + 80 * MIB, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_AS, &little), 0);
	p = block_resize(NULL, 0, 0, 128 * MIB);
	assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
	assert_non_null(p);
	block_free(p, 128 * MIB);
}

static void test_more_than_there_is(void **state)
{
	(void)state;
	assert_null(block_resize(NULL, 0, 0, SIZE_MAX / 2));
	assert_null(block_resize(NULL, 0, 0, SIZE_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* the first one, so that nothing else waits */
		cmocka_unit_test(test_a_tick_makes_few_calls),
		cmocka_unit_test(test_growing_keeps_the_bytes),
		cmocka_unit_test(test_what_was_let_go_serves_the_next),
		cmocka_unit_test(test_spike_goes_back_in_portions),
		cmocka_unit_test(test_one_long_block_goes_in_portions),
		cmocka_unit_test(test_what_is_in_use_stays),
		cmocka_unit_test(test_growing_when_memory_runs_out),
		cmocka_unit_test(test_asking_when_memory_runs_out),
		cmocka_unit_test(test_more_than_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
