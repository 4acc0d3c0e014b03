// links: base proto config
/*
 * test_elements.c - what a claim has, by the table and by a look at each element.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fnmatch.h>
#include <sys/stat.h>

#include "config/elements.h"
#include "config/files.h"
#include "config/jwt.h"

static json_t *parse(const char *text)
{
	json_t *j = json_loads(text, JSON_DECODE_ANY, NULL);

	assert_non_null(j);
	return j;
}

static bool has_text(const char *claim, enum elements_form form, const char *text)
{
	struct elements_look look = { .spent = 0 };
	json_t *j = parse(claim);
	bool has;

	elements_take(&look, j, form);
	has = elements_have_text(&look, text, strlen(text));
	assert_false(look.too_much);
	assert_true(look.spent > 0);
	json_decref(j);
	return has;
}

static bool has_value(const char *claim, const char *wanted)
{
	struct elements_look look = { .spent = 0 };
	json_t *j = parse(claim), *w = parse(wanted);
	bool has;

	elements_take(&look, j, ELEMENTS_PATTERNS);
	has = elements_have_value(&look, w);
	json_decref(j);
	json_decref(w);
	return has;
}

static void test_texts(void **state)
{
	static const struct {
		const char *claim, *text;
		bool plain, patterns, words;
	} rows[] = {
		{ "\"a\"", "a", true, true, true },
		{ "[\"b\",\"a\"]", "a", true, true, true },
		{ "[\"b\",\"aa\"]", "a", false, false, false },
		{ "[\"\"]", "", true, true, false },
		{ "\"a*\"", "abc", false, true, true },
		{ "\"a*\"", "a*", true, true, true },
		{ "\"a*c\"", "ac", false, true, true },
		{ "\"ab*ba\"", "aba", false, false, false },
		{ "\"*a*b*\"", "xxaxxbxx", false, true, true },
		{ "\"*a*b*\"", "xxbxxaxx", false, false, false },
		{ "\"a b c\"", "b", false, false, true },
		{ "[\"x\",\"a  b* c\"]", "bb", false, false, true },
		{ "\"a b\"", "a b", true, true, false },
		{ "[[\"a\"]]", "a", false, false, false },
		{ "{\"a\":\"a\"}", "a", false, false, false },
		{ "[1,true,null]", "1", false, false, false },
		{ "[]", "a", false, false, false },
		{ "\"\"", "a", false, false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *c = rows[i].claim, *t = rows[i].text;

		assert_int_equal(has_text(c, ELEMENTS_PLAIN, t), rows[i].plain);
		assert_int_equal(has_text(c, ELEMENTS_PATTERNS, t), rows[i].patterns);
		assert_int_equal(has_text(c, ELEMENTS_WORDS, t), rows[i].words);
	}
}

static void test_values(void **state)
{
	(void)state;
	assert_true(has_value("[1,2,3]", "2"));
	assert_true(has_value("2", "2.0"));
	assert_true(has_value("[1.5,2.0]", "2"));
	assert_true(has_value("-0.0", "0"));
	assert_true(has_value("[false,true]", "true"));
	assert_false(has_value("[1,\"2\",true]", "2"));
	assert_false(has_value("[0,1]", "true"));
	assert_false(has_value("true", "false"));
	assert_false(has_value("null", "false"));
	/* a double has no space for these */
	assert_false(has_value("9007199254740993", "9007199254740992"));
}

/* All texts of three letters, of which one stands for any, in all lists of some. */
static void write_text(unsigned n, char out[4])
{
	for (int i = 0; i < 3; i++, n /= 3)
		out[i] = "ab*"[n % 3];
	out[3] = '\0';
}

static void test_as_each_by_itself(void **state)
{
	(void)state;
	for (unsigned from = 0; from < 27; from++) {
		struct elements_look look = { .spent = 0 };
		json_t *claim = json_array();
		char text[4];

		for (unsigned i = 0; i < 3; i++) {
			write_text((from + 7 * i) % 27, text);
			json_array_append_new(claim, json_string(text));
		}
		elements_take(&look, claim, ELEMENTS_PATTERNS);
		for (unsigned w = 0; w < 27; w++) {
			bool has = false;
			size_t i;
			json_t *e;

			write_text(w, text);
			json_array_foreach(claim, i, e) has |=
				fnmatch(json_string_value(e), text, 0) == 0;
			assert_int_equal(elements_have_text(&look, text, 3), has);
		}
		json_decref(claim);
	}
}

