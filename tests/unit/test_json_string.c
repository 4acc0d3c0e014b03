/* Every byte within the quotes of a string, at every place in a word. */
// links: base proto
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/json.h"
#include "proto/json_string.h"

enum { PLACES = 20 };

static const char *expected(uint8_t b)
{
	static char text[8];

	if (b == '"' || b == '\\')
		snprintf(text, sizeof(text), "\\%c", b);
	else if (b >= ' ')
		snprintf(text, sizeof(text), "%c", b);
	else if (strchr("\b\t\n\f\r", b) && b)
		snprintf(text, sizeof(text), "\\%c",
			 "btnfr"[strchr("\b\t\n\f\r", b) - "\b\t\n\f\r"]);
	else
		snprintf(text, sizeof(text), "\\u%04x", b);
	return text;
}

static void test_each_byte_everywhere(void **state)
{
	(void)state;
	for (unsigned b = 0; b < 256; b++) {
		for (size_t at = 0; at < PLACES; at++) {
			uint8_t text[PLACES], out[8 * PLACES];
			char all[8 * PLACES];
			size_t n;

			memset(text, 'x', sizeof(text));
			text[at] = (uint8_t)b;
			n = (size_t)(json_escape(out, text, sizeof(text)) - out);
			assert_int_equal(n, json_escaped_size(text, sizeof(text)));
			snprintf(all, sizeof(all), "%.*s%s%.*s", (int)at, "xxxxxxxxxxxxxxxxxxxx",
				 expected((uint8_t)b), (int)(PLACES - at - 1),
				 "xxxxxxxxxxxxxxxxxxxx");
			assert_int_equal(n, strlen(all));
			assert_memory_equal(out, all, n);
		}
	}
	assert_int_equal(json_escaped_size(NULL, 0), 0);
}

/* What is written is read back as it was. */
static void test_read_back(void **state)
{
	static const char text[] = "{\"a\":\"\xc3\xa9\\\n\x1f\x7f\"}";
	uint8_t out[200] = "{\"m\":\"", *end = out + 6;
	struct json_value value;
	struct json_error error;
	char shown[200];

	(void)state;
	end = json_escape(end, text, sizeof(text) - 1);
	memcpy(end, "\"}", 2);
	assert_true(json_find(out, (size_t)(end + 2 - out), "m", &value, &error));
	assert_int_equal(json_show(&value, shown, sizeof(shown)), sizeof(text) - 1);
	assert_string_equal(shown, text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_byte_everywhere),
		cmocka_unit_test(test_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
