/*
 * http.h - the head of an HTTP/1.1 request (RFC 9112), read strictly.
 *
 * The parser returns views into the caller's bytes and keeps nothing.
 */
#ifndef PROTO_HTTP_H
#define PROTO_HTTP_H

#include <stddef.h>
#include <string.h>
#include <sys/types.h>

#include "proto/refusal.h"

enum { HTTP_HEADERS_MAX = 100 }; /* more are refused */

struct http_text {
	const char *p;
	size_t len;
};

struct http_header {
	struct http_text name;
	struct http_text value; /* without the white space around it */
};

struct http_head {
	struct http_text method;
	struct http_text target;
	int minor; /* HTTP/1.minor */
	size_t count;
	struct http_header headers[HTTP_HEADERS_MAX];
	struct refusal why; /* of HTTP_BAD */
};

/*
 * How far a head was read that has not come whole; zeroed for one of which nothing was.
 * No byte of it is looked at more than twice, whatever the pieces are that it comes in.
 */
struct http_progress {
	size_t lines; /* that are whole, and right */
	size_t at; /* where the next one begins */
	size_t looked; /* up to where it has no end */
};

enum { HTTP_MORE = 0, HTTP_BAD = -1 };

/*
 * Parses len bytes, of which those of an earlier call that returned HTTP_MORE are the first;
 * *progress is what that call left. Returns the length of the head, with its empty line, if
 * it is whole; HTTP_MORE if more bytes are needed; HTTP_BAD with the first line that cannot be
 * right, or above max bytes, and h->why then says what, where. The views live as long as the
 * bytes.
 */
ssize_t http_parse_head(const char *bytes, size_t len, size_t max, struct http_progress *progress,
			struct http_head *h) __attribute__((warn_unused_result));

/* Whether a byte may be in a token (RFC 9110 5.6.2). */
int http_is_token_char(unsigned char c);

/*
 * Whether n bytes are a word of letters, digits, "-", "_" or "*", compared without case. They have
 * no control character, as nothing in a head has: so where one differs in the bit of case alone, it
 * is a letter.
 */
int http_same(const char *p, const char *word, size_t n);

/* Whether a text is such a word. Inline, for the length of a literal. */
static inline int http_is(struct http_text t, const char *word)
{
	const size_t n = strlen(word);

	return t.len == n && http_same(t.p, word, n);
}

/* The header of a name after `after` (NULL: the first). NULL: none. */
const struct http_header *http_find_name(const struct http_head *h, struct http_text name,
					 const struct http_header *after);

static inline const struct http_header *http_find(const struct http_head *h, const char *name,
						  const struct http_header *after)
{
	return http_find_name(h, (struct http_text){ name, strlen(name) }, after);
}

/* Whether any header of that name has the token in its comma-separated list. */
int http_has_token(const struct http_head *h, const char *name, const char *token);

/*
 * Takes the next element of a comma-separated list off *list, without white
 * space around it, skipping empty ones. Returns 0 when there is none.
 */
int http_list_next(struct http_text *list, struct http_text *element);

#endif
