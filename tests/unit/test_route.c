// links: base proto bus config
/*
 * test_route.c - which paths lead where, and which of two wins.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/config.h"
#include "config/files.h"
#include "config/path.h"
#include "config/route.h"
#include "proto/upgrade.h"

/* --- how paths are written --- */

static void test_placeholders(void **state)
{
	static const struct {
		const char *path, *why;
	} rows[] = {
		{ "/{room}", NULL },
		{ "/a/{room}/b", NULL },
		{ "/{a}/{b}/{c_d...}", NULL },
		{ "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}", NULL },
		{ "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", "more than 8" },
		{ "/x{room}", "whole segment" },
		{ "/{room}x", "whole segment" },
		{ "/{room", "whole segment" },
		{ "/room}", "whole segment" },
		{ "/{", "whole segment" },
		{ "/}", "whole segment" },
		{ "/{a}{b}", "whole segment" },
		{ "/{{a}}", "whole segment" },
		{ "/{}", "has letters" },
		{ "/{...}", "has letters" },
		{ "/{Room}", "has letters" },
		{ "/{room1}", "has letters" },
		{ "/{a....}", "has letters" },
		{ "/{a b}", "has letters" },
		{ "/{a...}/b", "before its end" },
		{ "/{a...}/", "before its end" },
		{ "/{a}/{a}", "two placeholders" },
		{ "/{a}/x/{a...}", "two placeholders" },
	};
	char why[PATH_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		bool good = path_placeholders_good(rows[i].path, why);

		if (good != !rows[i].why || (!good && !strstr(why, rows[i].why)))
			fail_msg("%s: %s", rows[i].path, good ? "is good" : why);
	}
}

