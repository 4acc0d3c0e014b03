// links: base proto
/*
 * test_json_memory.c - of JSON nothing is left out where memory is short.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "failing.h"
#include "proto/json_memory.h"

static const char text[] = "{\"user\":\"annabel of the long names, who is longer than what is "
			   "taken at first\",\"list\":[1,2,3,{\"a\":null}]}";

/* Whichever request fails, and all behind it: it is read whole, or is known not to be. */
static void test_each(void **state)
{
	json_t *whole = json_memory_read(text, strlen(text), 0, NULL);
	unsigned failed = 0;

	(void)state;
	assert_non_null(whole);
	for (int all = 0; all < 2; all++) {
		for (unsigned n = 1;; n++) {
			json_t *j;
			int e;

			(all ? failing_from : failing_nth)(n);
			j = json_memory_read(text, strlen(text), 0, NULL);
			e = errno;
			if (!failing_end()) {
				assert_true(json_equal(j, whole));
				json_decref(j);
				break;
			}
			assert_null(j);
			assert_int_equal(e, ENOMEM);
			failed++;
		}
	}
	assert_true(failed > 20);
	json_decref(whole);
}

static void test_no_json(void **state)
{
	json_error_t error;

	(void)state;
	errno = ENOMEM;
	assert_null(json_memory_read("[1,", 3, 0, &error));
	assert_int_equal(errno, 0);
	assert_int_equal(error.line, 1);
	assert_null(json_memory_read("{\"a\":1,\"a\":2}", 13, JSON_REJECT_DUPLICATES, NULL));
	assert_int_equal(errno, 0);
	assert_null(json_memory_read("", 0, 0, NULL));
	assert_int_equal(errno, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_each),
					    cmocka_unit_test(test_no_json) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
