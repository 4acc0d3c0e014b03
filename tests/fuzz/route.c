/*
 * Where a path leads. The input: paths of endpoints, a line each, an empty line, a pattern for what
 * they take, and behind its line the path that is asked for.
 *
 * Invariants: what leads somewhere is a value in each place; a name that comes of it leads to the
 * same one again, and its values put into the endpoint's path are that name.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/path.h"
#include "config/pattern.h"
#include "config/route.h"
#include "fuzz.h"

enum { PATHS_MAX = 32 };

struct given {
	char *paths[PATHS_MAX];
	size_t count;
	struct pattern *names;
};

/* Cuts a line off; NULL: there is none. */
static char *next_line(char **rest)
{
	char *line = *rest, *end = line ? strchr(line, '\n') : NULL;

	if (end)
		*end = '\0';
	*rest = end ? end + 1 : NULL;
	return line;
}

/* As a configuration would have it: sound, and no two of one shape. */
static bool is_sound(const struct given *g, const char *path)
{
	char why[PATH_WHY_MAX], *shape;
	bool twice = false;

	if (*path != '/' || strlen(path) > UPGRADE_PATH_MAX)
		return false;
	if (path_has_placeholders(path) && !path_placeholders_good(path, why)) {
		fuzz_require(strlen(why) > 0);
		return false;
	}
	shape = path_shape(path);
	for (size_t i = 0; i < g->count; i++) {
		char *other = path_shape(g->paths[i]);

		twice |= strcmp(shape, other) == 0;
		free(other);
	}
	free(shape);
	return !twice;
}

static void read_given(struct given *g, char **rest)
{
	char why[PATTERN_WHY_MAX] = "", *line;

	while ((line = next_line(rest)) && *line)
		if (g->count < PATHS_MAX && is_sound(g, line))
			g->paths[g->count++] = line;
	line = next_line(rest);
	g->names = line ? pattern_new(line, why) : NULL;
	fuzz_require(!line || g->names || strlen(why) > 0);
}

static int look_up(const struct routes *r, const char *path, size_t len, bool encoded,
		   struct path_split *s)
{
	return path_split(s, path, len, encoded) ? route_split(r, s) : ROUTE_NONE;
}

/* The endpoint's path with what its placeholders took. */
static void put_together(const char *path, const char *name)
{
	const struct config_endpoint e = { .path = (char *)path };
	char out[2 * UPGRADE_PATH_MAX], *to = out;
	struct path_segment s;
	const char *at = path;

	while (path_next(&at, &s)) {
		char key[UPGRADE_PATH_MAX + 1];
		struct http_text value = { s.p, s.len };

		memcpy(key, s.p, s.len);
		key[s.len] = '\0';
		if (s.kind != PATH_LITERAL) {
			fuzz_require(config_route_value(&e, name, key, &value));
			fuzz_require(s.kind == PATH_REST || path_is_value(value.p, value.len));
		}
		*to++ = '/';
		to = mempcpy(to, value.p, value.len);
	}
	*to = '\0';
	fuzz_require(strcmp(out, name) == 0);
}

static void check(const struct given *g, const char *asked, size_t len)
{
	struct routes *r = routes_new((const char *const *)g->paths, g->count);
	struct path_split s, again;
	int to = look_up(r, asked, len, true, &s);

	if (to != ROUTE_NONE) {
		fuzz_require(to >= 0 && (size_t)to < g->count);
		fuzz_require(strlen(s.text) == s.at[s.count]);
		fuzz_require(look_up(r, s.text, s.at[s.count], false, &again) == to);
		fuzz_require(again.count == s.count);
		put_together(g->paths[to], s.text);
	}
	routes_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = calloc(1, size + 1), *rest = text;
	struct given g = { .count = 0 };
	size_t len;

	memcpy(text, data, size);
	read_given(&g, &rest);
	len = rest ? size - (size_t)(rest - text) : 0;
	if (rest)
		check(&g, rest, len);
	if (rest && g.names)
		pattern_matches(g.names, rest, len < PATH_VALUE_MAX ? len : PATH_VALUE_MAX);
	pattern_free(g.names);
	free(text);
	return 0;
}
