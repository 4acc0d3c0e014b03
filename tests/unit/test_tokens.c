/*
 * The file of tokens: what is a line of it, what is wrong with one, who is found by it.
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

static struct config_token tokens[CONFIG_TOKENS_MAX];

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
static size_t parse(const char *text, struct told *t)
{
	size_t len = strlen(text), n;
	char *copy = malloc(len + !len);

	memcpy(copy, text, len);
	*t = (struct told){ 0 };
	n = tokens_parse(copy, len, tokens, note, t);
	free(copy);
	return n;
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
	assert_string_equal(tokens[0].name, "shop");
	assert_int_equal(tokens[0].scope, SCOPE_PUBLISH);
	assert_int_equal(tokens[0].hash[0], 0xba);
	assert_int_equal(tokens[0].hash[31], 0xad);
	assert_string_equal(tokens[1].name, NAME_64);
	assert_int_equal(tokens[1].scope, SCOPE_READ);
	assert_string_equal(tokens[2].name, "shop");
	assert_int_equal(tokens[2].scope, SCOPE_MANAGE);
	assert_int_equal(parse("", &t), 0);
	assert_int_equal(parse("\n#", &t), 0);
	assert_int_equal(t.count, 0);
}

static void test_wrong(void **state)
{
	static const struct {
		const char *text, *what;
	} rows[] = {
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
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct told t;
		char text[512];

		snprintf(text, sizeof(text), "\n%s\nb read " ZEROS, rows[i].text);
		assert_int_equal(parse(text, &t), 1);
		assert_int_equal(t.count, 1);
		assert_int_equal(t.line, 2);
		assert_memory_equal(t.what, "the line ", 9);
		assert_true(strncmp(t.what + 9, rows[i].what, strlen(rows[i].what)) == 0);
		assert_string_equal(tokens[0].name, "b");
	}
}

static void test_the_same_twice(void **state)
{
	struct told t;

	(void)state;
	assert_int_equal(parse("a read " ABC "\nb manage " ABC "\n", &t), 1);
	assert_int_equal(t.line, 2);
	assert_true(strstr(t.what, "HASH of a line before it") != NULL);
}

static void test_too_many(void **state)
{
	enum { LINE = 2 + 5 + 64 + 1 };
	char *text = malloc((CONFIG_TOKENS_MAX + 1) * LINE + 1), *p = text;
	struct told t;

	(void)state;
	for (int i = 0; i <= CONFIG_TOKENS_MAX; i++)
		p += sprintf(p, "a read %064x\n", (unsigned)i);
	assert_int_equal(parse(text, &t), CONFIG_TOKENS_MAX);
	assert_int_equal(t.count, 1);
	assert_int_equal(t.line, CONFIG_TOKENS_MAX + 1);
	free(text);
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

static const struct config_token *find(size_t count, const char *header)
{
	const struct config_admin a = { .tokens = tokens, .token_count = count };

	return bearer_find(&a, header);
}

static void test_bearer(void **state)
{
	struct told t;
	size_t n = parse("a read " ZEROS "\nb manage " ABC "\nc read " EMPTY "\n", &t);

	(void)state;
	assert_ptr_equal(find(n, "Bearer abc"), &tokens[1]);
	assert_ptr_equal(find(n, "bEARER    abc"), &tokens[1]);
	assert_null(find(1, "Bearer abc"));
	assert_null(find(0, "Bearer abc"));
	assert_null(find(n, NULL));
	assert_null(find(n, "abc"));
	assert_null(find(n, "Bearer"));
	assert_null(find(n, "Bearerabc"));
	assert_null(find(n, "Basic abc"));
	assert_null(find(n, "Bearer abc "));
	assert_null(find(n, "Bearer abcd"));
	assert_null(find(n, "Bearer ab"));
	assert_null(find(n, "Bearer " ABC));
}

static void test_same(void **state)
{
	struct config_token others[2];
	struct config_admin a = { .tokens = tokens, .token_count = 2 },
			    b = { .tokens = others, .token_count = 2 };
	struct told t;

	(void)state;
	parse("a read " ZEROS "\nb manage " ABC "\n", &t);
	memcpy(others, tokens, sizeof(others));
	assert_true(tokens_same(&a, &b));
	others[1].scope = SCOPE_READ;
	assert_false(tokens_same(&a, &b));
	/* in another order they say the same */
	others[1] = tokens[0];
	others[0] = tokens[1];
	assert_true(tokens_same(&a, &b));
	memcpy(others, tokens, sizeof(others));
	others[1].hash[31] ^= 1;
	assert_false(tokens_same(&a, &b));
	memcpy(others, tokens, sizeof(others));
	others[0].name[0] = 'x';
	assert_false(tokens_same(&a, &b));
	b.token_count = 1;
	assert_false(tokens_same(&a, &b));
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