static void test_shapes(void **state)
{
	static const char *const rows[][2] = {
		{ "/a/{x}", "/a/{}" },
		{ "/{x}/{rest...}", "/{}/{...}" },
		{ "/a//b/", "/a//b/" },
		{ "/{x}/", "/{}/" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char *shape = path_shape(rows[i][0]);

		assert_string_equal(shape, rows[i][1]);
		free(shape);
	}
}

static void test_taken(void **state)
{
	static const struct {
		const char *path, *other;
		bool takes;
	} rows[] = {
		{ "/chat/vip", "/chat/{room}", true },
		{ "/chat/{room}", "/chat/vip", false },
		{ "/chat/{a}", "/chat/{b}", false },
		{ "/chat/{a}", "/{rest...}", true },
		{ "/{rest...}", "/chat/{a}", false },
		{ "/{rest...}", "/{more...}", false },
		{ "/a/{x}", "/{x}/b", true },
		{ "/{x}/b", "/a/{x}", false },
		{ "/a/{x}/c", "/a/{rest...}", true },
		{ "/a", "/a/{rest...}", false },
		{ "/a/b", "/a/{x}/{y}", false },
		{ "/a/b/c", "/a/{x}", false },
		{ "/ab/{x}", "/a/{x}", false },
		{ "/ab", "/ac", false },
		{ "/chat/{a}/x", "/chat/{a}/y", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (path_takes_from(rows[i].path, rows[i].other) != rows[i].takes)
			fail_msg("%s from %s", rows[i].path, rows[i].other);
}

/* --- where they lead --- */

static const char *const paths[] = {
	"/",          "/a",           "/a/b",         "/a/{x}",   "/{x}/b",       "/{x}/{y}",
	"/{rest...}", "/a/{rest...}", "/f/{x}/g",     "/f/g/{x}", "/f/{rest...}", "/u/{user}/inbox",
	"/s/{x}/",    "/s//{x}",      "/a/b/c/{x}/d",
};

static const char *lead(const struct routes *r, const char *path, bool encoded)
{
	struct path_split s;
	int i = route_literal(r, path);

	if (i == ROUTE_NONE && path_split(&s, path, strlen(path), encoded))
		i = route_split(r, &s);
	return i == ROUTE_NONE ? NULL : paths[i];
}

static void test_matches(void **state)
{
	static const struct {
		const char *path, *to;
	} rows[] = {
		{ "/", "/" },
		{ "/a", "/a" },
		{ "/b", "/{rest...}" },
		{ "/a/b", "/a/b" },
		{ "/a/c", "/a/{x}" },
		{ "/c/b", "/{x}/b" },
		{ "/c/d", "/{x}/{y}" },
		{ "/c/d/e", "/{rest...}" },
		{ "/a/c/d", "/a/{rest...}" },
		{ "/f/g/h", "/f/g/{x}" },
		{ "/f/g/g", "/f/g/{x}" },
		{ "/f/h/g", "/f/{x}/g" },
		{ "/f/g/h/i", "/f/{rest...}" },
		/* what was tried first leads nowhere */
		{ "/f/g", "/f/{rest...}" },
		{ "/a/b/c/x/e", "/a/{rest...}" },
		{ "/u/ann/inbox", "/u/{user}/inbox" },
		{ "/u/ann/outbox", "/{rest...}" },
		{ "/s/x/", "/s/{x}/" },
		{ "/s//x", "/s//{x}" },
		/* no value */
		{ "/b/", NULL },
		{ "//b", NULL },
		{ "/c//d", NULL },
		{ "/.", NULL },
		{ "/a/..", NULL },
		{ "/a/...", "/a/{x}" },
		{ "/a/%2e%2E", NULL },
		{ "/a/%2e", NULL },
		{ "/a/x%2Fy", NULL },
		{ "/a/x%00y", NULL },
		{ "/a/x%0ay", NULL },
		{ "/a/x%7fy", NULL },
		{ "/a/%ff", NULL },
		{ "/a/%c3%a9", "/a/{x}" },
		{ "/a/%", NULL },
		{ "/a/%4", NULL },
		{ "/a/%4g", NULL },
		/* decoded once, and before it is compared */
		{ "/a/%252e%252e", "/a/{x}" },
		{ "/u/ann/%69nbox", "/u/{user}/inbox" },
		{ "/%75/ann/inbox", "/u/{user}/inbox" },
		{ "/u%2fann%2finbox", NULL },
		{ "a", NULL },
		{ "", NULL },
	};
	struct routes *r = routes_new(paths, sizeof(paths) / sizeof(*paths));

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *to = lead(r, rows[i].path, true);

		if (to != rows[i].to && (!to || !rows[i].to || strcmp(to, rows[i].to) != 0))
			fail_msg("%s leads to %s", rows[i].path, to ? to : "nowhere");
	}
	/* of a name nothing is decoded */
	assert_string_equal(lead(r, "/a/%2e%2e", false), "/a/{x}");
	assert_true(route_has_placeholders(r));
	routes_free(r);
}

static void test_lengths(void **state)
{
	struct routes *r = routes_new(paths, sizeof(paths) / sizeof(*paths));
	char path[2000] = "/a/";

	(void)state;
	memset(path + 3, 'x', PATH_VALUE_MAX);
	assert_string_equal(lead(r, path, true), "/a/{x}");
	path[3 + PATH_VALUE_MAX] = 'x';
	assert_null(lead(r, path, true));
	for (int i = 0; i < UPGRADE_PATH_MAX; i++)
		path[i] = "/x"[i % 2];
	path[UPGRADE_PATH_MAX] = '\0';
	assert_string_equal(lead(r, path, true), "/{rest...}");
	strcpy(path + UPGRADE_PATH_MAX, "x");
	assert_null(lead(r, path, true));
	memset(path, '/', UPGRADE_PATH_MAX);
	path[UPGRADE_PATH_MAX] = '\0';
	assert_null(lead(r, path, true));
	routes_free(r);
}

/* Steps of a look-up cannot be counted from here; that all of many are found can. */
static void test_many(void **state)
{
	enum { MANY = 2000 };
	char **all = calloc(2 * MANY, sizeof(*all));
	struct routes *r;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		assert_true(asprintf(&all[i], "/r%d", i) > 0);
		assert_true(asprintf(&all[MANY + i], "/r%d/{x}", i) > 0);
	}
	r = routes_new((const char *const *)all, 2 * MANY);
	for (int i = 0; i < MANY; i++) {
		struct path_split s;
		char path[32];

		assert_int_equal(route_literal(r, all[i]), i);
		snprintf(path, sizeof(path), "/r%d/x", i);
		assert_true(path_split(&s, path, strlen(path), true));
		assert_int_equal(route_split(r, &s), MANY + i);
	}
	routes_free(r);
	for (int i = 0; i < 2 * MANY; i++)
		free(all[i]);
	free(all);
}

static void test_none(void **state)
{
	struct routes *r = routes_new(NULL, 0);

	(void)state;
	assert_int_equal(route_literal(r, "/"), ROUTE_NONE);
	assert_false(route_has_placeholders(r));
	routes_free(r);
}

/* --- with a configuration --- */

static struct config *configure(const char *top, const char *endpoints)
{
	char *text = alloc_format(LISTEN "%s endpoints = ( %s );", top, endpoints);
	struct config *c = parse_good(text);

	free(text);
	return c;
}

static void route(const struct config *c, const char *target, struct config_route *out)
{
	struct http_head h = { .method = { "GET", 3 }, .target = { target, strlen(target) } };
	struct refusal why;
	struct upgrade up;

	assert_int_equal(upgrade_parse_line(&h, &up, &why), 0);
	config_route(c, &up, out);
}

static void check_route(const struct config *c, const char *target, const char *to,
			const char *name)
{
	struct config_route r;

	route(c, target, &r);
	if (to) {
		assert_non_null(r.endpoint);
		assert_string_equal(r.endpoint->path, to);
		assert_string_equal(r.name, name);
		assert_ptr_equal(config_route_name(c, name), r.endpoint);
	} else {
		assert_null(r.endpoint);
		assert_null(r.name);
	}
}

static void test_names(void **state)
{
	struct config *c = configure("room_names = \"[a-z%]+\";",
				     "{ path = \"/lit\"; behaviour = \"plain\"; },"
				     "{ path = \"/a b\"; behaviour = \"plain\"; },"
				     "{ path = \"/x/{room}\"; behaviour = \"plain\"; },"
				     "{ path = \"/n/{id}\"; behaviour = \"plain\"; "
				     "room_names = \"[0-9]{1,4}\"; },"
				     "{ path = \"/f/{rest...}\"; behaviour = \"plain\"; }");

	(void)state;
	check_route(c, "/lit?x=/x/y", "/lit", "/lit");
	check_route(c, "/a%20b", "/a b", "/a b");
	check_route(c, "/x/ann", "/x/{room}", "/x/ann");
	check_route(c, "/x/ann?a=1", "/x/{room}", "/x/ann");
	check_route(c, "ws://host/x/ann?a=1", "/x/{room}", "/x/ann");
	check_route(c, "/x/%61nn", "/x/{room}", "/x/ann");
	check_route(c, "/x/a%2561", NULL, NULL);
	check_route(c, "/x/Ann", NULL, NULL);
	check_route(c, "/x/", NULL, NULL);
	check_route(c, "/x", NULL, NULL);
	check_route(c, "/x/a/b", NULL, NULL);
	check_route(c, "/x/a%2fb", NULL, NULL);
	check_route(c, "/n/1234", "/n/{id}", "/n/1234");
	check_route(c, "/n/12345", NULL, NULL);
	check_route(c, "/n/ann", NULL, NULL);
	check_route(c, "/f/a", "/f/{rest...}", "/f/a");
	check_route(c, "/f/a/b/c", "/f/{rest...}", "/f/a/b/c");
	check_route(c, "/f/a/B/c", NULL, NULL);
	check_route(c, "/f/a//c", NULL, NULL);
	check_route(c, "/f", NULL, NULL);
	config_unref(c);
}

static void check_value(const struct config *c, const char *name, const char *placeholder,
			const char *expected)
{
	struct http_text value;
	bool found = config_route_value(config_route_name(c, name), name, placeholder, &value);

	assert_int_equal(found, expected != NULL);
	if (!expected)
		return;
	assert_int_equal(value.len, strlen(expected));
	assert_memory_equal(value.p, expected, value.len);
}

static void test_values(void **state)
{
	struct config *c =
		configure("", "{ path = \"/lit/er/al\"; behaviour = \"plain\"; },"
			      "{ path = \"/u/{user}/in/{box}\"; behaviour = \"plain\"; },"
			      "{ path = \"/f/{who}/{rest...}\"; behaviour = \"plain\"; }");

	(void)state;
	check_value(c, "/u/ann/in/x", "user", "ann");
	check_value(c, "/u/ann/in/x", "box", "x");
	check_value(c, "/u/ann/in/x", "in", NULL);
	check_value(c, "/u/ann/in/x", "use", NULL);
	check_value(c, "/u/ann/in/x", "", NULL);
	check_value(c, "/f/ann/a", "rest", "a");
	check_value(c, "/f/ann/a/b/c", "rest", "a/b/c");
	check_value(c, "/f/ann/a/b/c", "who", "ann");
	check_value(c, "/lit/er/al", "er", NULL);
	config_unref(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_placeholders), cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_taken),        cmocka_unit_test(test_matches),
		cmocka_unit_test(test_lengths),      cmocka_unit_test(test_many),
		cmocka_unit_test(test_none),         cmocka_unit_test(test_names),
		cmocka_unit_test(test_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
