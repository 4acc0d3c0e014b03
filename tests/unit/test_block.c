/*
 * Memory for long messages: what is let go serves the next, and what nobody needs goes back
 * to the kernel, a portion with each tick.
 */
// links: base
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/block.h"
#include "base/poison.h"
#include "resident.h"

enum { MIB = 1024 * 1024, COUNT = 64 };

static void *pieces[COUNT];
static bool too_many_mappings;

/* The one that block.c calls, too. */
int munmap(void *p, size_t n)
{
	if (too_many_mappings) {
		errno = ENOMEM;
		return -1;
	}
	return (int)syscall(SYS_munmap, p, n);
}

static void *get(size_t size)
{
	uint8_t *p = block_resize(NULL, 0, 0, size);

	assert_non_null(p);
	memset(p, 0x5a, size);
	return p;
}

static void tick(void)
{
	block_tick();
	while (block_give_back())
		;
}

static void ticks(int n)
{
	while (n-- > 0)
		tick();
}

/* Until nothing but what is kept waits; returns after how many ticks. */
static int give_all_back(void)
{
	int n = 0;

	while (block_waiting() > BLOCK_KEPT && n++ < 1000)
		tick();
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

/* All but what is kept, each time a portion and no more. */
static void assert_goes_in_portions(void)
{
	for (int i = 0; block_waiting() > BLOCK_KEPT; i++) {
		size_t waiting = block_waiting();

		assert_true(i < 3 * BLOCK_TICKS);
		block_tick();
		for (; block_give_back(); waiting = block_waiting())
			assert_in_range(waiting - block_waiting(), 1, BLOCK_PORTION);
	}
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
	assert_goes_in_portions();
}

/* A block that is longer than a portion goes in several. */
static void test_one_long_block_goes_in_portions(void **state)
{
	(void)state;
	give_all_back();
	block_free(get(100 * MIB), 100 * MIB);
	assert_goes_in_portions();
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
		tick();
		assert_true(block_waiting() >= (size_t)COUNT * MIB);
	}
}

static void read_statm(size_t *addresses, size_t *resident)
{
	FILE *f = fopen("/proc/self/statm", "r");
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%zu %zu", addresses, resident), 2);
	fclose(f);
	*addresses *= page;
	*resident *= page;
}

/* A piece in place of p when there are `more` bytes of addresses left; NULL: it is not to be had. */
static void *resize_with_little(void *p, size_t had, size_t size, size_t more)
{
	struct rlimit old, little;
	size_t addresses, resident;
	void *to;

	read_statm(&addresses, &resident);
	assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
	little = (struct rlimit){ addresses + more, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_AS, &little), 0);
	to = block_resize(p, had, had, size);
	assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
	return to;
}

/* A piece that grows, too, gets what waits for others before memory is said to have run out. */
static void test_growing_when_memory_runs_out(void **state)
{
	uint8_t *p = get(MIB), *grown;

	(void)state;
	block_free(get(64 * MIB), 64 * MIB);
	grown = resize_with_little(p, MIB, 32 * MIB, 4 * MIB);
	assert_non_null(grown);
	assert_int_equal(grown[MIB - 1], 0x5a);
	block_free(grown, 32 * MIB);
}

/* So does a new one, down to the last piece that waits. */
static void test_asking_when_memory_runs_out(void **state)
{
	uint8_t *p;

	(void)state;
	give_all_back();
	block_free(get(64 * MIB), 64 * MIB);
	p = resize_with_little(NULL, 0, 128 * MIB, 80 * MIB);
	assert_non_null(p);
	block_free(p, 128 * MIB);
}

/* But no more than it needs: to unmap a spike at once is a pause for everybody. */
static void test_no_more_goes_than_is_asked_for(void **state)
{
	size_t waiting;
	uint8_t *p;

	(void)state;
	give_all_back();
	for (int i = 0; i < COUNT; i++)
		pieces[i] = get(4 * MIB);
	for (int i = 0; i < COUNT; i++)
		block_free(pieces[i], 4 * MIB);
	waiting = block_waiting();
	p = resize_with_little(NULL, 0, 32 * MIB, MIB);
	assert_non_null(p);
	assert_true(waiting - block_waiting() <= 32 * MIB + 4 * MIB);
	block_free(p, 32 * MIB);
}

