/*
 * How fast counters grow.
 */
// links: ctl base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/rates.h"

static const struct rate list[] = { { "rate", "n" }, { 0 } };

static json_t *rows_of(const char *json)
{
	json_t *rows = json_loads(json, 0, NULL);

	assert_non_null(rows);
	return rows;
}

static void look(struct rates *r, const char *json, double now, const char *expected)
{
	json_t *rows = rows_of(json), *right = rows_of(expected);

	rates_add(r, rows, "name", list, now);
	if (!json_equal(rows, right))
		fail_msg("%s", json_dumps(rows, 0));
	json_decref(rows);
	json_decref(right);
}

static void test_rates(void **state)
{
	struct rates r = { 0 };

	(void)state;
	look(&r, "[{\"name\": \"a\", \"n\": 10}]", 100, "[{\"name\": \"a\", \"n\": 10}]");
	/* one is new */
	look(&r, "[{\"name\": \"b\", \"n\": 5}, {\"name\": \"a\", \"n\": 15}]", 102,
	     "[{\"name\": \"b\", \"n\": 5}, {\"name\": \"a\", \"n\": 15, \"rate\": 2.5}]");
	/* one was gone, the other has begun anew */
	look(&r, "[{\"name\": \"b\", \"n\": 4}]", 103, "[{\"name\": \"b\", \"n\": 4}]");
	look(&r, "[{\"name\": \"a\", \"n\": 99}, {\"name\": \"b\", \"n\": 4}]", 104,
	     "[{\"name\": \"a\", \"n\": 99}, {\"name\": \"b\", \"n\": 4, \"rate\": 0.0}]");
	/* no time has passed */
	look(&r, "[{\"name\": \"a\", \"n\": 100}]", 104, "[{\"name\": \"a\", \"n\": 100}]");
	/* and what is none */
	look(&r, "[{\"name\": 7, \"n\": 1}, {\"name\": \"a\", \"n\": \"x\"}, {}]", 105,
	     "[{\"name\": 7, \"n\": 1}, {\"name\": \"a\", \"n\": \"x\"}, {}]");
	rates_free(&r);
}

static void test_order(void **state)
{
	json_t *rows =
		rows_of("[{\"n\": 1, \"s\": \"b\"}, {\"n\": 3.5, \"s\": \"c\"}, {\"s\": \"a\"}, "
			"{\"n\": 1, \"s\": \"a\"}]");
	json_t *by_number = rows_of("[{\"n\": 3.5, \"s\": \"c\"}, {\"n\": 1, \"s\": \"b\"}, "
				    "{\"n\": 1, \"s\": \"a\"}, {\"s\": \"a\"}]");
	json_t *by_text =
		rows_of("[{\"n\": 1, \"s\": \"a\"}, {\"s\": \"a\"}, {\"n\": 1, \"s\": \"b\"}, "
			"{\"n\": 3.5, \"s\": \"c\"}]");

	(void)state;
	rates_sort(rows, "n");
	assert_true(json_equal(rows, by_number));
	rates_sort(rows, "s");
	assert_true(json_equal(rows, by_text));
	json_decref(rows);
	json_decref(by_number);
	json_decref(by_text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
