/*
 * web_origin.c - see web_origin.h.
 *
 * An Origin is matched with a pattern only if all of it is as browsers write it: a
 * byte that no host has may be where another program ends the host.
 */
#include "proto/web_origin.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* scheme://host:port */
struct parts {
	struct http_text scheme; /* p NULL: none, of a pattern */
	struct http_text host; /* with the brackets of an IPv6 address, or the "*." of a pattern */
	struct http_text port; /* p NULL: none */
};

static bool same(struct http_text a, struct http_text b)
{
	return a.len == b.len && strncasecmp(a.p, b.p, a.len) == 0;
}

/* Takes what is ahead of a separator off *t, and that; p NULL: it is not there. */
static struct http_text take(struct http_text *t, const char *separator)
{
	size_t n = strlen(separator);
	const char *end = memmem(t->p, t->len, separator, n);
	struct http_text taken = { NULL, 0 };

	if (!end)
		return taken;
	taken = (struct http_text){ t->p, (size_t)(end - t->p) };
	t->p = end + n;
	t->len -= taken.len + n;
	return taken;
}

static bool is_scheme(struct http_text t)
{
	for (size_t i = 0; i < t.len; i++)
		if (!isalpha((unsigned char)t.p[i]) &&
		    (i == 0 || (!isdigit((unsigned char)t.p[i]) && !memchr("+-.", t.p[i], 3))))
			return false;
	return t.len > 0;
}

static bool is_web(struct http_text scheme)
{
	return http_is(scheme, "http") || http_is(scheme, "https");
}

static bool is_address(struct http_text t)
{
	for (size_t i = 1; i + 1 < t.len; i++)
		if (!isxdigit((unsigned char)t.p[i]) && t.p[i] != ':' && t.p[i] != '.')
			return false;
	return t.len > 2 && t.p[0] == '[' && t.p[t.len - 1] == ']';
}

/* Labels with one dot between them. */
static bool is_name(struct http_text t)
{
	char before = '.';

	for (size_t i = 0; i < t.len; before = t.p[i++]) {
		bool dot = t.p[i] == '.';

		if (dot ? before == '.'
			: !isalnum((unsigned char)t.p[i]) && t.p[i] != '-' && t.p[i] != '_')
			return false;
	}
	return t.len > 0;
}

/* As browsers write it. */
static bool is_port(struct http_text t)
{
	unsigned long port = 0;

	for (size_t i = 0; i < t.len && i < 6; i++) {
		if (!isdigit((unsigned char)t.p[i]))
			return false;
		port = port * 10 + (unsigned long)(t.p[i] - '0');
	}
	return t.len > 0 && t.p[0] != '0' && port <= UINT16_MAX;
}

static bool has_star(struct http_text host)
{
	return host.len > 2 && memcmp(host.p, "*.", 2) == 0;
}

static struct http_text below(struct http_text host)
{
	return (struct http_text){ host.p + 2, host.len - 2 };
}

/* The host and its port, of which the host may be an address with colons in it. */
static void split_port(struct http_text t, struct parts *o)
{
	const char *from = t.len > 0 && t.p[0] == '[' ? memchr(t.p, ']', t.len) : t.p;
	const char *colon = from ? memchr(from, ':', t.len - (size_t)(from - t.p)) : NULL;

	o->host = t;
	if (!colon)
		return;
	o->host.len = (size_t)(colon - t.p);
	o->port = (struct http_text){ colon + 1, t.len - o->host.len - 1 };
}

/* What a browser sends. */
static bool split(struct http_text t, struct parts *o)
{
	*o = (struct parts){ .scheme = take(&t, "://") };
	split_port(t, o);
	return o->scheme.p && is_scheme(o->scheme) && (is_name(o->host) || is_address(o->host)) &&
	       (!o->port.p || is_port(o->port));
}

static bool split_pattern(struct http_text t, struct parts *o)
{
	bool star;

	*o = (struct parts){ .scheme = take(&t, "://") };
	split_port(t, o);
	star = has_star(o->host);
	if (o->scheme.p ? !is_scheme(o->scheme) : !star || o->port.p)
		return false;
	if (star ? !is_name(below(o->host)) : !is_name(o->host) && !is_address(o->host))
		return false;
	return !o->port.p || http_is(o->port, "*") || is_port(o->port);
}

static bool host_matches(struct http_text host, struct http_text pattern)
{
	size_t n = pattern.len - 1;

	if (!has_star(pattern))
		return same(host, pattern);
	return host.len > n && strncasecmp(host.p + host.len - n, pattern.p + 1, n) == 0;
}

