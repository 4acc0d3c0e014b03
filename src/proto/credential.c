/*
 * credential.c - see credential.h.
 */
#include "proto/credential.h"

/* Takes what is ahead of a byte, and that, off *t. */
static struct http_text take_to(struct http_text *t, char byte)
{
	const char *end = t->len > 0 ? memchr(t->p, byte, t->len) : NULL;
	const size_t n = end ? (size_t)(end - t->p) : t->len, taken = end ? n + 1 : n;
	const struct http_text part = { t->p, n };

	t->p += taken;
	t->len -= taken;
	return part;
}

static bool is(struct http_text t, const char *name)
{
	return t.len == strlen(name) && memcmp(t.p, name, t.len) == 0;
}

static struct http_text without_spaces(struct http_text t)
{
	while (t.len > 0 && (*t.p == ' ' || *t.p == '\t')) {
		t.p++;
		t.len--;
	}
	while (t.len > 0 && (t.p[t.len - 1] == ' ' || t.p[t.len - 1] == '\t'))
		t.len--;
	return t;
}

static struct http_text without_quotes(struct http_text t)
{
	if (t.len >= 2 && t.p[0] == '"' && t.p[t.len - 1] == '"')
		return (struct http_text){ t.p + 1, t.len - 2 };
	return t;
}

/* Of pairs NAME=VALUE with a byte between them. */
static bool find_pair(struct http_text all, char between, const char *name, struct http_text *value)
{
	while (all.len > 0) {
		struct http_text pair = without_spaces(take_to(&all, between));
		const struct http_text left = take_to(&pair, '=');

		if (!is(left, name))
			continue;
		*value = pair;
		return true;
	}
	return false;
}

bool credential_cookie(const struct http_head *h, const char *name, struct http_text *value)
{
	const struct http_header *x = NULL;

	while ((x = http_find(h, "Cookie", x))) {
		if (!find_pair(x->value, ';', name, value))
			continue;
		*value = without_quotes(*value);
		return true;
	}
	return false;
}

bool credential_subprotocol(const struct http_head *h, const char *prefix, struct http_text *value)
{
	const struct http_header *x = NULL;
	const size_t n = strlen(prefix);

	while ((x = http_find(h, "Sec-WebSocket-Protocol", x))) {
		struct http_text list = x->value, element;

		while (http_list_next(&list, &element)) {
			if (element.len < n || memcmp(element.p, prefix, n) != 0)
				continue;
			*value = (struct http_text){ element.p + n, element.len - n };
			return true;
		}
	}
	return false;
}

bool credential_query(struct http_text target, const char *name, struct http_text *value)
{
	take_to(&target, '?');
	return find_pair(take_to(&target, '#'), '&', name, value);
}
