// links: base proto bus config net session behaviours admin process
/*
 * asked.c: each who asked has one answer, of the reload that began behind the question.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "process/asked.h"

static char answered[256];

static void answer(uint32_t id)
{
	size_t n = strlen(answered);

	snprintf(answered + n, sizeof(answered) - n, "%u ", id);
}

static void expect(uint64_t reload, const char *ids)
{
	answered[0] = '\0';
	asked_answer(reload, answer);
	assert_string_equal(answered, ids);
}

static void test_each_has_its_own(void **state)
{
	(void)state;
	assert_true(asked_note(1, 5));
	assert_true(asked_note(2, 6));
	assert_true(asked_note(3, 6));
	assert_true(asked_note(4, 5));
	expect(4, "");
	expect(5, "1 4 ");
	expect(5, "");
	assert_true(asked_note(5, 7));
	expect(6, "2 3 ");
	asked_forget();
	expect(7, "");
}

static void test_too_many(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < ASKED_MAX; i++)
		assert_true(asked_note(i, 1));
	assert_false(asked_note(ASKED_MAX, 1));
	asked_answer(1, answer);
	assert_true(asked_note(0, 2));
	asked_forget();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_has_its_own),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
