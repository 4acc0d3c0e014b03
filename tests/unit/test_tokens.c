/*
 * The files of tokens: what is a line of it, what is wrong with one, who is found by it.
 */
// links: base proto bus config net session admin
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin/bearer.h"
#include "config/tokens.h"

/* SHA-256 of "abc" (FIPS 180-2) and of "" */
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define NAME_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct config_tokens all;

struct told {
	unsigned line;
	char what[128], last[128]; /* the first, and the last */
	int count;
};

static void note(unsigned line, const char *what, void *arg)
{
	struct told *t = arg;

	snprintf(t->last, sizeof(t->last), "%u: %s", line, what);
	if (t->count++ > 0)
		return;
	t->line = line;
	strncpy(t->what, what, sizeof(t->what) - 1);
}

/* Of a copy of just that size, so that a sanitizer sees what is read behind it. */
static size_t parse_as(const struct tokens_form *form, const char *text, struct told *t)
{
	size_t len = strlen(text);
	char *copy = malloc(len + !len);

	memcpy(copy, text, len);
	*t = (struct told){ 0 };
	free(all.list);
	tokens_parse(copy, len, form, &all, note, t);
	free(copy);
	return all.count;
}

static size_t parse(const char *text, struct told *t)
{
	return parse_as(&tokens_of_admin, text, t);
}

static size_t parse_users(const char *text, struct told *t)
{
	return parse_as(&tokens_of_access, text, t);
}

static void test_good(void **state)
{
	struct told t;

	(void)state;
	assert_int_equal(parse("# a comment\n\n  \t\nshop publish " ABC "\n"
			       "\t" NAME_64 "\tread  " ZEROS " \r\n#x\nshop manage " EMPTY,
			       &t),
			 3);
	assert_int_equal(t.count, 0);
	/* in the order of their hashes */
	assert_string_equal(all.list[0].name, NAME_64);
	assert_int_equal(all.list[0].scope, SCOPE_READ);
	assert_string_equal(all.list[1].name, "shop");
	assert_int_equal(all.list[1].scope, SCOPE_PUBLISH);
	assert_int_equal(all.list[1].hash[0], 0xba);
	assert_int_equal(all.list[1].hash[31], 0xad);
	assert_string_equal(all.list[2].name, "shop");
	assert_int_equal(all.list[2].scope, SCOPE_MANAGE);
	assert_int_equal(parse("", &t), 0);
	assert_int_equal(parse("\n#", &t), 0);
	assert_int_equal(t.count, 0);
}

struct wrong_line {
	const char *text, *what;
};

static void check_wrong(const struct tokens_form *form, const struct wrong_line *w,
			const char *good)
{
	struct told t;
	char text[512];

	snprintf(text, sizeof(text), "\n%s\n%s", w->text, good);
	assert_int_equal(parse_as(form, text, &t), 1);
	assert_int_equal(t.count, 1);
	assert_int_equal(t.line, 2);
	assert_memory_equal(t.what, "the line ", 9);
	assert_true(strncmp(t.what + 9, w->what, strlen(w->what)) == 0);
	assert_string_equal(all.list[0].name, "b");
}

