/* Placeholders in the texts of settings: what is one, what may be, and what comes in its place. */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "behaviour.h"
#include "config/config.h"
#include "config/fill.h"
#include "config/template.h"
#include "proto/json.h"

static char wrong[4096]; /* what was reported of the last one */

static void note(bool warning, const char *line, void *arg)
{
	(void)warning;
	(void)arg;
	/* behind the name of the file */
	line = strchr(line + 1, ':');
	assert_non_null(line);
	snprintf(wrong + strlen(wrong), sizeof(wrong) - strlen(wrong), "%s\n", line + 1);
}

/* One endpoint in its third line. NULL: wrong says why. */
static struct config *configure(const char *endpoint)
{
	struct config_errors *e = config_errors_new();
	int fd = memfd_create("test.conf", MFD_CLOEXEC);
	struct config_source *s;
	struct config *c;
	char path[64];

	dprintf(fd,
		"listen = ( { address = \"127.0.0.1\"; port = 8080; } );\nendpoints = (\n{ %s } "
		");\n",
		endpoint);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	s = config_load(path, e);
	assert_non_null(s);
	c = config_parse(s, behaviours, 1, e);
	*wrong = '\0';
	config_errors_each(e, note, NULL);
	config_source_free(s);
	config_errors_free(e);
	close(fd);
	return c;
}

static const struct config_template *template_of(const struct config *c, const char *key)
{
	const struct config_endpoint *e = &c->endpoints[0];

	return key_value(key_find(e->behaviour->keys, key), e->opts);
}

/* What it is for who came by a path. */
static const char *written(const struct config *c, const char *key, const char *name)
{
	static char out[70000];
	const struct config_template *t = template_of(c, key);
	const struct template_values v = { .endpoint = config_route_name(c, name),
					   .name = name,
					   .peer = "192.0.2.1:4711",
					   .conn = "10000000002",
					   .user = "jos\xc3\xa9" };
	size_t size = template_size(t, &v);

	assert_ptr_equal(v.endpoint, &c->endpoints[0]);
	assert_true(size < sizeof(out));
	memset(out, '#', sizeof(out));
	template_write(t, &v, out);
	assert_int_equal(out[size], '#');
	out[size] = '\0';
	return out;
}

static void test_written(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{ "", "" },
		{ "User: ", "User: " },
		{ "{room}", "a" },
		{ "{room}{user}", "aann" },
		{ "{user} in {room}: ", "ann in a: " },
		{ "{room}{room}", "aa" },
		{ "{peer} {conn}", "192.0.2.1:4711 10000000002" },
		{ "{{room}", "{room}" },
		{ "{{nobody_knows}", "{nobody_knows}" },
		{ "{{{room}", "{{room}" },
		{ "{{room}{room}{{room}", "{room}a{room}" },
		{ "{}", "{}" },
		{ "{ room }", "{ room }" },
		{ "{Room}", "{Room}" },
		{ "{room1}", "{room1}" },
		{ "{room...}", "{room...}" },
		{ "{room", "{room" },
		{ "room}", "room}" },
		{ "{{}", "{{}" },
		{ "{{", "{{" },
		{ "{", "{" },
		{ "}{", "}{" },
		{ "{a{room}b}", "{aab}" },
		{ "{{ {room} }}", "{{ a }}" },
		{ "%s%n{room}%s", "%s%na%s" },
		{ "\xc3\xa9{room}\xc3\xa9", "\xc3\xa9"
					    "a\xc3\xa9" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		static const char *const kinds[] = { "echo", "room" };

		for (size_t k = 0; k < 2; k++) {
			char text[256];
			struct config *c;

			snprintf(text, sizeof(text),
				 "path = \"/{room}/{user}\"; behaviour = \"%s\"; prefix = \"%s\";",
				 kinds[k], cases[i].text);
			c = configure(text);
			assert_string_equal(wrong, "");
			assert_string_equal(written(c, "prefix", "/a/ann"), cases[i].expected);
			/* what it is shown as, and compared by */
			assert_string_equal(template_of(c, "prefix")->written.data, cases[i].text);
			config_unref(c);
		}
	}
}

/* What needs nothing is ready; and nothing is kept of it. */
static void test_ready(void **state)
{
	struct config *c = configure("path = \"/a\"; behaviour = \"echo\"; prefix = \"{{a}: \";");

	(void)state;
	assert_non_null(c);
	assert_null(c->endpoints[0].kept);
	assert_int_equal(template_of(c, "prefix")->count, 0);
	assert_int_equal(template_of(c, "prefix")->text.len, 5);
	assert_memory_equal(template_of(c, "prefix")->text.data, "{a}: ", 5);
	config_unref(c);
	c = configure("path = \"/a\"; behaviour = \"oneshot\"; message = \"{conn}\";");
	assert_non_null(c);
	assert_null(c->endpoints[0].kept);
	config_unref(c);
	c = configure("path = \"/a\"; behaviour = \"room\"; prefix = \"{conn}\";");
	assert_ptr_equal(c->endpoints[0].kept, template_of(c, "prefix"));
	config_unref(c);
}

