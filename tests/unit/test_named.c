// links: base proto config
/*
 * test_named.c - objects by their names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "config/named.h"

enum { MANY = 20000 };

struct thing {
	char *name;
	char text[16];
	int ended;
};

static void end_thing(void *it)
{
	((struct thing *)it)->ended++;
}

static void test_many(void **state)
{
	static struct thing things[MANY], again = { .name = things[7].text };
	struct named_objects all = { NULL };

	(void)state;
	assert_null(named_find(&all, "0"));
	for (int i = 0; i < MANY; i++) {
		things[i].name = things[i].text;
		snprintf(things[i].text, sizeof(things[i].text), "%d", i);
		named_add(&all, &things[i]);
	}
	for (int i = 0; i < MANY; i++)
		assert_ptr_equal(named_find(&all, things[i].name), &things[i]);
	assert_null(named_find(&all, "20000"));
	assert_null(named_find(&all, ""));
	/* who comes first stays */
	named_add(&all, &again);
	assert_ptr_equal(named_find(&all, "7"), &things[7]);
	named_end(&all, end_thing);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(things[i].ended, 1);
	assert_int_equal(again.ended, 0);
	assert_null(named_find(&all, "7"));
	named_end(&all, end_thing);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_many) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
