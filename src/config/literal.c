/*
 * literal.c - what libconfig passes over in numbers and strings.
 *
 * libconfig 1.5 cuts an integer to 32 or 64 bits, makes a float infinite, drops
 * "\x00" and keeps an escape that it does not know as it is. It has four forms of
 * integer, and none of them is octal.
 */
#include "config/literal.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"

static const char *skip_class(const char *p, int (*in_class)(int))
{
	while (in_class((unsigned char)*p))
		p++;
	return p;
}

static bool is_integer(const char *p)
{
	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X') && isxdigit((unsigned char)p[2])) {
		p = skip_class(p + 2, isxdigit);
	} else {
		p += *p == '+' || *p == '-';
		if (!isdigit((unsigned char)*p))
			return false;
		p = skip_class(p, isdigit);
	}
	p += *p == 'L';
	p += *p == 'L';
	return *p == '\0';
}

/* A fraction or an exponent, and digits somewhere; strtod would take more. */
static bool is_float(const char *p)
{
	const char *start, *dot;

	p += *p == '+' || *p == '-';
	start = p;
	p = skip_class(p, isdigit);
	dot = p;
	if (*p == '.')
		p = skip_class(p + 1, isdigit);
	if (p - start == (*dot == '.'))
		return false;
	if (*p == 'e' || *p == 'E') {
		p += 1 + (p[1] == '+' || p[1] == '-');
		if (!isdigit((unsigned char)*p))
			return false;
		p = skip_class(p, isdigit);
	}
	return *p == '\0';
}

static char *check_integer(const char *text)
{
	bool wide = strchr(text, 'L') != NULL;
	long long v;

	errno = 0;
	v = strtoll(text, NULL, strpbrk(text, "xX") != NULL ? 16 : 10);
	if (errno == ERANGE)
		return alloc_format("the number %s does not fit in 64 bits", text);
	if (!wide && (v < INT_MIN || v > INT_MAX))
		return alloc_format("the number %s does not fit in 32 bits: write %sL", text, text);
	return NULL;
}

char *literal_check_number(const char *token, size_t len, bool *bad)
{
	char *text = alloc_bytes(token, len), *wrong = NULL;

	*bad = false;
	if (is_integer(text)) {
		wrong = check_integer(text);
	} else if (!is_float(text)) {
		wrong = alloc_format("%s is not a number; with a unit or as text it needs quotes: "
				     "\"%s\"",
				     text, text);
		*bad = true;
	} else if (!isfinite(strtod(text, NULL))) {
		wrong = alloc_format("the number %s is too large", text);
	}
	free(text);
	return wrong;
}

static char *check_escape(const char *p)
{
	bool hex = (p[1] == 'x' || p[1] == 'X') && isxdigit((unsigned char)p[2]) &&
		   isxdigit((unsigned char)p[3]);

	if (hex && p[2] == '0' && p[3] == '0')
		return alloc_string("\\x00 cannot stand in a string");
	if (!hex && strchr("\"\\fnrt", p[1]) == NULL)
		return alloc_format("\\%c is no escape sequence; a backslash is written \\\\",
				    p[1]);
	return NULL;
}

char *literal_check_string(const char *token, size_t len)
{
	/* the closing quote ends each look ahead */
	const char *end = token + len - 1;
	char *wrong = NULL;

	for (const char *p = token + 1; p < end && wrong == NULL; p++) {
		if (*p == '\\')
			wrong = check_escape(p++);
	}
	return wrong;
}