/* Values are data, whatever is in them. */
static void test_hostile_values(void **state)
{
	static const char *const values[] = {
		"{room}",
		"{{room}",
		"%s%n",
		"\"",
		"\\",
		"\\\"",
		"\",\"admin\":true,\"x\":\"",
		"\\u0022",
		"\xf0\x9f\x98\x80",
		"<script>",
		"\\",
		"}",
		"\"}",
	};
	struct config *text =
		configure("path = \"/{room}/x\"; behaviour = \"oneshot\"; room_names = \".*\"; "
			  "message = \"[{room}\";");
	struct config *json =
		configure("path = \"/{room}/x\"; behaviour = \"notify\"; room_names = \".*\"; "
			  "message = { a = \"{room}\"; b = [ \"\\\\{room}\\\\\" ]; };");

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		char name[256], expected[256], shown[256];
		struct json_value found;
		struct json_error error;
		const char *out;

		snprintf(name, sizeof(name), "/%s/x", values[i]);
		snprintf(expected, sizeof(expected), "[%s", values[i]);
		assert_string_equal(written(text, "message", name), expected);
		out = written(json, "message", name);
		assert_true(json_find((const uint8_t *)out, strlen(out), "a", &found, &error));
		json_show(&found, shown, sizeof(shown));
		assert_string_equal(shown, values[i]);
		assert_true(json_find((const uint8_t *)out, strlen(out), "admin", &found, &error));
		assert_null(found.p);
	}
	config_unref(text);
	config_unref(json);
}

/* A string is text, unless what it says is JSON. */
static void test_json(void **state)
{
	static const struct {
		const char *message, *expected;
	} cases[] = {
		{ "\"Hi {room}\"", "Hi \"a" },
		{ "{ a = \"{room}\"; }", "{\"a\": \"\\\"a\"}" },
		{ "( \"{room}\", \"{{room}\" )", "[\"\\\"a\", \"{room}\"]" },
		{ "\"{\\\"a\\\":\\\"{room}\\\"}\"", "{\"a\":\"\\\"a\"}" },
		{ "\"{\\\"{room}\\\":{\\\"b\\\":{}}}\"", "{\"\\\"a\":{\"b\":{}}}" },
		{ "\"\\\"{room}\\\"\"", "\"\\\"a\"" },
		/* none, for it lacks a quote */
		{ "\"{\\\"a\\\":{room}}\"", "{\"a\":\"a}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[256];
		struct config *c;

		snprintf(text, sizeof(text),
			 "path = \"/{room}\"; behaviour = \"oneshot\"; room_names = \".*\"; "
			 "message = %s;",
			 cases[i].message);
		c = configure(text);
		assert_string_equal(wrong, "");
		assert_string_equal(written(c, "message", "/\"a"), cases[i].expected);
		config_unref(c);
	}
}

static void test_rest(void **state)
{
	struct config *c =
		configure("path = \"/f/{rest...}\"; behaviour = \"echo\"; prefix = \"{rest}: \";");

	(void)state;
	assert_string_equal(written(c, "prefix", "/f/a/b/c"), "a/b/c: ");
	assert_string_equal(written(c, "prefix", "/f/a"), "a: ");
	config_unref(c);
	/* names of a path come before those that each has */
	c = configure(
		"path = \"/{peer}/{conn}\"; behaviour = \"echo\"; prefix = \"{peer}{conn}\";");
	assert_string_equal(written(c, "prefix", "/p/c"), "pc");
	config_unref(c);
}

/* The user by his token, but where the path has one of that name. */
static void test_user(void **state)
{
	static const char hash[] =
		"ann ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n";
	int fd = memfd_create("test.tokens", MFD_CLOEXEC);
	static const char *const cases[][3] = { { "/a", "/a", "jos\xc3\xa9: " },
						{ "/{user}", "/ann", "ann: " } };

	(void)state;
	assert_int_equal(fchmod(fd, 0600), 0);
	assert_int_equal(write(fd, hash, strlen(hash)), (ssize_t)strlen(hash));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[256];
		struct config *c;

		snprintf(text, sizeof(text),
			 "path = \"%s\"; behaviour = \"echo\"; prefix = \"{user}: \"; "
			 "access = { tokens = \"/proc/self/fd/%d\"; };",
			 cases[i][0], fd);
		c = configure(text);
		assert_string_equal(wrong, "");
		assert_string_equal(written(c, "prefix", cases[i][1]), cases[i][2]);
		config_unref(c);
	}
	close(fd);
}

static void check_error(const char *endpoint, const char *expected)
{
	assert_null(configure(endpoint));
	assert_string_equal(wrong, expected);
}

