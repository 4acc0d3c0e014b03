/*
 * http.c - the head of a request, see http.h.
 *
 * Line by line, each byte looked at once. Lines end with CR LF and nothing
 * else; what proxies and servers are known to read differently is refused.
 */
#include "proto/http.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* What a byte may be part of: a token (RFC 9110 5.6.2), a target, a value (RFC 9110 5.5). */
enum { TOKEN = 1, TARGET = 2, VALUE = 4, VISIBLE = TARGET | VALUE, NAME = TOKEN | VISIBLE };

static const uint8_t kinds[UINT8_MAX + 1] = {
	['\t'] = VALUE,        [' '] = VALUE,
	['!'] = NAME,          ['"'] = VISIBLE,
	['#' ... '\''] = NAME, ['(' ... ')'] = VISIBLE,
	['*' ... '+'] = NAME,  [','] = VISIBLE,
	['-' ... '.'] = NAME,  ['/'] = VISIBLE,
	['0' ... '9'] = NAME,  [':' ... '@'] = VISIBLE,
	['A' ... 'Z'] = NAME,  ['[' ... ']'] = VISIBLE,
	['^' ... 'z'] = NAME,  ['{'] = VISIBLE,
	['|'] = NAME,          ['}'] = VISIBLE,
	['~'] = NAME,          [0x80 ... 0xff] = VALUE,
};

int http_is_token_char(unsigned char c)
{
	return kinds[c] & TOKEN;
}

/* How many of the first bytes are of a kind. */
static size_t span(const char *p, size_t n, int kind)
{
	size_t i = 0;

	while (i < n && kinds[(unsigned char)p[i]] & kind)
		i++;
	return i;
}

/* Whether one of eight bytes is below a space, or DEL. */
static bool has_control(const char *p)
{
	const uint64_t ones = 0x0101010101010101, highs = 0x80 * ones;
	uint64_t bytes, del;

	memcpy(&bytes, p, sizeof(bytes));
	del = bytes ^ 0x7f * ones;
	return (((bytes - ' ' * ones) & ~bytes) | ((del - ones) & ~del)) & highs;
}

static bool is_value(const char *p, size_t n)
{
	size_t i = 0;

	while (n - i >= sizeof(uint64_t) && !has_control(p + i))
		i += sizeof(uint64_t);
	return span(p + i, n - i, VALUE) == n - i;
}

static int parse_request_line(const char *p, size_t n, struct http_head *h)
{
	static const char version[] = "HTTP/1.";
	size_t len = span(p, n, TOKEN);

	h->method = (struct http_text){ p, len };
	if (len == 0 || len == n || p[len] != ' ')
		return HTTP_BAD;
	p += len + 1;
	n -= len + 1;
	len = span(p, n, TARGET);
	h->target = (struct http_text){ p, len };
	if (len == 0 || len == n || p[len] != ' ')
		return HTTP_BAD;
	p += len + 1;
	n -= len + 1;
	if (n != sizeof(version) || memcmp(p, version, n - 1) != 0 ||
	    (p[n - 1] != '0' && p[n - 1] != '1'))
		return HTTP_BAD;
	h->minor = p[n - 1] - '0';
	return 0;
}

static struct http_text trim(const char *p, size_t n)
{
	while (n > 0 && (*p == ' ' || *p == '\t')) {
		p++;
		n--;
	}
	while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
		n--;
	return (struct http_text){ p, n };
}

static int parse_header(const char *p, size_t n, struct http_head *h)
{
	size_t name = span(p, n, TOKEN);

	/* No name: an empty one, or a folded line. */
	if (name == 0 || name == n || p[name] != ':' || h->count == HTTP_HEADERS_MAX)
		return HTTP_BAD;
	if (!is_value(p + name + 1, n - name - 1))
		return HTTP_BAD;
	h->headers[h->count++] = (struct http_header){ .name = { p, name },
						       .value = trim(p + name + 1, n - name - 1) };
	return 0;
}

/* The line that begins at p, without its CR LF. Returns 1, 0 if it is not whole, or HTTP_BAD. */
static int next_line(const char *p, size_t n, size_t *len)
{
	const char *lf = memchr(p, '\n', n);

	if (!lf) { /* a CR that something other than LF follows */
		const char *cr = memchr(p, '\r', n);

		return cr && (size_t)(cr - p) + 1 < n ? HTTP_BAD : 0;
	}
	/* Another CR in the line is no byte that may be in what it has. */
	if (lf == p || lf[-1] != '\r')
		return HTTP_BAD;
	*len = (size_t)(lf - p) - 1;
	return 1;
}

static ssize_t parse_lines(const char *bytes, size_t len, size_t at, struct http_head *h)
{
	for (size_t lines = 0;; lines++) {
		size_t n = 0;
		int r = next_line(bytes + at, len - at, &n);

		if (r <= 0)
			return r;
		if (n == 0 && lines > 0)
			return (ssize_t)at + 2;
		if ((lines == 0 ? parse_request_line : parse_header)(bytes + at, n, h) < 0)
			return HTTP_BAD;
		at += n + 2;
	}
}

/* Whether the end of a head may be in what is new since `seen`. */
static int may_end(const char *bytes, size_t len, size_t seen)
{
	size_t from = seen > 3 ? seen - 3 : 0;

	return seen == 0 || memmem(bytes + from, len - from, "\r\n\r\n", 4) != NULL;
}

ssize_t http_parse_head(const char *bytes, size_t len, size_t seen, struct http_head *h)
{
	size_t at = len >= 2 && bytes[0] == '\r' && bytes[1] == '\n' ? 2 : 0;
	ssize_t n = HTTP_MORE;

	h->count = 0;
	if (len - at > 0 && !http_is_token_char((unsigned char)bytes[at]) &&
	    !(at == 0 && bytes[0] == '\r'))
		return HTTP_BAD;
	if (may_end(bytes, len, seen) || memchr(bytes + seen, '\n', len - seen))
		n = parse_lines(bytes, len, at, h);
	if (n > HTTP_HEAD_MAX || (n == HTTP_MORE && len >= HTTP_HEAD_MAX))
		return HTTP_TOO_LARGE;
	return n;
}

const struct http_header *http_find_name(const struct http_head *h, struct http_text name,
					 const struct http_header *after)
{
	const struct http_header *x = after ? after + 1 : h->headers;

	for (; x < h->headers + h->count; x++)
		if (x->name.len == name.len && strncasecmp(x->name.p, name.p, name.len) == 0)
			return x;
	return NULL;
}

int http_list_next(struct http_text *list, struct http_text *element)
{
	while (list->len > 0) {
		const char *comma = memchr(list->p, ',', list->len);
		size_t n = comma ? (size_t)(comma - list->p) : list->len;
		size_t used = comma ? n + 1 : n;

		*element = trim(list->p, n);
		list->p += used;
		list->len -= used;
		if (element->len > 0)
			return 1;
	}
	return 0;
}

int http_has_token(const struct http_head *h, const char *name, const char *token)
{
	const struct http_header *x = NULL;

	while ((x = http_find(h, name, x))) {
		struct http_text list = x->value, element;

		while (http_list_next(&list, &element))
			if (http_is(element, token))
				return 1;
	}
	return 0;
}
