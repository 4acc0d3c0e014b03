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

enum { NAME_SHOWN = 64, TLS_RECORD = 0x16 };

#define NO_PROXY "a PROXY header came, and the listener does not have proxy_protocol set"

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

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
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

/* Takes a word and the space behind it off *t. False: there is no space. */
static bool take_word(struct http_text *t, struct http_text *word)
{
	const char *space = memchr(t->p, ' ', t->len);

	if (!space)
		return false;
	*word = (struct http_text){ t->p, (size_t)(space - t->p) };
	t->p = space + 1;
	t->len -= word->len + 1;
	return true;
}

static bool begins(struct http_text t, const char *word)
{
	return t.len >= strlen(word) && memcmp(t.p, word, strlen(word)) == 0;
}

static int no_request_line(struct http_text line, struct http_head *h)
{
	if (begins(line, "PROXY TCP") || begins(line, "PROXY UNKNOWN"))
		return refusal_set(&h->why, REASON_BAD_REQUEST, NO_PROXY);
	return refusal_set(&h->why, REASON_BAD_REQUEST,
			   "the request line is not \"METHOD TARGET HTTP/1.1\"");
}

static bool is_version(struct http_text t)
{
	return t.len == 8 && begins(t, "HTTP/") && is_digit(t.p[5]) && t.p[6] == '.' &&
	       is_digit(t.p[7]);
}

static int parse_version(struct http_text t, struct http_head *h)
{
	h->minor = t.p[7] - '0';
	if (t.p[5] == '1' && h->minor <= 1)
		return 0;
	return refusal_set(&h->why, REASON_HTTP_VERSION,
			   "the request is %.8s, and this server speaks HTTP/1.1", t.p);
}

