/*
 * Texts that cannot act on a terminal, and tables of them.
 */
// links: ctl base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/columns.h"
#include "ctl/visible.h"

static void test_escaping(void **state)
{
	static const char *const rows[][2] = {
		{ "", "" },
		{ "/chat room\\", "/chat room\\" },
		{ "a\tb\r\n\x1b[0m\x7f", "a\\x09b\\x0d\\x0a\\x1b[0m\\x7f" },
		{ "é日😀", "é日😀" },
		/* C1 controls, directions, separators of lines */
		{ "\xc2\x80\xc2\x9b\xc2\xa0", "\\xc2\\x80\\xc2\\x9b\xc2\xa0" },
		{ "\xe2\x80\x8e|\xe2\x80\x8f|\xd8\x9c",
		  "\\xe2\\x80\\x8e|\\xe2\\x80\\x8f|\\xd8\\x9c" },
		{ "\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xae\xe2\x80\xaf",
		  "\xe2\x80\xa7\\xe2\\x80\\xa8\\xe2\\x80\\xae\xe2\x80\xaf" },
		{ "\xe2\x81\xa5\xe2\x81\xa6\xe2\x81\xa9\xe2\x81\xaa",
		  "\xe2\x81\xa5\\xe2\\x81\\xa6\\xe2\\x81\\xa9\xe2\x81\xaa" },
		/* no UTF-8 */
		{ "\xff\xc3", "\\xff\\xc3" },
		{ "\x80\xbf", "\\x80\\xbf" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char *escaped = visible_escaped(rows[i][0]);

		assert_string_equal(escaped, rows[i][1]);
		free(escaped);
	}
}

static void test_width(void **state)
{
	(void)state;
	assert_int_equal(visible_width(""), 0);
	assert_int_equal(visible_width("abc"), 3);
	assert_int_equal(visible_width("é"), 1);
	assert_int_equal(visible_width("日本"), 4);
	assert_int_equal(visible_width("e\xcc\x81"), 1); /* an accent by itself */
	assert_int_equal(visible_fitting("abc", 2), 2);
	assert_int_equal(visible_fitting("abc", 5), 3);
	assert_int_equal(visible_fitting("日本", 3), 3); /* no half of one */
	assert_int_equal(visible_fitting("e\xcc\x81x", 1), 3);
}

static const struct column columns[] = {
	{ "NAME", "name", KIND_TEXT },
	{ "N", "n", KIND_COUNT },
	{ "NOTE", "note", KIND_ANY },
};

static const char *add(struct table *t, const char *json)
{
	json_t *object = json_loads(json, 0, NULL);
	const char *wrong;

	assert_non_null(object);
	wrong = table_add(t, object);
	json_decref(object);
	return wrong;
}

/* What is written of the table. */
static char *printed(const struct table *t, int width, size_t rows)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	table_print(t, out, width, false, rows, "\n");
	fclose(out);
	return text;
}

static void check_printed(const struct table *t, int width, size_t rows, const char *expected)
{
	char *text = printed(t, width, rows);

	assert_string_equal(text, expected);
	free(text);
}

static void test_table(void **state)
{
	struct table *t = table_new(columns, 3);

	(void)state;
	check_printed(t, 0, SIZE_MAX, "NAME  N  NOTE\n");
	assert_null(add(t, "{\"name\": \"a\", \"n\": 5, \"note\": true}"));
	assert_null(add(t, "{\"name\": \"long name\", \"n\": 12345, \"note\": \"x\\ny\"}"));
	assert_null(add(t, "{\"n\": null, \"note\": {\"b\": [1.5]}}"));
	check_printed(t, 0, SIZE_MAX,
		      "NAME           N  NOTE\n"
		      "a              5  true\n"
		      "long name  12345  x\\x0ay\n"
		      "-              -  {\"b\":[1.5]}\n");
	check_printed(t, 0, 1,
		      "NAME           N  NOTE\n"
		      "a              5  true\n");
	table_free(t);
}

/* The widest text gives way first, numbers never. */
static void test_narrow(void **state)
{
	struct table *t = table_new(columns, 3);

	(void)state;
	assert_null(add(t, "{\"name\": \"abcdefghijklmnop\", \"n\": 123456789, "
			   "\"note\": \"1234567890\"}"));
	check_printed(t, 39, SIZE_MAX,
		      "NAME                      N  NOTE\n"
		      "abcdefghijklmnop  123456789  1234567890\n");
	check_printed(t, 35, SIZE_MAX,
		      "NAME                  N  NOTE\n"
		      "abcdefghij..  123456789  1234567890\n");
	check_printed(t, 10, SIZE_MAX,
		      "NAME              N  NOTE\n"
		      "abcdef..  123456789  123456..\n");
	table_free(t);
}

static void test_values_of_another_kind(void **state)
{
	static const char *const wrong[][2] = {
		{ "{\"name\": 5}", "name" },
		{ "{\"name\": \"a\", \"n\": \"5\"}", "n" },
		{ "{\"name\": \"a\", \"n\": true}", "n" },
	};
	struct table *t = table_new(columns, 3);

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_string_equal(add(t, wrong[i][0]), wrong[i][1]);
	assert_int_equal(table_rows(t), 0);
	check_printed(t, 0, SIZE_MAX, "NAME  N  NOTE\n");
	table_free(t);
}

static void check_value(const char *json, enum kind kind, const char *expected)
{
	json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
	char *text = column_text(value, kind, 1000000);

	if (!text || !expected)
		assert_ptr_equal(text, expected);
	else
		assert_string_equal(text, expected);
	free(text);
	json_decref(value);
}

static void test_kinds(void **state)
{
	(void)state;
	check_value("2048", KIND_BYTES, "2.0 KiB");
	check_value("90", KIND_DURATION, "1 min 30 s");
	check_value("996400", KIND_SINCE, "1 h");
	check_value("1000001.5", KIND_SINCE, "0 s"); /* its clock is ahead */
	check_value("2.5", KIND_RATE, "2.5/s");
	check_value("9223372036854775807", KIND_COUNT, "9223372036854775807");
	check_value("1e300", KIND_COUNT, "1e+300");
	check_value("true", KIND_TRUTH, "yes");
	check_value("false", KIND_TRUTH, "");
	check_value("1", KIND_TRUTH, NULL);
	check_value("null", KIND_BYTES, "-");
	check_value("[]", KIND_BYTES, NULL);
	check_value("\"5\"", KIND_SINCE, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escaping),
		cmocka_unit_test(test_width),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_narrow),
		cmocka_unit_test(test_values_of_another_kind),
		cmocka_unit_test(test_kinds),
	};

	visible_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
