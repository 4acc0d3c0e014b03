/*
 * authorization.c - see authorization.h.
 */
#include "proto/authorization.h"

#include <strings.h>

static const char BEARER[] = "Bearer ";

/* Schemes are compared without case, and one space or more follows (RFC 9110 11.4). */
bool authorization_bearer(struct http_text value, struct http_text *token)
{
	size_t n = sizeof(BEARER) - 1;

	if (value.len < n || strncasecmp(value.p, BEARER, n) != 0)
		return false;
	while (n < value.len && value.p[n] == ' ')
		n++;
	*token = (struct http_text){ value.p + n, value.len - n };
	return true;
}
