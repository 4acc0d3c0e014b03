// links: base proto bus config
/*
 * test_pattern.c - what a pattern matches, what is wrong with one; and against regexec, by chance.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/pattern.h"

static struct pattern *compile(const char *text)
{
	char why[PATTERN_WHY_MAX] = "";
	struct pattern *p = pattern_new(text, why);

	if (!p)
		fail_msg("%s: %s", text, why);
	return p;
}

static bool matches(const char *text, const char *value)
{
	struct pattern *p = compile(text);
	bool result = pattern_matches(p, value, strlen(value));

	pattern_free(p);
	return result;
}

static void test_matches(void **state)
{
	static const struct {
		const char *pattern;
		const char *yes[6], *no[6];
	} rows[] = {
		{ "a", { "a" }, { "", "b", "aa" } },
		{ "[a-c]{2,3}", { "ab", "abc" }, { "a", "abca", "ad" } },
		{ "[a-c]+", { "a", "abcabc" }, { "", "abd" } },
		{ "[a-c]*", { "a", "abcabc" }, { "", "abd" } },
		{ "[^a-c]", { "d", "\xff" }, { "a", "dd" } },
		{ "[]x-]", { "]", "x", "-" }, { "a" } },
		{ "[^]x]", { "a" }, { "]", "x" } },
		{ "[\\n]", { "\\", "n" }, { "\n" } },
		{ "[[:alpha:][:digit:]_]+", { "aZ9_" }, { "a-" } },
		{ "a.c",
		  { "abc", "a\xff"
			   "c" },
		  { "ac", "abbc" } },
		{ "a\\.c", { "a.c" }, { "abc" } },
		{ "ab|cd|e", { "ab", "cd", "e" }, { "abcd", "a", "" } },
		{ "(ab|c)d?", { "ab", "abd", "c", "cd" }, { "abc", "d" } },
		{ "(ab){2}", { "abab" }, { "ab", "ababab", "abba" } },
		{ "(ab){2,}", { "abab", "ababab", "abababab" }, { "ab", "ababa", "ababb" } },
		{ "(ab){0,2}", { "ab", "abab" }, { "ababab", "a" } },
		{ "(a?b?){3}", { "a", "b", "ababab", "bb", "aab" }, { "abababa", "c" } },
		{ "(a*)*b", { "b", "aab" }, { "a" } },
		{ "(a|b)*abb", { "abb", "aababb" }, { "ab", "abba" } },
		{ "a{3}", { "aaa" }, { "aa", "aaaa" } },
		{ "^[a-z]+$", { "abc" }, { "^abc" } },
		{ "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
		  { "00112233-4455-6677-8899-aabbccddeeff" },
		  { "00112233-4455-6677-8899-aabbccddeef" } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		for (size_t k = 0; k < 6 && rows[i].yes[k]; k++)
			if (!matches(rows[i].pattern, rows[i].yes[k]))
				fail_msg("%s and %s", rows[i].pattern, rows[i].yes[k]);
		for (size_t k = 0; k < 6 && rows[i].no[k]; k++)
			if (matches(rows[i].pattern, rows[i].no[k]))
				fail_msg("not %s and %s", rows[i].pattern, rows[i].no[k]);
	}
}

static void test_default(void **state)
{
	struct pattern *p = compile("[A-Za-z0-9._~-]{1,64}");
	char value[66];

	(void)state;
	memset(value, 'x', sizeof(value));
	for (size_t n = 0; n <= 65; n++)
		assert_int_equal(pattern_matches(p, value, n), n >= 1 && n <= 64);
	for (int c = 0; c < 256; c++) {
		char byte = (char)c;
		bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    (c >= '0' && c <= '9') || (c != 0 && strchr("._~-", c));

		assert_int_equal(pattern_matches(p, &byte, 1), good);
	}
	pattern_free(p);
}

static void test_wrong(void **state)
{
	static const struct {
		const char *pattern, *why;
	} rows[] = {
		{ "", "nothing is said" },
		{ "a|", "nothing is said" },
		{ "()", "nothing is said" },
		{ "(a", "not closed" },
		{ "a)", "nothing opens" },
		{ "a)|(b", "nothing opens" },
		{ "[a", "not closed" },
		{ "[z-a]", "ends before it begins" },
		{ "[[:letter:]]", "class that there is not" },
		{ "[[.a.]]", "of no use" },
		{ "[a-[:digit:]]", "ends in a class" },
		{ "(a)\\1", "back-references" },
		{ "\\w+", "no punctuation" },
		{ "a\\", "no punctuation" },
		{ "*a", "nothing before" },
		{ "a**", "two repeats" },
		{ "a{2}{3}", "two repeats" },
		{ "a{x}", "begins no repeat" },
		{ "a{2", "not closed" },
		{ "a{3,2}", "ends before" },
		{ "a{0}", "nothing" },
		{ "a{256}", "more than 255" },
		{ "a{99999999999}", "more than 255" },
		{ "a^b", "within" },
		{ "a{255}b{255}c{3}", "more than 512 characters" },
		{ "((a{1,255}){1,255}){1,255}", "more than 512 characters" },
		{ "((((((((((((((((a))))))))))))))))", NULL },
		{ "(((((((((((((((((a)))))))))))))))))", "parentheses within" },
		{ "a{255}b{255}c{2}", NULL },
	};
	char why[PATTERN_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct pattern *p = pattern_new(rows[i].pattern, why);

		if (!p != (rows[i].why != NULL) || (!p && !strstr(why, rows[i].why)))
			fail_msg("%s: %s", rows[i].pattern, p ? "is right" : why);
		pattern_free(p);
	}
}

/* --- against the C library's --- */

static unsigned seed = 1;

static unsigned draw(unsigned below)
{
	return (unsigned)rand_r(&seed) % below;
}

static void write_pattern(char *out, size_t size, unsigned depth)
{
	static const char *const atoms[] = { "a", "b", "[ab]", "[^a]", ".", "c" };
	static const char *const repeats[] = { "",  "",    "",      "*",    "+",
					       "?", "{2}", "{1,3}", "{2,}", "{0,2}" };
	unsigned parts = 1 + draw(3);

	*out = '\0';
	for (unsigned i = 0; i < parts; i++) {
		char inner[512];
		size_t len = strlen(out);

		if (depth > 0 && draw(2) == 0)
			write_pattern(inner, sizeof(inner), depth - 1);
		else
			snprintf(inner, sizeof(inner), "%s", atoms[draw(6)]);
		snprintf(out + len, size - len, "%s(%.200s)%s", i > 0 && draw(3) == 0 ? "|" : "",
			 inner, repeats[draw(10)]);
	}
}

static void compare(const char *text)
{
	char why[PATTERN_WHY_MAX], whole[1100];
	struct pattern *p = pattern_new(text, why);
	regex_t r;

	/* too long, written out */
	if (!p)
		return;
	snprintf(whole, sizeof(whole), "^(%s)$", text);
	assert_int_equal(regcomp(&r, whole, REG_EXTENDED | REG_NOSUB), 0);
	for (int i = 0; i < 40; i++) {
		char value[12];
		size_t len = 1 + draw(10);

		for (size_t k = 0; k < len; k++)
			value[k] = "abc"[draw(3)];
		value[len] = '\0';
		if (pattern_matches(p, value, len) != (regexec(&r, value, 0, NULL, 0) == 0))
			fail_msg("%s and %s", text, value);
	}
	regfree(&r);
	pattern_free(p);
}

static void test_like_regexec(void **state)
{
	char text[1024];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		write_pattern(text, sizeof(text), 2);
		if (strlen(text) < 400)
			compare(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_default),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_like_regexec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
