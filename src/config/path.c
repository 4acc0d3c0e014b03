/*
 * path.c - see path.h.
 */
#include "config/path.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/alloc.h"
#include "proto/utf8.h"

/* --- of endpoints --- */

static const char REST[] = "...";

enum { REST_LEN = sizeof(REST) - 1 };

static bool ends_with_rest(const char *p, size_t len)
{
	return len >= REST_LEN && memcmp(p + len - REST_LEN, REST, REST_LEN) == 0;
}

bool path_next(const char **at, struct path_segment *s)
{
	if (**at != '/')
		return false;
	s->kind = PATH_LITERAL;
	s->p = *at + 1;
	s->len = strcspn(s->p, "/");
	*at = s->p + s->len;
	if (*s->p != '{')
		return true;
	s->kind = PATH_ONE;
	s->p++;
	s->len -= 2;
	if (!ends_with_rest(s->p, s->len))
		return true;
	s->kind = PATH_REST;
	s->len -= REST_LEN;
	return true;
}

bool path_has_placeholders(const char *path)
{
	return strpbrk(path, "{}") != NULL;
}

/* Returns false, for who fails with it. */
static bool object(char why[PATH_WHY_MAX], const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static bool object(char why[PATH_WHY_MAX], const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, PATH_WHY_MAX, fmt, args);
	va_end(args);
	return false;
}

/* A segment that has a brace, whole. */
static bool is_placeholder(const char *p, size_t len, char why[PATH_WHY_MAX])
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";
	size_t name;

	if (len < 2 || p[0] != '{' || p[len - 1] != '}' || strcspn(p + 1, "{}") != len - 2)
		return object(why,
			      "has a brace in \"%.*s\": a placeholder is a whole segment, such as "
			      "\"/{room}\"",
			      (int)(len < 64 ? len : 64), p);
	p++;
	len -= 2;
	if (ends_with_rest(p, len))
		len -= REST_LEN;
	name = strspn(p, letters);
	if (len > 0 && name == len)
		return true;
	return object(why,
		      "has a placeholder \"%.*s\": a name has letters from a to z and \"_\" alone",
		      (int)(len < 64 ? len : 64), p);
}

/* Whether a placeholder that is at `at` has a name that none before it has. */
static bool is_new(const char *path, const char *at, const struct path_segment *s,
		   char why[PATH_WHY_MAX])
{
	struct path_segment other;

	while (path_next(&path, &other) && path < at)
		if (other.kind != PATH_LITERAL && other.len == s->len &&
		    memcmp(other.p, s->p, s->len) == 0)
			return object(why, "has two placeholders of the name \"%.*s\"", (int)s->len,
				      s->p);
	return true;
}

bool path_placeholders_good(const char *path, char why[PATH_WHY_MAX])
{
	unsigned count = 0;

	for (const char *at = path, *next; *at == '/'; at = next) {
		struct path_segment s;

		next = at + 1 + strcspn(at + 1, "/");
		if (!memchr(at, '{', (size_t)(next - at)) && !memchr(at, '}', (size_t)(next - at)))
			continue;
		if (!is_placeholder(at + 1, (size_t)(next - at - 1), why))
			return false;
		path_next(&(const char *){ at }, &s);
		if (s.kind == PATH_REST && *next != '\0')
			return object(why,
				      "has \"{%.*s...}\" before its end: it takes all that follows",
				      (int)s.len, s.p);
		if (!is_new(path, next, &s, why))
			return false;
		if (++count > PATH_PLACEHOLDERS_MAX)
			return object(why, "has more than %d placeholders", PATH_PLACEHOLDERS_MAX);
	}
	return true;
}

char *path_shape(const char *path)
{
	char *shape = alloc_zero(1, strlen(path) + 1), *to = shape;
	struct path_segment s;

	while (path_next(&path, &s)) {
		const char *says = s.kind == PATH_ONE ? "{}" : "{...}";

		*to++ = '/';
		if (s.kind == PATH_LITERAL)
			to = mempcpy(to, s.p, s.len);
		else
			to = stpcpy(to, says);
	}
	return shape;
}

/* --- of requests --- */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte at *p, which is then behind it. -1: it cannot be decoded. */
static int next_byte(const char **p, const char *end, bool encoded)
{
	const char *at = *p;
	int high, low;

	if (!encoded || *at != '%') {
		*p = at + 1;
		return (unsigned char)*at;
	}
	if (end - at < 3 || (high = hex(at[1])) < 0 || (low = hex(at[2])) < 0)
		return -1;
	*p = at + 3;
	return high << 4 | low;
}

/* A literal is ahead of a placeholder, and that of one that takes the rest: the first difference counts. */
bool path_takes_from(const char *path, const char *other)
{
	struct path_segment a, b;
	int ahead = 0;

	for (;;) {
		bool more = path_next(&path, &a);

		if (path_next(&other, &b) != more)
			return false;
		if (!more)
			return ahead > 0;
		if (a.kind == PATH_LITERAL && b.kind == PATH_LITERAL &&
		    (a.len != b.len || memcmp(a.p, b.p, a.len) != 0))
			return false;
		if (ahead == 0)
			ahead = (int)b.kind - (int)a.kind;
		if (a.kind == PATH_REST || b.kind == PATH_REST)
			return ahead > 0;
	}
}

bool path_split(struct path_split *s, const char *p, size_t len, bool encoded)
{
	const char *end = p + len;
	size_t n = 0;

	s->count = 0;
	if (len == 0 || *p != '/')
		return false;
	while (p < end) {
		bool begins = *p == '/';
		int c = next_byte(&p, end, encoded);

		if (c < 0 || n == UPGRADE_PATH_MAX)
			return false;
		if (begins)
			s->at[s->count++] = (uint16_t)n;
		s->text[n++] = (char)c;
	}
	s->at[s->count] = (uint16_t)n;
	s->text[n] = '\0';
	return true;
}

bool path_is_value(const char *p, size_t len)
{
	if (len == 0 || len > PATH_VALUE_MAX || (len == 1 && p[0] == '.') ||
	    (len == 2 && p[0] == '.' && p[1] == '.'))
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f || p[i] == '/')
			return false;
	return utf8_valid(p, len);
}
