// links: base proto config
/*
 * test_config_syntax.c - the tokens, and the grammar as libconfig has it too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/lex.h"
#include "config/literal.h"
#include "config/report.h"
#include "config/source.h"
#include "config/syntax.h"

/* --- tokens --- */

struct token {
	enum lex_kind kind;
	const char *text;
	unsigned line;
};

static void check_tokens(const char *text, const struct token *expected)
{
	struct lex l;

	lex_init(&l, text, strlen(text), 1);
	do {
		lex_next(&l);
		assert_int_equal(l.kind, expected->kind);
		assert_int_equal(l.len, strlen(expected->text));
		assert_memory_equal(l.start, expected->text, l.len);
		assert_int_equal(l.at, expected->line);
	} while (expected++->kind != LEX_END);
}

static void test_tokens(void **state)
{
	(void)state;
	check_tokens("", (const struct token[]){ { LEX_END, "", 1 } });
	check_tokens("a-b*_1 = +0x1F;# rest\n\"x\\\"y\" // z",
		     (const struct token[]){ { LEX_NAME, "a-b*_1", 1 },
					     { LEX_PUNCT, "=", 1 },
					     { LEX_NUMBER, "+0x1F", 1 },
					     { LEX_PUNCT, ";", 1 },
					     { LEX_STRING, "\"x\\\"y\"", 2 },
					     { LEX_END, "", 2 } });
	check_tokens("1.5e-3 0x1e+2 .5 30s - \xc3\xa9\xc3 a",
		     (const struct token[]){ { LEX_NUMBER, "1.5e-3", 1 },
					     { LEX_NUMBER, "0x1e", 1 },
					     { LEX_NUMBER, "+2", 1 },
					     { LEX_NUMBER, ".5", 1 },
					     { LEX_NUMBER, "30s", 1 },
					     { LEX_OTHER, "-", 1 },
					     { LEX_OTHER, "\xc3\xa9\xc3", 1 },
					     { LEX_NAME, "a", 1 },
					     { LEX_END, "", 1 } });
	check_tokens("/* \" \n */ a\n/**/\"# /* \"",
		     (const struct token[]){ { LEX_NAME, "a", 2 },
					     { LEX_STRING, "\"# /* \"", 3 },
					     { LEX_END, "", 3 } });
}

static void test_tokens_that_do_not_end(void **state)
{
	struct lex l;

	(void)state;
	lex_init(&l, "\"a\\\"\nb", 6, 1);
	assert_int_equal(lex_next(&l), LEX_OPEN_STRING);
	assert_int_equal(lex_next(&l), LEX_NAME);
	assert_int_equal(l.at, 2);
	lex_init(&l, "\"\\", 2, 1);
	assert_int_equal(lex_next(&l), LEX_OPEN_STRING);
	lex_init(&l, "\n/* \n *", 7, 1);
	assert_int_equal(lex_next(&l), LEX_OPEN_COMMENT);
	assert_int_equal(l.at, 2);
	lex_init(&l, "/*/", 3, 1);
	assert_int_equal(lex_next(&l), LEX_OPEN_COMMENT);
}

static void check_comment(const char *line, bool inside, bool after)
{
	assert_int_equal(lex_line_comment(line, strlen(line), inside), after);
}

static void test_line_comment(void **state)
{
	(void)state;
	check_comment("", false, false);
	check_comment("", true, true);
	check_comment("a /* b", false, true);
	check_comment("a /* b */ c", false, false);
	check_comment("a */ c", true, false);
	check_comment("a */ c /*", true, true);
	check_comment("# /* b", false, false);
	check_comment("// /* b", false, false);
	check_comment("\"/* b", false, false);
	check_comment("\"/*\" /*", false, true);
}

/* --- literals --- */

static void check_number(const char *text, bool bad, const char *wrong)
{
	bool is_bad;
	char *is_wrong = literal_check_number(text, strlen(text), &is_bad);

	assert_int_equal(is_bad, bad);
	if (wrong == NULL)
		assert_null(is_wrong);
	else
		assert_non_null(strstr(is_wrong, wrong));
	free(is_wrong);
}

