/*
 * refusal.c - see refusal.h.
 */
#include "proto/refusal.h"

#include <stdarg.h>
#include <stdio.h>

int refusal_plain(struct refusal *r, enum reason reason)
{
	*r = (struct refusal){ .reason = reason };
	return -1;
}

int refusal_set(struct refusal *r, enum reason reason, const char *fmt, ...)
{
	va_list ap;

	refusal_plain(r, reason);
	va_start(ap, fmt);
	vsnprintf(r->text, sizeof(r->text), fmt, ap);
	va_end(ap);
	return -1;
}

void refusal_explain(struct refusal *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->detail, sizeof(r->detail), fmt, ap);
	va_end(ap);
}

const char *refusal_text(const struct refusal *r)
{
	return *r->text ? r->text : reason_text(r->reason);
}

const char *refusal_detail(const struct refusal *r)
{
	return *r->detail ? r->detail : refusal_text(r);
}
