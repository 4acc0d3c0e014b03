/*
 * A line in which each address has its turn.
 */
// links: base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/fair.h"

enum { MANY = 4 * FAIR_MOST };

static struct fair line;
static struct fair_entry entries[MANY];
static unsigned used;

static int begin(void **state)
{
	(void)state;
	fair_init(&line);
	used = 0;
	return 0;
}

static struct fair_entry *make(uint64_t from)
{
	struct fair_entry *e = &entries[used++];

	assert_true(used <= MANY);
	*e = (struct fair_entry){ .id = used, .from = from };
	return e;
}

/* Somebody comes for whom there is a place. */
static struct fair_entry *comes(uint64_t from)
{
	struct fair_entry *e = make(from), *displaced;

	assert_true(fair_add(&line, e, &displaced));
	assert_null(displaced);
	return e;
}

static void served(const struct fair_entry *e)
{
	assert_ptr_equal(fair_take(&line), e);
}

static void test_turns(void **state)
{
	struct fair_entry *a[4], *b[2], *c;

	(void)state;
	for (int i = 0; i < 4; i++)
		a[i] = comes(1);
	served(a[0]);
	b[0] = comes(2);
	b[1] = comes(2);
	c = comes(3);
	served(a[1]);
	served(b[0]);
	served(c);
	served(a[2]);
	c = comes(3);
	served(b[1]);
	served(a[3]);
	served(c);
	assert_null(fair_take(&line));
	assert_int_equal(line.count, 0);
}

/* Who has been served waits no less than who comes then, and no longer either. */
static void test_who_comes_again(void **state)
{
	struct fair_entry *a, *b;

	(void)state;
	for (int i = 0; i < 100; i++) {
		a = comes(1);
		b = comes(2);
		served(a);
		served(b);
	}
	a = comes(1);
	served(a);
	b = comes(1);
	a = comes(7);
	served(b);
	served(a);
}

static void test_most_of_one(void **state)
{
	struct fair_entry *displaced, *first = comes(1);

	(void)state;
	for (int i = 1; i < FAIR_MOST_OF_ONE; i++)
		comes(1);
	assert_false(fair_add(&line, make(1), &displaced));
	assert_null(displaced);
	comes(2);
	served(first);
	comes(1);
	/* those without an address are many */
	for (int i = 0; i < 2 * FAIR_MOST_OF_ONE; i++)
		comes(0);
}

/* Who has many gives way to who has few, and among those with as many nobody does. */
static void test_a_full_line(void **state)
{
	struct fair_entry *displaced, *e, *last = NULL;
	const uint64_t senders = FAIR_MOST / FAIR_MOST_OF_ONE;

	(void)state;
	for (int i = 0; i < FAIR_MOST_OF_ONE; i++)
		for (uint64_t from = 1; from <= senders; from++)
			last = comes(from);
	assert_int_equal(line.count, FAIR_MOST);
	e = make(100);
	assert_true(fair_add(&line, e, &displaced));
	assert_ptr_equal(displaced, last);
	assert_int_equal(line.count, FAIR_MOST);
	for (uint64_t from = 1; from <= senders; from++)
		assert_int_equal(fair_take(&line)->from, from);
	served(e);
	while (fair_take(&line))
		;
	for (uint64_t from = 1; from <= FAIR_MOST; from++)
		comes(from);
	assert_false(fair_add(&line, make(1000), &displaced));
	assert_null(displaced);
	assert_false(fair_add(&line, make(1), &displaced));
}

static void test_removed(void **state)
{
	struct fair_entry *a, *b, *c;

	(void)state;
	a = comes(1);
	b = comes(1);
	c = comes(2);
	assert_ptr_equal(fair_remove(&line, b->id), b);
	assert_null(fair_remove(&line, b->id));
	assert_null(fair_remove(&line, 1000));
	assert_int_equal(line.count, 2);
	served(a);
	served(c);
	assert_null(fair_remove(&line, c->id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_turns, begin),
		cmocka_unit_test_setup(test_who_comes_again, begin),
		cmocka_unit_test_setup(test_most_of_one, begin),
		cmocka_unit_test_setup(test_a_full_line, begin),
		cmocka_unit_test_setup(test_removed, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