/* The table is of one claim, in one form, in one look. */
static void test_what_is_taken_last(void **state)
{
	struct elements_look look = { .spent = 0 };
	json_t *a = parse("[\"a\",\"x*\"]"), *b = parse("\"b\"");

	(void)state;
	elements_take(&look, a, ELEMENTS_PLAIN);
	assert_true(elements_have_text(&look, "a", 1));
	assert_false(elements_have_text(&look, "xy", 2));
	elements_take(&look, b, ELEMENTS_PLAIN);
	assert_true(elements_have_text(&look, "b", 1));
	assert_false(elements_have_text(&look, "a", 1));
	elements_take(&look, a, ELEMENTS_PATTERNS);
	assert_true(elements_have_text(&look, "xy", 2));
	json_decref(a);
	json_decref(b);
}

/* --- of a token as large as one is --- */

enum { BYTES = 12000, RULES = 16, VALUES = 64 };

/* {"sub","exp","a":[ELEMENT,ELEMENT...,"last"]}: as many as there is space for. */
static json_t *full_of(const char *element)
{
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	json_t *j;

	fputs("{\"sub\":\"anna\",\"exp\":9999999999,\"a\":[", f);
	for (size_t n = 0; n < BYTES; n += strlen(element) + 1)
		fprintf(f, "%s,", element);
	fputs("\"last\"]}", f);
	fclose(f);
	j = parse(text);
	free(text);
	return j;
}

/* An endpoint that asks for 1,024 values in rules of 64, of which the last is what is there. */
static struct config *with_rules(void)
{
	char *text, path[64];
	size_t len;
	const int secret = text_file("0123456789abcdef0123456789abcdef", 32, path);
	FILE *f = open_memstream(&text, &len);
	struct config *c;

	fprintf(f,
		LISTEN "endpoints = ( { path = \"/{room}\"; behaviour = \"plain\"; access = { "
		       "jwt = {\nkey = \"%s\"; algorithms = ( \"HS256\" ); required = (",
		path);
	for (int i = 0; i < RULES; i++) {
		fprintf(f, "%s{ claim = \"a\"; value = (", i > 0 ? ",\n" : "");
		for (int k = 1; k < VALUES; k++)
			fprintf(f, "\"{room}-%d\",", i * VALUES + k);
		fputs("\"last\"); }", f);
	}
	fputs("); }; }; } );\n", f);
	fclose(f);
	assert_return_code(fchmod(secret, 0600), errno);
	c = parse_good(text);
	free(text);
	close(secret);
	return c;
}

static void judge(struct config *c, const char *element, struct jwt_verdict *v)
{
	json_t *claims = full_of(element);

	jwt_judge_claims(&c->endpoints[0], "/r", claims, 1e9, v);
	json_decref(claims);
}

static void test_the_largest(void **state)
{
	static const char *const elements[] = {
		"\"\"", "1", "\"r-0\"", "true", "\"r-1024\"", "0.5"
	};
	struct config *c = with_rules();
	struct jwt_verdict v;

	(void)state;
	for (size_t i = 0; i < sizeof(elements) / sizeof(*elements); i++) {
		judge(c, elements[i], &v);
		assert_int_equal(v.reason, REASON_NONE);
		assert_in_range(v.cost, 1, ELEMENTS_COST_MAX / 2);
	}
	/* each of them is to be compared with each */
	judge(c, "\"*-\"", &v);
	assert_int_equal(v.reason, REASON_NOT_ALLOWED);
	assert_string_equal(v.why,
			    "its claim \"a\" has too many elements or patterns to be compared "
			    "with all of \"required\"");
	assert_in_range(v.cost, ELEMENTS_COST_MAX / 2, ELEMENTS_COST_MAX);
	config_unref(c);
}

/* Nothing is found any more, and nothing is spent. */
static void test_too_much(void **state)
{
	struct elements_look look = { .spent = 0 };
	json_t *a = parse("\"a\""), *many = json_array();

	(void)state;
	assert_true(elements_spend(&look, ELEMENTS_COST_MAX));
	assert_false(elements_spend(&look, 1));
	assert_int_equal(look.spent, ELEMENTS_COST_MAX);
	elements_take(&look, a, ELEMENTS_PLAIN);
	assert_false(elements_have_text(&look, "a", 1));
	look = (struct elements_look){ .spent = 0 };
	for (int i = 0; i < 9000; i++)
		json_array_append(many, a);
	elements_take(&look, many, ELEMENTS_PLAIN);
	assert_true(look.too_much);
	json_decref(many);
	json_decref(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_as_each_by_itself),
		cmocka_unit_test(test_what_is_taken_last),
		cmocka_unit_test(test_the_largest),
		cmocka_unit_test(test_too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