static bool port_matches(struct http_text port, const struct parts *pattern)
{
	if (!pattern->port.p)
		return !pattern->scheme.p || !port.p;
	return http_is(pattern->port, "*") || (port.p && same(port, pattern->port));
}

static bool matches(struct http_text origin, struct http_text pattern)
{
	struct parts o, p;

	return split(origin, &o) && split_pattern(pattern, &p) &&
	       (p.scheme.p ? same(o.scheme, p.scheme) : is_web(o.scheme)) &&
	       host_matches(o.host, p.host) && port_matches(o.port, &p);
}

static bool is_literal(struct http_text origin, struct http_text listed)
{
	struct parts parts;

	if (!same(origin, listed))
		return false;
	return memcmp(origin.p, listed.p, listed.len) == 0 ||
	       (split(listed, &parts) && is_web(parts.scheme));
}

static bool lets_in(const char *listed, struct http_text origin)
{
	struct http_text t = { listed, strlen(listed) };

	if (strchr(listed, '*'))
		return matches(origin, t);
	if (strcmp(listed, "null") == 0 && origin.len == 7 && memcmp(origin.p, "file://", 7) == 0)
		return true;
	return is_literal(origin, t);
}

bool web_origin_allowed(struct http_text origin, const char *const *listed)
{
	if (!origin.p)
		return true;
	for (; *listed; listed++)
		if (lets_in(*listed, origin))
			return true;
	return false;
}

static const char *wrong_pattern(struct http_text t)
{
	struct parts parts;

	if (split_pattern(t, &parts))
		return NULL;
	if (t.len == 1)
		return "which lets everybody in and must stand alone";
	if (!parts.scheme.p && parts.port.p)
		return "which needs a scheme to have a port, such as "
		       "\"https://*.example.org:8443\"";
	return "which is no pattern: \"*.example.org\", \"https://*.example.org\", "
	       "\"https://*.example.org:8443\" and \"http://localhost:*\" are";
}

/* Of http and https it is known what may come ahead of a path. */
static const char *wrong_literal(struct http_text t)
{
	struct http_text rest = t, scheme = take(&rest, "://");
	const char *slash = memchr(rest.p, '/', rest.len);
	struct parts parts;

	if (!scheme.p || !is_scheme(scheme))
		return "which has no scheme: write \"https://example.org\", or \"*.example.org\"";
	if (slash)
		t.len = (size_t)(slash - t.p);
	if (is_web(scheme) && !split(t, &parts))
		return "which has a host or port that no browser sends";
	return NULL;
}

const char *web_origin_wrong(const char *listed)
{
	struct http_text t = { listed, strlen(listed) };

	for (const char *p = listed; *p; p++)
		if (*p <= ' ' || *p >= 0x7f)
			return "which has a space, a control character or a byte beyond ASCII: "
			       "browsers send names with such as \"xn--...\"";
	if (strchr(listed, '*'))
		return wrong_pattern(t);
	return strcmp(listed, "null") == 0 ? NULL : wrong_literal(t);
}

/* --- hosts --- */

/* Names may be written with the dot of the root behind them. */
static struct http_text without_dot(struct http_text host)
{
	if (host.len > 1 && host.p[host.len - 1] == '.')
		host.len--;
	return host;
}

static struct parts split_host(struct http_text t)
{
	struct parts o = { .scheme = { NULL, 0 } };

	split_port(t, &o);
	o.host = without_dot(o.host);
	return o;
}

static bool serves(const char *listed, const struct parts *asked)
{
	const struct parts p = split_host((struct http_text){ listed, strlen(listed) });

	return host_matches(asked->host, p.host) &&
	       (!p.port.p || (asked->port.p && same(asked->port, p.port)));
}

bool web_host_allowed(struct http_text host, const char *const *listed)
{
	const struct parts asked = split_host(host.p ? host : (struct http_text){ "", 0 });

	if (!is_name(asked.host) && !is_address(asked.host))
		return false;
	for (; *listed; listed++)
		if (serves(*listed, &asked))
			return true;
	return false;
}

const char *web_host_wrong(const char *listed)
{
	const struct parts p = split_host((struct http_text){ listed, strlen(listed) });

	if (strcmp(listed, "*") == 0)
		return "which is any host and must stand alone";
	if ((has_star(p.host) ? is_name(below(p.host)) : is_name(p.host) || is_address(p.host)) &&
	    (!p.port.p || is_port(p.port)))
		return NULL;
	return "which is no host: \"example.org\", \"*.example.org\", \"example.org:8443\" and "
	       "\"[::1]\" are";
}
