/*
 * star.c - see star.h.
 */
#include "base/star.h"

#include <string.h>
#include <strings.h>

bool star_is_pattern(const char *pattern)
{
	const char *star = strchr(pattern, '*');

	return !star || !strchr(star + 1, '*');
}

static bool same(const char *a, const char *b, size_t n, bool any_case)
{
	return (any_case ? strncasecmp(a, b, n) : memcmp(a, b, n)) == 0;
}

bool star_matches(const char *pattern, const char *text, size_t len, bool any_case)
{
	const char *star = strchr(pattern, '*');
	const size_t size = strlen(pattern), before = star ? (size_t)(star - pattern) : size,
		     behind = star ? size - before - 1 : 0;

	if (star ? len < before + behind : len != size)
		return false;
	return same(pattern, text, before, any_case) &&
	       same(pattern + size - behind, text + len - behind, behind, any_case);
}
