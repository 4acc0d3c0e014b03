/*
 * The command line of ignyxctl: what is an option of whom, and where.
 */
// links: ctl base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/arguments.h"

enum { WORDS_MAX = 12 };

/* Reads a line of words with a space between them. */
static int parse(struct arguments *a, const char *line)
{
	static char text[256], name[] = "ignyxctl";
	static char *argv[WORDS_MAX + 1];
	int argc = 1;

	assert_in_range(strlen(line), 0, sizeof(text) - 1);
	strcpy(text, line);
	argv[0] = name;
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
		assert_in_range(argc, 1, WORDS_MAX - 1);
		argv[argc++] = word;
	}
	argv[argc] = NULL;
	return arguments_parse(a, argc, argv);
}

static void test_options_of_all(void **state)
{
	struct arguments a;

	(void)state;
	assert_int_equal(parse(&a, "-s x --json rooms /a"), 0);
	assert_string_equal(a.command->name, "rooms");
	assert_string_equal(a.option[OPTION_SOCKET], "x");
	assert_string_equal(a.option[OPTION_JSON], "");
	assert_int_equal(a.count, 1);
	assert_string_equal(a.words[0], "/a");
	assert_int_equal(parse(&a, "rooms /a --json --socket=x"), 0);
	assert_string_equal(a.option[OPTION_SOCKET], "x");
	assert_non_null(a.option[OPTION_JSON]);
	assert_int_equal(a.count, 1);
}

static void test_options_of_a_command(void **state)
{
	struct arguments a;

	(void)state;
	assert_int_equal(parse(&a, "connections --slow --peer ::1"), 0);
	assert_non_null(a.option[OPTION_SLOW]);
	assert_string_equal(a.option[OPTION_PEER], "::1");
	/* not before it, nor of another */
	assert_int_equal(parse(&a, "--slow connections"), -1);
	assert_int_equal(parse(&a, "rooms --slow"), -1);
	assert_false(option_is_of(OPTION_SLOW, NULL));
	assert_false(option_is_of(OPTION_SLOW, command_find("connection")));
	assert_true(option_is_of(OPTION_SLOW, command_find("connections")));
}

static void test_words(void **state)
{
	struct arguments a;

	(void)state;
	assert_int_equal(parse(&a, "connection"), -1);
	assert_int_equal(parse(&a, "connection 1"), 0);
	assert_int_equal(parse(&a, "connection 1 2"), -1);
	assert_int_equal(parse(&a, "connection -- -1"), 0);
	assert_string_equal(a.words[0], "-1");
	assert_int_equal(parse(&a, ""), -1);
	assert_int_equal(parse(&a, "nothing"), -1);
}

static void test_what_only_tells_needs_no_more(void **state)
{
	struct arguments a;

	(void)state;
	assert_int_equal(parse(&a, "-V"), 0);
	assert_non_null(a.option[OPTION_VERSION]);
	assert_null(a.command);
	assert_int_equal(parse(&a, "connection -h"), 0);
	assert_string_equal(a.command->name, "connection");
	assert_int_equal(parse(&a, "-h -s x -H y"), 0);
}

static void test_whom_to_ask(void **state)
{
	struct arguments a;

	(void)state;
	assert_int_equal(parse(&a, "-s x -H y status"), -1);
	assert_int_equal(parse(&a, "--token-file x status"), -1);
	assert_int_equal(parse(&a, "--token-file x -H y status"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_of_all),
		cmocka_unit_test(test_options_of_a_command),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_what_only_tells_needs_no_more),
		cmocka_unit_test(test_whom_to_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