static void test_errors(void **state)
{
	(void)state;
	check_error("path = \"/chat/{room}\"; behaviour = \"room\";\nprefix = \"{rom}: \";",
		    "4: endpoint \"/chat/{room}\": \"prefix\" has an unknown placeholder \"{rom}\" "
		    "(did "
		    "you mean \"{room}\"?); \"{{rom}\" writes it as it is\n");
	check_error("path = \"/chat\"; behaviour = \"notify\"; message = { a = \"{address}\"; };",
		    "3: endpoint \"/chat\": \"message\" has an unknown placeholder \"{address}\"; "
		    "there are "
		    "\"{peer}\" and \"{conn}\"; \"{{address}\" writes it as it is\n");
	check_error(
		"path = \"/once\"; behaviour = \"oneshot\"; message = \"{a}{b}\";",
		"3: endpoint \"/once\": \"message\" has an unknown placeholder \"{a}\"; there are "
		"\"{peer}\" and \"{conn}\"; \"{{a}\" writes it as it is\n"
		"3: endpoint \"/once\": \"message\" has an unknown placeholder \"{b}\"; there are "
		"\"{peer}\" and \"{conn}\"; \"{{b}\" writes it as it is\n");
	check_error(
		"path = \"/chat/{name}\"; behaviour = \"echo\"; prefix = \"{user}: \";",
		"3: endpoint \"/chat/{name}\": \"prefix\" has \"{user}\", and who the user of a "
		"connection is nobody knows unless \"access\" asks for it (\"tokens\", \"jwt\", "
		"\"users\", "
		"\"client_certificates\"), or \"path\" has a placeholder \"{user}\"; "
		"\"{{user}\" writes it as it is\n");
	/* of a path that is wrong nobody knows what it has */
	check_error("path = \"/chat/{}\"; behaviour = \"echo\"; prefix = \"{room}: \";",
		    "3: endpoint \"/chat/{}\": \"path\" has a placeholder \"\": a name has letters "
		    "from a "
		    "to z and \"_\" alone\n");
	check_error(
		"path = \"/f/{rest...}\"; behaviour = \"room\"; prefix = \"{rest}{rest}{rest}{rest}"
		"{rest}{rest}{rest}{rest}\";",
		"3: endpoint \"/f/{rest...}\": \"prefix\" may have 8192 bytes with the longest "
		"values "
		"of its placeholders; at most 8000 are possible\n");
}

/* What has to be JSON, and whose texts are looked at for it. */
static void test_data(void **state)
{
	static const struct {
		const char *endpoint;
		int data;
		bool reads;
	} cases[] = {
		{ "behaviour = \"room\";", DATA_TEXT, false },
		{ "behaviour = \"room\"; data = \"text\"; prefix = \"a\";", DATA_TEXT, false },
		{ "behaviour = \"room\"; data = \"json\";", DATA_JSON, true },
		{ "behaviour = \"room\"; data = \"json\"; prefix = \"\";", DATA_JSON, true },
		{ "behaviour = \"room\"; data = \"json\"; publish = \"backend\";", DATA_JSON,
		  false },
		{ "behaviour = \"notify\"; message = 1;", DATA_JSON, true },
		{ "behaviour = \"notify\"; message = 1; data = \"json\";", DATA_JSON, true },
		{ "behaviour = \"notify\"; message = 1; data = \"text\";", DATA_TEXT, true },
		{ "behaviour = \"echo\";", DATA_TEXT, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[256];
		struct config *c;

		snprintf(text, sizeof(text), "path = \"/a\"; %s", cases[i].endpoint);
		c = configure(text);
		assert_string_equal(wrong, "");
		assert_int_equal(c->endpoints[0].room.data, cases[i].data);
		assert_int_equal(c->endpoints[0].reads_json, cases[i].reads);
		config_unref(c);
	}
	check_error(
		"path = \"/a\"; behaviour = \"room\"; prefix = \"{conn}\";\ndata = \"json\";",
		"4: endpoint \"/a\": \"data\" is \"json\", and there is a \"prefix\": with that "
		"before it a JSON value is none\n");
	check_error("path = \"/a\"; behaviour = \"echo\"; data = \"json\";",
		    "3: endpoint \"/a\": \"data\" is of rooms, and behaviour \"echo\" has none\n");
}

static void test_many(void **state)
{
	char text[4096] = "path = \"/a\"; behaviour = \"oneshot\"; message = \"";
	const size_t begin = strlen(text);
	struct config *c;

	(void)state;
	for (int i = 0; i < TEMPLATE_PLACEHOLDERS_MAX; i++)
		strcat(text, "{conn}");
	strcat(text, "\";");
	c = configure(text);
	assert_string_equal(wrong, "");
	assert_int_equal(strlen(written(c, "message", "/a")), TEMPLATE_PLACEHOLDERS_MAX * 11);
	config_unref(c);
	memmove(text + begin + 6, text + begin, strlen(text + begin) + 1);
	memcpy(text + begin, "{conn}", 6);
	check_error(
		text,
		"3: endpoint \"/a\": \"message\" has 65 placeholders; at most 64 are possible\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written),        cmocka_unit_test(test_ready),
		cmocka_unit_test(test_hostile_values), cmocka_unit_test(test_json),
		cmocka_unit_test(test_rest),           cmocka_unit_test(test_user),
		cmocka_unit_test(test_errors),         cmocka_unit_test(test_data),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