/* Where unmapping would need another mapping, and there may be no more, the memory goes still. */
static void test_too_many_mappings(void **state)
{
	size_t addresses, before, after, waiting;

	(void)state;
	give_all_back();
	block_free(get(128 * MIB), 128 * MIB);
	waiting = block_waiting();
	read_statm(&addresses, &before);
	too_many_mappings = true;
	assert_null(resize_with_little(NULL, 0, 64 * MIB, 4 * MIB));
	too_many_mappings = false;
	read_statm(&addresses, &after);
	assert_true(before >= after + 60 * MIB);
	assert_true(waiting - block_waiting() <= 64 * MIB + BLOCK_PORTION);
}

#if POISON_WORKS
static void check_poison(const uint8_t *p, size_t size, size_t whole)
{
	assert_null(__asan_region_is_poisoned((void *)p, size));
	for (size_t i = size; i < whole; i += 4096)
		assert_true(__asan_address_is_poisoned(p + i));
	assert_true(whole == size || __asan_address_is_poisoned(p + whole - 1));
}

/* What is not lent is nobody's: what waits, and what rounding up added. */
static void test_poison(void **state)
{
	uint8_t *p, *moved;

	(void)state;
	for (size_t size = 65 * 1024; size < 8 * MIB; size = 3 * size - 1) {
		size_t whole = BLOCK_MIN;

		while (whole < size)
			whole *= 2;
		p = block_resize(NULL, 0, 0, size);
		check_poison(p, size, whole);
		block_free(p, size);
		check_poison(p, 0, whole);
		assert_ptr_equal(block_resize(NULL, 0, 0, size), p);
		check_poison(p, size, whole);
		moved = block_resize(p, size, size, 33 * MIB);
		check_poison(moved, 33 * MIB, 64 * MIB);
		moved = block_resize(moved, size, 33 * MIB, size);
		check_poison(moved, size, whole);
		block_free(moved, size);
	}
}

/* Addresses that went back to the kernel may be used by who gets them next. */
static void test_no_poison_stays_behind(void **state)
{
	const int how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
	uint8_t *p = get(100 * MIB), *q;

	(void)state;
	block_free(p, 100 * MIB);
	give_all_back();
	q = mmap(p + 64 * MIB, MIB, PROT_READ | PROT_WRITE, how, -1, 0);
	assert_ptr_equal(q, p + 64 * MIB);
	memset(q, 1, MIB);
	munmap(q, MIB);
}
#endif

/* Memory in the middle of a piece goes, a portion at once, and what is beside it stays. */
static void test_untouch(void **state)
{
	uint8_t *p = get(MIB), *small = get(1000);
	const size_t few = BLOCK_MIN / 2;

	(void)state;
	assert_int_equal(resident(p, MIB), MIB);
	assert_int_equal(block_untouch(p, MIB, 0, 0), 0);
	assert_int_equal(block_untouch(p, MIB, 0, BLOCK_MIN - 1), 0);
	assert_int_equal(block_untouch(p, MIB, few, few + BLOCK_MIN), few);
	assert_int_equal(block_untouch(small, 1000, 0, 1000), 0);
	assert_int_equal(resident(p, MIB), MIB);
	assert_int_equal(block_untouch(p, MIB, few, 2 * BLOCK_MIN + few), 2 * BLOCK_MIN);
	assert_int_equal(resident(p, MIB), MIB - BLOCK_MIN);
	assert_int_equal(p[BLOCK_MIN - 1], 0x5a);
	assert_int_equal(p[2 * BLOCK_MIN], 0x5a);
	assert_int_equal(block_untouch(p, MIB, 2 * BLOCK_MIN, MIB), 2 * BLOCK_MIN + BLOCK_PORTION);
	assert_int_equal(resident(p, MIB), MIB - BLOCK_MIN - BLOCK_PORTION);
	block_free(p, MIB);
	block_free(small, 1000);
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
		cmocka_unit_test(test_growing_keeps_the_bytes),
		cmocka_unit_test(test_what_was_let_go_serves_the_next),
		cmocka_unit_test(test_spike_goes_back_in_portions),
		cmocka_unit_test(test_one_long_block_goes_in_portions),
		cmocka_unit_test(test_what_is_in_use_stays),
		cmocka_unit_test(test_growing_when_memory_runs_out),
		cmocka_unit_test(test_asking_when_memory_runs_out),
		cmocka_unit_test(test_no_more_goes_than_is_asked_for),
		cmocka_unit_test(test_too_many_mappings),
		cmocka_unit_test(test_more_than_there_is),
		cmocka_unit_test(test_untouch),
#if POISON_WORKS
		cmocka_unit_test(test_poison),
		cmocka_unit_test(test_no_poison_stays_behind),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
