/*
 * Patterns with one "*".
 */
// links: base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/star.h"

static const struct {
	const char *pattern, *text;
	bool exact, any_case;
} rows[] = {
	{ "", "", true, true },
	{ "", "a", false, false },
	{ "a", "", false, false },
	{ "ab", "ab", true, true },
	{ "ab", "aB", false, true },
	{ "ab", "abc", false, false },
	{ "abc", "ab", false, false },
	{ "*", "", true, true },
	{ "*", "*", true, true },
	{ "*", "anything", true, true },
	{ "pump-*", "pump-7", true, true },
	{ "pump-*", "PUMP-7", false, true },
	{ "pump-*", "pump-", true, true },
	{ "pump-*", "pump", false, false },
	{ "*.example", "a.example", true, true },
	{ "*.example", ".example", true, true },
	{ "*.example", "example", false, false },
	{ "*.example", "a.example.org", false, false },
	{ "a*b", "ab", true, true },
	{ "a*b",
	  "a\xc3\xa9"
	  "b",
	  true, true },
	{ "a*b", "a", false, false },
	/* no byte is both before the star and behind it */
	{ "aba*aba", "ababa", false, false },
	{ "aba*aba", "abaaba", true, true },
	{ "\xc3\xa9", "\xc3\x89", false, false },
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const size_t n = strlen(rows[i].text);

		if (star_matches(rows[i].pattern, rows[i].text, n, false) != rows[i].exact ||
		    star_matches(rows[i].pattern, rows[i].text, n, true) != rows[i].any_case)
			fail_msg("%s and %s", rows[i].pattern, rows[i].text);
	}
}

/* A text is as long as it is said to be, whatever follows and whatever it has. */
static void test_length(void **state)
{
	(void)state;
	assert_true(star_matches("ab", "abc", 2, false));
	assert_false(star_matches("ab", "ab\0", 3, false));
	assert_true(star_matches("a*c", "a\0c", 3, false));
}

static void test_patterns(void **state)
{
	(void)state;
	assert_true(star_is_pattern("") && star_is_pattern("a") && star_is_pattern("*"));
	assert_true(star_is_pattern("a*b"));
	assert_false(star_is_pattern("**") || star_is_pattern("*a*"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_patterns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
