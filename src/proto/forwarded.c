/*
 * forwarded.c - see forwarded.h.
 *
 * The answer is asked from the right, but quoted strings can only be read from the
 * left. So the list is read from the left, and after each hop `found` is the
 * answer as if that hop were the last: a hop that is not trusted is the answer;
 * one that is leaves it, or is itself the best that is known; one that cannot be
 * read hides all before it.
 *
 * A client may send the beginning of a quoted string, for a proxy to add its hop
 * to. An element of Forwarded that is malformed therefore ends at its first comma,
 * quoted or not: what was added behind is read again from there.
 */
#include "proto/forwarded.h"

#include <string.h>
#include <sys/socket.h>

#include "base/cidr.h"

enum { NODE_MAX = 64 }; /* bytes of the longest address with its port, and some */

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* RFC 7239 6: a number, or an obfuscated one, which is none to us. */
static bool parse_port(const char *p, size_t n, uint16_t *out)
{
	unsigned port = 0;

	if (n > 1 && *p == '_') {
		for (size_t i = 1; i < n; i++)
			if (!is_alnum(p[i]) && (p[i] == '\0' || !strchr("._-", p[i])))
				return false;
		return true;
	}
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		port = port * 10 + (unsigned)(p[i] - '0');
		if (port > UINT16_MAX)
			return false;
	}
	*out = (uint16_t)port;
	return n > 0 && n <= 5;
}

/* IPv4, IPv4:port, IPv6, [IPv6] or [IPv6]:port. */
static bool parse_node(const char *p, size_t n, struct forwarded_address *a)
{
	const char *end = p + n, *colon = memchr(p, ':', n), *host_end = end;
	bool bracket = n > 0 && *p == '[';

	memset(a, 0, sizeof(*a));
	if (bracket) {
		p++;
		host_end = memchr(p, ']', n - 1);
		if (!host_end)
			return false;
		colon = host_end + 1 < end ? host_end + 1 : NULL;
		if (colon && *colon != ':')
			return false;
	} else if (colon && memchr(colon + 1, ':', (size_t)(end - colon) - 1)) {
		colon = NULL; /* IPv6 without brackets has no port */
	} else if (colon) {
		host_end = colon;
	}
	a->family = cidr_parse_address(p, (size_t)(host_end - p), a->address);
	if (a->family == 0 || (bracket && a->family != AF_INET6))
		return false;
	return !colon || parse_port(colon + 1, (size_t)(end - colon) - 1, &a->port);
}

struct walk {
	forwarded_trusted *trusted;
	void *arg;
	bool any;
	struct forwarded_address found;
};

static void add_hop(struct walk *w, bool readable, const struct forwarded_address *a)
{
	if (!readable) {
		w->any = false;
	} else if (!w->any || !w->trusted(a, w->arg)) {
		w->found = *a;
		w->any = true;
	}
}

static void walk_plain(struct http_text list, struct walk *w)
{
	struct http_text element;
	struct forwarded_address a;

	while (http_list_next(&list, &element)) {
		bool readable = parse_node(element.p, element.len, &a);

		add_hop(w, readable, &a);
	}
}

static void skip(struct http_text *t, size_t n)
{
	t->p += n;
	t->len -= n;
}

static void skip_space(struct http_text *t)
{
	while (t->len > 0 && (*t->p == ' ' || *t->p == '\t'))
		skip(t, 1);
}

/* A value without quotes and escapes; what does not fit is cut, for it is no address. */
struct value {
	char text[NODE_MAX];
	size_t len;
};

static void add_char(struct value *v, char c)
{
	if (v->len < NODE_MAX)
		v->text[v->len++] = c;
}

/* The rest of a quoted string (RFC 9110 5.6.4), with its closing quote. */
static bool take_quoted(struct http_text *t, struct value *v)
{
	while (t->len > 0) {
		char c = *t->p;

		skip(t, 1);
		if (c == '"')
			return true;
		if (c == '\\') {
			if (t->len == 0)
				return false;
			c = *t->p;
			skip(t, 1);
		}
		add_char(v, c);
	}
	return false;
}

/* A token; also with what an address has, as some write it without the quotes. */
static bool take_value(struct http_text *t, struct value *v)
{
	v->len = 0;
	if (t->len > 0 && *t->p == '"') {
		skip(t, 1);
		return take_quoted(t, v);
	}
	while (t->len > 0 &&
	       (http_is_token_char((unsigned char)*t->p) || (*t->p && strchr(":[]", *t->p)))) {
		add_char(v, *t->p);
		skip(t, 1);
	}
	return v->len > 0;
}

/* name=value; *name is empty where there is none, as between two semicolons. */
static bool take_pair(struct http_text *t, struct http_text *name, struct value *v)
{
	size_t n = 0;

	while (n < t->len && http_is_token_char((unsigned char)t->p[n]))
		n++;
	*name = (struct http_text){ t->p, n };
	skip(t, n);
	if (n == 0)
		return true;
	if (t->len == 0 || *t->p != '=')
		return false;
	skip(t, 1);
	return take_value(t, v);
}

struct element {
	bool empty;
	int hops; /* how many `for` it has; one is right */
	struct value node; /* of the last of them */
};

/*
 * Takes an element (RFC 7239 4) up to its comma. Returns false if it is
 * malformed, with *t anywhere in it.
 */
static bool take_element(struct http_text *t, struct element *e)
{
	struct http_text name;
	struct value v;

	e->empty = true;
	e->hops = 0;
	for (;;) {
		skip_space(t);
		if (!take_pair(t, &name, &v))
			return false;
		if (http_is(name, "for")) {
			e->node = v;
			e->hops++;
		}
		skip_space(t);
		e->empty = e->empty && name.len == 0;
		if (t->len == 0 || *t->p == ',')
			return true;
		if (*t->p != ';')
			return false;
		e->empty = false;
		skip(t, 1);
	}
}

static void skip_to_comma(struct http_text *t)
{
	const char *comma = memchr(t->p, ',', t->len);

	skip(t, comma ? (size_t)(comma - t->p) : t->len);
}

static void walk_forwarded(struct http_text list, struct walk *w)
{
	struct forwarded_address a;
	struct element e;

	while (list.len > 0) {
		struct http_text start = list;

		if (!take_element(&list, &e)) {
			list = start;
			skip_to_comma(&list);
			add_hop(w, false, &a);
		} else if (!e.empty) {
			add_hop(w, e.hops == 1 && parse_node(e.node.text, e.node.len, &a), &a);
		}
		if (list.len > 0) /* the comma */
			skip(&list, 1);
	}
}

bool forwarded_client(const struct http_head *h, enum forwarded_kind kind,
		      forwarded_trusted *trusted, void *arg, struct forwarded_address *out)
{
	static const char *const names[] = {
		[FORWARDED_X_FORWARDED_FOR] = "X-Forwarded-For",
		[FORWARDED_RFC7239] = "Forwarded",
		[FORWARDED_X_REAL_IP] = "X-Real-IP",
	};
	const struct http_header *x = NULL;
	struct walk w = { .trusted = trusted, .arg = arg };

	if (kind == FORWARDED_NONE)
		return false;
	if (kind == FORWARDED_X_REAL_IP) {
		x = http_find(h, names[kind], NULL);
		if (x && !http_find(h, names[kind], x))
			w.any = parse_node(x->value.p, x->value.len, &w.found);
	} else {
		while ((x = http_find(h, names[kind], x)))
			(kind == FORWARDED_RFC7239 ? walk_forwarded : walk_plain)(x->value, &w);
	}
	if (w.any)
		*out = w.found;
	return w.any;
}
