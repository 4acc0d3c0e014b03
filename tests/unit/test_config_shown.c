// links: base proto bus config net session behaviours
/*
 * shown.c: values of every type as JSON, and what is not shown.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config/config.h"
#include "config/shown.h"

struct element {
	int64_t port;
	const char *file;
	int line;
};

struct object {
	bool flag;
	int64_t number, duration, size, mode;
	char *string, *secret, *none;
	struct config_text text;
	int choice;
	char **list;
	size_t count;
	struct element *elements;
	struct element inner;
};

/* versions of clang-format differ about braces alone in a macro */
// clang-format off
#define KEY(field, ...) { .name = #field, .offset = offsetof(struct object, field), __VA_ARGS__ }
// clang-format on

static const char *const words[] = { "error", "warning", NULL };

static const struct config_key element_keys[] = {
	{ .name = "port", .offset = offsetof(struct element, port), .type = CONFIG_INT },
	{ 0 },
};
static const struct config_group element = { .keys = element_keys };
static const struct config_list elements = { .size = sizeof(struct element),
					     .count = offsetof(struct object, count) };

static const struct config_key keys[] = {
	KEY(flag, .type = CONFIG_BOOL),
	KEY(number, .type = CONFIG_INT),
	KEY(duration, .type = CONFIG_DURATION),
	KEY(size, .type = CONFIG_SIZE),
	KEY(mode, .type = CONFIG_MODE),
	KEY(string, .type = CONFIG_STRING),
	KEY(secret, .type = CONFIG_STRING, .secret = true),
	KEY(none, .type = CONFIG_STRING),
	KEY(text, .type = CONFIG_TEXT),
	KEY(choice, .type = CONFIG_CHOICE, .choices = words, .min = 3, .max = 4),
	KEY(list, .type = CONFIG_STRINGS),
	KEY(elements, .type = CONFIG_GROUPS, .group = &element, .list = &elements),
	KEY(inner, .type = CONFIG_GROUP, .group = &element),
	{ 0 },
};

static void test_each_type(void **state)
{
	static const char *const expected[] = {
		"true",
		"-7",
		"\"90s\"",
		"\"64K\"",
		"\"0660\"",
		"\"a\\\"b\"",
		"\"***\"",
		"null",
		"\"x\\ny\"",
		"\"warning\"",
		"[\"one\", \"two\"]",
		"[{\"port\": 1}, {\"port\": 2}]",
		"{\"port\": 3}",
	};
	char string[] = "a\"b", secret[] = "hush", text[] = "x\ny", one[] = "one", two[] = "two";
	char *list[] = { one, two, NULL };
	struct element two_elements[] = { { .port = 1 }, { .port = 2 } };
	const struct object o = {
		true, -7,          90000, 65536, 0660, string,       secret,
		NULL, { text, 3 }, 4,     list,  2,    two_elements, { .port = 3 }
	};

	(void)state;
	for (size_t i = 0; keys[i].name; i++) {
		json_t *j = show_value(&keys[i], &o);
		char *got = json_dumps(j, JSON_ENCODE_ANY);

		assert_string_equal(got, expected[i]);
		free(got);
		json_decref(j);
	}
}

static void test_passwords(void **state)
{
	static const char *const pairs[][2] = {
		{ "redis://:hush@host:6379/0", "redis://:***@host:6379/0" },
		{ "https://me:hu@sh:x@host/p?q=a:b@c", "https://me:***@host/p?q=a:b@c" },
		{ "a://u:p@h, b://u:p@h b://u:p@h", "a://u:***@h, b://u:***@h b://u:***@h" },
		{ "http://host:80/a@b", "http://host:80/a@b" },
		{ "http://host:80/?x=c://u:p@h", "http://host:80/?x=c://u:***@h" },
		{ "https://me@host", "https://me@host" },
		{ "user:p@host", "user:p@host" },
		{ "://:@", "://:***@" },
		{ "", "" },
		{ "a\xff"
		  "b",
		  "a\\xffb" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		json_t *j = show_string(pairs[i][0]);

		assert_string_equal(json_string_value(j), pairs[i][1]);
		json_decref(j);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_type),
		cmocka_unit_test(test_passwords),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