static void test_wrong(void **state)
{
	static const struct wrong_line rows[] = {
		{ "a", "has to be NAME" },
		{ "a read", "has to be NAME" },
		{ "a read " ABC " x", "has to be NAME" },
		{ "a read " ABC " x y z", "has to be NAME" },
		{ "\xc3\xa4 read " ABC, "has a NAME" },
		{ "\x7f read " ABC, "has a NAME" },
		{ NAME_64 "x read " ABC, "has a NAME" },
		{ "a Read " ABC, "has a SCOPE" },
		{ "a rea " ABC, "has a SCOPE" },
		{ "a readx " ABC, "has a SCOPE" },
		{ "a read " ABC "0", "has a HASH" },
		{ "a read abc", "has a HASH" },
		{ "a read BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
		  "has a HASH" },
		{ "a read ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		  "has a HASH" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		check_wrong(&tokens_of_admin, &rows[i], "b read " ZEROS);
}

static void test_the_same_twice(void **state)
{
	struct told t;

	(void)state;
	assert_int_equal(parse("a read " ABC "\nb manage " ABC "\n", &t), 1);
	assert_int_equal(t.line, 2);
	assert_true(strstr(t.what, "HASH of a line before it") != NULL);
	assert_string_equal(all.list[0].name, "a");
}

/* One more than may be, each with a hash of its own. */
static void check_too_many(const struct tokens_form *form, const char *words, size_t most)
{
	size_t line = strlen(words) + 64 + 1;
	char *text = malloc((most + 1) * line + 1), *p = text;
	struct told t;

	for (size_t i = 0; i <= most; i++)
		p += sprintf(p, "%s%064zx\n", words, i);
	assert_int_equal(parse_as(form, text, &t), most);
	assert_int_equal(t.count, 1);
	assert_int_equal(t.line, most + 1);
	assert_true(strstr(t.what, "is one more than") != NULL);
	text[most * line] = '\0';
	assert_int_equal(parse_as(form, text, &t), most);
	assert_int_equal(t.count, 0);
	free(text);
}

static void test_too_many(void **state)
{
	(void)state;
	check_too_many(&tokens_of_admin, "a read ", CONFIG_TOKENS_MAX);
	check_too_many(&tokens_of_access, "a ", CONFIG_ACCESS_TOKENS_MAX);
}

/* As many as there are lines in a file that somebody has mistaken for one of tokens. */
static void test_a_long_wrong_file(void **state)
{
	enum { LINES = 200000 };
	char *text = malloc(2 * LINES + 1);
	struct told t;

	(void)state;
	for (int i = 0; i < LINES; i++)
		memcpy(text + 2 * i, "x\n", 2);
	text[40] = '\0';
	assert_int_equal(parse(text, &t), 0);
	assert_int_equal(t.count, 20);
	assert_memory_equal(t.last, "20: the line has", 16);
	text[40] = 'x';
	text[2 * LINES] = '\0';
	assert_int_equal(parse(text, &t), 0);
	assert_int_equal(t.count, 21);
	assert_string_equal(t.last, "0: and 199980 more lines that are wrong");
	free(text);
}

/* --- who is found by them --- */

static const char *find(const char *header)
{
	const struct config_admin a = { .tokens = all };
	const struct config_token *found = bearer_find(&a, header);

	return found ? found->name : NULL;
}

static void test_bearer(void **state)
{
	struct told t;

	(void)state;
	parse("a read " ZEROS "\nb manage " ABC "\nc read " EMPTY "\n", &t);
	assert_string_equal(find("Bearer abc"), "b");
	assert_string_equal(find("bEARER    abc"), "b");
	assert_null(find(NULL));
	assert_null(find("abc"));
	assert_null(find("Bearer"));
	assert_null(find("Bearerabc"));
	assert_null(find("Basic abc"));
	assert_null(find("Bearer abc "));
	assert_null(find("Bearer abcd"));
	assert_null(find("Bearer ab"));
	assert_null(find("Bearer " ABC));
	parse("a read " ZEROS "\nc read " EMPTY "\n", &t);
	assert_null(find("Bearer abc"));
	parse("", &t);
	assert_null(find("Bearer abc"));
}

static void test_same(void **state)
{
	struct config_token list[2];
	struct config_tokens others = { list, 2 };
	struct told t;

	(void)state;
	/* in another order they say the same */
	parse("b manage " ABC "\na read " ZEROS "\n", &t);
	memcpy(list, all.list, sizeof(list));
	parse("a read " ZEROS "\nb manage " ABC "\n", &t);
	assert_true(tokens_same(&all, &others));
	assert_true(tokens_have(&others, &all.list[1]));
	list[1].scope = SCOPE_READ;
	assert_false(tokens_same(&all, &others));
	assert_false(tokens_have(&others, &all.list[1]));
	memcpy(list, all.list, sizeof(list));
	list[1].hash[31] ^= 1;
	assert_false(tokens_same(&all, &others));
	assert_false(tokens_have(&others, &all.list[1]));
	memcpy(list, all.list, sizeof(list));
	list[0].name[0] = 'x';
	assert_false(tokens_same(&all, &others));
	others.count = 1;
	assert_false(tokens_same(&all, &others));
}

/* --- those who connect --- */

#define NAME_128 NAME_64 NAME_64

static void test_users(void **state)
{
	struct told t;

	(void)state;
	assert_int_equal(parse_users("# a comment\n\nanna " ABC "\n\t" NAME_128 "\t" ZEROS
				     " \r\nJos\xc3\xa9 " EMPTY,
				     &t),
			 3);
	assert_int_equal(t.count, 0);
	assert_string_equal(all.list[0].name, NAME_128);
	assert_string_equal(all.list[1].name, "anna");
	assert_string_equal(all.list[2].name, "Jos\xc3\xa9");
	assert_int_equal(parse_users("a " ABC "\na " ZEROS "\n", &t), 2);
}

static void test_wrong_users(void **state)
{
	static const struct wrong_line rows[] = {
		{ "a", "has to be NAME HASH" },           { "a read " ABC, "has to be NAME HASH" },
		{ "a " ABC " x", "has to be NAME HASH" }, { NAME_128 "x " ABC, "has a NAME" },
		{ "a\x07 " ABC, "has a NAME" },           { "a\x7f " ABC, "has a NAME" },
		{ "a\xc2\x85 " ABC, "has a NAME" },       { "a\xff " ABC, "has a NAME" },
		{ "a\xc3 " ABC, "has a NAME" },           { "a\xed\xa0\x80 " ABC, "has a NAME" },
		{ "a " ABC "0", "has a HASH" },           { ABC " a", "has a HASH" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		check_wrong(&tokens_of_access, &rows[i], "b " ZEROS);
}

/* Each of as many as may be is found, and none that is not there. */
static void test_all_are_found(void **state)
{
	enum { LINE = 7 + 64 + 1 };
	char *text = malloc(CONFIG_ACCESS_TOKENS_MAX * LINE + 1), *p = text;
	struct told t;

	(void)state;
	for (unsigned i = 0; i < CONFIG_ACCESS_TOKENS_MAX; i++)
		p += sprintf(p, "u%05u %064llx\n", i, i * 2654435761ULL);
	assert_int_equal(parse_users(text, &t), CONFIG_ACCESS_TOKENS_MAX);
	for (size_t i = 0; i < all.count; i++) {
		struct config_token token = all.list[i];

		assert_ptr_equal(tokens_find_hash(&all, token.hash), &all.list[i]);
		token.hash[0] = 1;
		assert_null(tokens_find_hash(&all, token.hash));
	}
	free(text);
}

static int forget(void **state)
{
	(void)state;
	free(all.list);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_the_same_twice),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_a_long_wrong_file),
		cmocka_unit_test(test_bearer),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_wrong_users),
		cmocka_unit_test(test_all_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, forget);
}