static int parse_request_line(const char *p, size_t n, size_t number, struct http_head *h)
{
	const struct http_text line = { p, n };
	struct http_text rest = line;
	size_t right;

	(void)number;
	if (!take_word(&rest, &h->method) || !take_word(&rest, &h->target) || h->method.len == 0 ||
	    span(h->method.p, h->method.len, TOKEN) < h->method.len || h->target.len == 0 ||
	    !is_version(rest))
		return no_request_line(line, h);
	right = span(h->target.p, h->target.len, TARGET);
	if (right < h->target.len) {
		unsigned byte = (unsigned char)h->target.p[right];

		return refusal_set(&h->why, REASON_BAD_TARGET,
				   "byte %zu of the request's target is 0x%02x, which must be "
				   "written as %%%02X",
				   right + 1, byte, byte);
	}
	return parse_version(rest, h);
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

/* What there is instead of a name and a colon. */
static int no_header(const char *p, size_t n, size_t name, size_t number, struct http_head *h)
{
	const char *what = *p == ' ' || *p == '\t' ? "begins with white space; a header is one line"
			   : !memchr(p, ':', n)    ? "has no colon"
			   : *p == ':'             ? "has no name ahead of its colon"
						   : NULL;

	if (what)
		return refusal_set(&h->why, REASON_BAD_REQUEST, "line %zu of the request %s",
				   number, what);
	return refusal_set(&h->why, REASON_BAD_REQUEST,
			   "line %zu of the request has the byte 0x%02x in the name of its header",
			   number, (unsigned)(unsigned char)p[name]);
}

static unsigned first_wrong(const char *p, size_t n)
{
	return (unsigned char)p[span(p, n, VALUE)];
}

static int parse_header(const char *p, size_t n, size_t number, struct http_head *h)
{
	size_t name = span(p, n, TOKEN);

	if (name == 0 || name == n || p[name] != ':')
		return no_header(p, n, name, number, h);
	if (h->count == HTTP_HEADERS_MAX)
		return refusal_set(&h->why, REASON_TOO_MANY_HEADERS,
				   "the request has more than %d headers", HTTP_HEADERS_MAX);
	if (!is_value(p + name + 1, n - name - 1))
		return refusal_set(&h->why, REASON_BAD_REQUEST,
				   "line %zu of the request has the byte 0x%02x in the value of "
				   "%.*s",
				   number, first_wrong(p + name + 1, n - name - 1),
				   name < NAME_SHOWN ? (int)name : NAME_SHOWN, p);
	h->headers[h->count++] = (struct http_header){ .name = { p, name },
						       .value = trim(p + name + 1, n - name - 1) };
	return 0;
}

/* Finds the end of the line that begins at g->at. Returns 1, HTTP_MORE, or HTTP_BAD. */
static int next_line(const char *bytes, size_t len, struct http_progress *g, struct http_head *h)
{
	const char *from = bytes + g->looked, *lf = memchr(from, '\n', len - g->looked);
	const char *cr = lf ? NULL : memchr(from, '\r', len - g->looked);

	if (cr && cr + 1 < bytes + len)
		return refusal_set(&h->why, REASON_BAD_REQUEST,
				   "line %zu of the request has CR without LF", g->lines + 1);
	if (!lf) {
		g->looked = cr ? (size_t)(cr - bytes) : len;
		return HTTP_MORE;
	}
	/* Another CR in the line is no byte that may be in what it has. */
	if (lf == bytes + g->at || lf[-1] != '\r')
		return refusal_set(&h->why, REASON_BAD_REQUEST,
				   "line %zu of the request ends with LF alone, not with CR LF",
				   g->lines + 1);
	g->looked = (size_t)(lf - bytes) + 1;
	return 1;
}

/* From the line on that g tells; there may have been others. */
static ssize_t parse_lines(const char *bytes, size_t len, struct http_progress *g,
			   struct http_head *h)
{
	h->count = g->lines > 0 ? g->lines - 1 : 0;
	for (;; g->lines++) {
		int r = next_line(bytes, len, g, h);
		const char *line = bytes + g->at;
		size_t n;

		if (r <= 0)
			return r;
		n = g->looked - g->at - 2;
		g->at = g->looked;
		if (n == 0 && g->lines > 0)
			return (ssize_t)g->at;
		if ((g->lines == 0 ? parse_request_line : parse_header)(line, n, g->lines + 1, h) <
		    0)
			return HTTP_BAD;
	}
}

/* One empty line may be ahead (RFC 9112 2.2). What is behind it begins with a method. */
static int parse_start(const char *bytes, size_t len, struct http_progress *g, struct http_head *h)
{
	size_t at = len >= 2 && bytes[0] == '\r' && bytes[1] == '\n' ? 2 : 0;

	if (at == len || (at == 0 && bytes[0] == '\r') ||
	    http_is_token_char((unsigned char)bytes[at])) {
		g->at = g->looked = at;
		return 0;
	}
	if (bytes[0] == TLS_RECORD)
		return refusal_plain(&h->why, REASON_TLS_ON_PLAIN_PORT);
	if (len > 4 && memcmp(bytes, "\r\n\r\n\0", 5) == 0)
		return refusal_set(&h->why, REASON_BAD_REQUEST, NO_PROXY);
	return refusal_set(&h->why, REASON_BAD_REQUEST, "the request begins with the byte 0x%02x",
			   (unsigned)(unsigned char)bytes[at]);
}

ssize_t http_parse_head(const char *bytes, size_t len, size_t max, struct http_progress *progress,
			struct http_head *h)
{
	struct http_progress fresh = { 0 };
	bool in_pieces = progress->lines > 0;
	ssize_t n;

	if (!in_pieces && progress->looked <= 2 && parse_start(bytes, len, progress, h) < 0)
		return HTTP_BAD;
	n = parse_lines(bytes, len, progress, h);
	if (n > (ssize_t)max || (n == HTTP_MORE && len >= max))
		return refusal_set(&h->why, REASON_HEAD_TOO_LARGE,
				   "the request head is longer than max_head, which is %zu bytes",
				   max);
	/* The lines of earlier pieces, which may lie elsewhere by now. */
	if (n > 0 && in_pieces && parse_start(bytes, len, &fresh, h) == 0)
		n = parse_lines(bytes, len, &fresh, h);
	return n;
}

/* How 8 bytes, or 4, differ but for the bit of case in each. */
static uint64_t differ8(const char *p, const char *q)
{
	uint64_t a, b;

	memcpy(&a, p, sizeof(a));
	memcpy(&b, q, sizeof(b));
	return (a ^ b) & ~(uint64_t)0x2020202020202020;
}

static uint32_t differ4(const char *p, const char *q)
{
	uint32_t a, b;

	memcpy(&a, p, sizeof(a));
	memcpy(&b, q, sizeof(b));
	return (a ^ b) & ~(uint32_t)0x20202020;
}

/* The last of them are looked at again where they are not a whole number of words. */
int http_same(const char *p, const char *word, size_t n)
{
	if (n >= 8) {
		for (size_t i = 0; i < n - 8; i += 8)
			if (differ8(p + i, word + i))
				return 0;
		return !differ8(p + n - 8, word + n - 8);
	}
	if (n >= 4)
		return !(differ4(p, word) | differ4(p + n - 4, word + n - 4));
	for (size_t i = 0; i < n; i++)
		if ((p[i] ^ word[i]) & ~0x20)
			return 0;
	return 1;
}

const struct http_header *http_find_name(const struct http_head *h, struct http_text name,
					 const struct http_header *after)
{
	const struct http_header *x = after ? after + 1 : h->headers;

	for (; x < h->headers + h->count; x++)
		if (x->name.len == name.len && http_same(x->name.p, name.p, name.len))
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