static void test_numbers(void **state)
{
	static const char *const good[] = { "0",
					    "+1",
					    "-1",
					    "007",
					    "0x0",
					    "0XfF",
					    "1L",
					    "1LL",
					    "0x1L",
					    "1.",
					    ".5",
					    "-1.5e+3",
					    "1e3",
					    "2147483647",
					    "-2147483648",
					    "0x7fffffff",
					    "9223372036854775807L",
					    "-9223372036854775808L",
					    NULL };
	static const char *const bad[] = { "30s",  "1K",   "0x",  "0xg",   "1.2.3", ".",     "1e",
					   "1LLL", "1L.5", "0b1", "-0x10", "1e3L",  "0x1p3", NULL };
	static const char *const narrow[] = { "2147483648", "-2147483649", "0x80000000", NULL };
	static const char *const wide[] = { "9223372036854775808L", "99999999999999999999",
					    "0x8000000000000000L", NULL };

	(void)state;
	for (size_t i = 0; good[i] != NULL; i++)
		check_number(good[i], false, NULL);
	for (size_t i = 0; bad[i] != NULL; i++)
		check_number(bad[i], true, "is not a number");
	for (size_t i = 0; narrow[i] != NULL; i++)
		check_number(narrow[i], false, "does not fit in 32 bits");
	for (size_t i = 0; wide[i] != NULL; i++)
		check_number(wide[i], false, "does not fit in 64 bits");
	check_number("-1e999", false, "is too large");
}

/* --- the grammar --- */

static unsigned next_random(unsigned *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 16;
}

/* Makes a text that is often right, for the next token is mostly one that fits. */
static void make_text(unsigned seed, char *text)
{
	static const char *const any[] = { "{", "}", "(", ")",     "[",    "]", ";",
					   ",", "=", "1", "\"s\"", "true", "a" };
	static const char *const settings[] = { "%c = 1;", "%c: { ",      "} ",
						"%c = ( ", "%c = \"x\" ", "%c = [ 1, 2 ],",
						"%c=true", "%c = [ ];" };
	static const char *const elements[] = { "1, ", "\"x\" ",     ") ", "{ ", "), ",   "}, ",
						"( ",  "[ \"a\" ] ", "2 ", ", ", "true)", "\n" };
	char name = 'a';

	*text = '\0';
	for (unsigned n = next_random(&seed) % 12; n > 0; n--) {
		unsigned kind = next_random(&seed) % 16, pick = next_random(&seed);
		char piece[32];

		if (kind == 0)
			snprintf(piece, sizeof(piece), "%s ", any[pick % 13]);
		else if (kind < 8)
			snprintf(piece, sizeof(piece), settings[pick % 8], name++);
		else
			snprintf(piece, sizeof(piece), "%s", elements[pick % 12]);
		strcat(text, piece);
	}
}

static void note_syntax_error(bool warning, const char *line, void *arg)
{
	if (!warning && strstr(line, "syntax error") != NULL)
		*(bool *)arg = true;
}

/* What lexcheck lets pass libconfig must take, or a user gets its poor error text. */
static void test_no_text_is_left_to_libconfig(void **state)
{
	unsigned taken = 0;

	(void)state;
	for (unsigned seed = 0; seed < 20000; seed++) {
		struct config_errors *e = config_errors_new();
		struct config_source *s = calloc(1, sizeof(*s));
		bool syntax_error = false;
		char text[1024];
		config_t lib;

		make_text(seed, text);
		source_add_run(s, source_add_file(s, "x"), 1);
		source_add_line(s, text, strlen(text));
		taken += syntax_parse(s, &lib, e);
		config_errors_each(e, note_syntax_error, &syntax_error);
		if (syntax_error)
			fail_msg("libconfig does not take: %s", text);
		config_destroy(&lib);
		config_source_free(s);
		config_errors_free(e);
	}
	assert_true(taken > 2000);
}

/* --- lines --- */

/* Strings of a list have the line that they are on, not that of what follows. */
static void test_lines_of_strings(void **state)
{
	static const char text[] =
		"x = (\n\"a\"\n\n,\n\"b\" \"c\"\n\"d\",\n(\"e\"\n), {\ny =\n\"f\";"
		"z = [ \"g\",\n\"h\"\n] }\n)";
	struct config_source *s = calloc(1, sizeof(*s));
	struct config_errors *e = config_errors_new();
	const config_setting_t *x, *group;
	config_t lib;

	(void)state;
	source_add_run(s, source_add_file(s, "x"), 1);
	source_add_line(s, text, strlen(text));
	assert_true(syntax_parse(s, &lib, e));
	x = config_lookup(&lib, "x");
	assert_int_equal(report_line(x), 1);
	assert_int_equal(report_line(config_setting_get_elem(x, 0)), 2);
	assert_int_equal(report_line(config_setting_get_elem(x, 1)), 5);
	assert_int_equal(report_line(config_setting_get_elem(config_setting_get_elem(x, 2), 0)), 7);
	group = config_setting_get_elem(x, 3);
	assert_int_equal(report_line(config_setting_get_member(group, "y")), 9);
	group = config_setting_get_member(group, "z");
	assert_int_equal(report_line(config_setting_get_elem(group, 0)), 10);
	assert_int_equal(report_line(config_setting_get_elem(group, 1)), 11);
	config_destroy(&lib);
	config_source_free(s);
	config_errors_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_tokens_that_do_not_end),
		cmocka_unit_test(test_line_comment),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_no_text_is_left_to_libconfig),
		cmocka_unit_test(test_lines_of_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
