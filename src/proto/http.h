/*
 * http.h - the head of an HTTP/1.1 request (RFC 9112), read strictly.
 *
 * The parser returns views into the caller's bytes and keeps nothing.
 */
#ifndef PROTO_HTTP_H
#define PROTO_HTTP_H

#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <sys/types.h>

enum {
	HTTP_HEAD_MAX = 8192, /* bytes of a whole head */
	HTTP_HEADERS_MAX = 100, /* more is malformed */
};

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
};

enum { HTTP_MORE = 0, HTTP_BAD = -1, HTTP_TOO_LARGE = -2 };

/*
 * Parses len bytes. Returns the length of the head, with its empty line, if it
 * is whole; HTTP_MORE if more bytes are needed; HTTP_BAD with the first line that
 * cannot be right (control characters, white space before a colon, obs-fold,
 * not HTTP/1.x ...); HTTP_TOO_LARGE above HTTP_HEAD_MAX. The views live as
 * long as the bytes. seen: how many of the bytes were there in an earlier call
 * that returned HTTP_MORE, 0 for none; saves looking for the end twice.
 */
ssize_t http_parse_head(const char *bytes, size_t len, size_t seen, struct http_head *h)
	__attribute__((warn_unused_result));

/* Whether a byte may be in a token (RFC 9110 5.6.2). */
int http_is_token_char(unsigned char c);

/* Whether a text is a word, compared without case. Inline, for the length of a literal. */
static inline int http_is(struct http_text t, const char *word)
{
	return t.len == strlen(word) && strncasecmp(t.p, word, t.len) == 0;
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
