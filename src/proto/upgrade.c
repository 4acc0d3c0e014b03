/*
 * upgrade.c - the opening handshake, see upgrade.h.
 */
#include "proto/upgrade.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/bytes.h"

/* RFC 6455 1.3. */
static const char KEY_GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

enum { SHA1_LEN = 20, ACCEPT_LEN = 28 };

static const struct answer {
	enum reason reason;
	int status;
	const char *phrase;
	const char *headers;
} answers[] = {
	{ REASON_BAD_REQUEST, 400, "Bad Request", "" },
	{ REASON_PLAIN_HTTP, 400, "Bad Request", "" },
	{ REASON_MISSING_HOST, 400, "Bad Request", "" },
	{ REASON_BAD_UPGRADE, 400, "Bad Request", "" },
	{ REASON_BAD_KEY, 400, "Bad Request", "" },
	{ REASON_MISSING_VERSION, 400, "Bad Request", "" },
	{ REASON_VERSION_DOUBLED, 400, "Bad Request", "" },
	{ REASON_HTTP_VERSION, 400, "Bad Request", "" },
	{ REASON_TLS_ON_PLAIN_PORT, 400, "Bad Request", "" },
	{ REASON_BAD_TARGET, 400, "Bad Request", "" },
	{ REASON_REQUEST_BODY, 400, "Bad Request", "" },
	{ REASON_TOO_MANY_HEADERS, 400, "Bad Request", "" },
	{ REASON_SUBPROTOCOL_REQUIRED, 400, "Bad Request", "" },
	{ REASON_NO_CREDENTIALS, 401, "Unauthorized", "" },
	{ REASON_BAD_TOKEN, 401, "Unauthorized", "" },
	{ REASON_TOKEN_EXPIRED, 401, "Unauthorized", "" },
	{ REASON_WRONG_AUDIENCE, 401, "Unauthorized", "" },
	{ REASON_BAD_PASSWORD, 401, "Unauthorized", "" },
	{ REASON_BAD_NETWORK, 403, "Forbidden", "" },
	{ REASON_NOT_ALLOWED, 403, "Forbidden", "" },
	{ REASON_BAD_ORIGIN, 403, "Forbidden", "" },
	{ REASON_NOT_FOUND, 404, "Not Found", "" },
	{ REASON_METHOD_NOT_ALLOWED, 405, "Method Not Allowed", "" },
	{ REASON_HANDSHAKE_TIMEOUT, 408, "Request Timeout", "" },
	{ REASON_BAD_HOST, 421, "Misdirected Request", "" },
	{ REASON_UPGRADE_REQUIRED, 426, "Upgrade Required",
	  "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" },
	{ REASON_TOO_MANY_FROM_ADDRESS, 429, "Too Many Requests", "" },
	{ REASON_TOO_MANY_FROM_USER, 429, "Too Many Requests", "" },
	{ REASON_CONNECTION_RATE, 429, "Too Many Requests", "" },
	{ REASON_TOO_MANY_FAILURES, 429, "Too Many Requests", "" },
	{ REASON_HEAD_TOO_LARGE, 431, "Request Header Fields Too Large", "" },
	{ REASON_TOO_MANY_CONNECTIONS, 503, "Service Unavailable", "Retry-After: 5\r\n" },
	{ REASON_TOO_MANY_HANDSHAKES, 503, "Service Unavailable", "Retry-After: 5\r\n" },
	{ REASON_ROOM_FULL, 503, "Service Unavailable", "Retry-After: 5\r\n" },
	{ REASON_ROOMS_FULL, 503, "Service Unavailable", "Retry-After: 5\r\n" },
	{ REASON_BUSY, 503, "Service Unavailable", "Retry-After: 5\r\n" },
	{ REASON_DRAINED, 503, "Service Unavailable", "Retry-After: 5\r\n" },
	{ REASON_SHUTDOWN, 503, "Service Unavailable", "Retry-After: 5\r\n" },
	{ REASON_NO_MEMORY, 503, "Service Unavailable", "Retry-After: 5\r\n" },
};

static const struct answer *find_answer(enum reason r)
{
	const size_t count = sizeof(answers) / sizeof(*answers);

	for (size_t i = 0; i < count; i++)
		if (answers[i].reason == r)
			return &answers[i];
	return &answers[count - 1];
}

int upgrade_status(enum reason r)
{
	return find_answer(r)->status;
}

/*
 * The path of a target in origin form, or in absolute form as a proxy writes it; then *host is what that
 * names, else it stays.
 */
static int find_path(struct http_text *t, struct http_text *host)
{
	static const char *const schemes[] = { "http://", "https://", "ws://", "wss://" };

	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
		size_t n = strlen(schemes[i]), from;

		if (t->len <= n || strncasecmp(t->p, schemes[i], n) != 0)
			continue;
		/* Not a slash of the query, in "ws://host?a=/b". */
		from = n;
		while (n < t->len && !strchr("/?#", t->p[n]))
			n++;
		if (n == from)
			return -1;
		*host = (struct http_text){ t->p + from, n - from };
		t->p += n;
		t->len -= n;
		break;
	}
	return t->len > 0 && t->p[0] == '/' ? 0 : -1;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int upgrade_decode_path(struct http_text t, char out[UPGRADE_PATH_MAX + 1], struct refusal *why)
{
	size_t n = 0;

	for (size_t i = 0; i < t.len && t.p[i] != '?'; i++) {
		int c = (unsigned char)t.p[i];

		if (c == '#')
			return refusal_set(why, REASON_BAD_TARGET,
					   "the request's target has a \"#\", which is never sent");
		if (c == '%') {
			int high = i + 2 < t.len ? hex(t.p[i + 1]) : -1;
			int low = i + 2 < t.len ? hex(t.p[i + 2]) : -1;

			if (high < 0 || low < 0)
				return refusal_set(why, REASON_BAD_TARGET,
						   "a \"%%\" in the request's target has no two "
						   "hexadecimal digits behind it");
			c = high << 4 | low;
			i += 2;
		}
		if (c == 0)
			return refusal_set(why, REASON_BAD_TARGET,
					   "the request's target has a byte 0x00");
		if (n < UPGRADE_PATH_MAX)
			out[n] = (char)c;
		n++;
	}
	out[n <= UPGRADE_PATH_MAX ? n : 0] = '\0';
	return 0;
}

static void copy_path(struct http_text t, char out[UPGRADE_PATH_MAX + 1])
{
	size_t n = 0;

	while (n < t.len && n < UPGRADE_PATH_MAX && t.p[n] && t.p[n] != '?' && t.p[n] != '#') {
		out[n] = t.p[n];
		n++;
	}
	out[n] = '\0';
}

/* Up to its query. */
static struct http_text without_query(struct http_text t)
{
	const char *query = memchr(t.p, '?', t.len);

	return (struct http_text){ t.p, query ? (size_t)(query - t.p) : t.len };
}

static void begin(struct upgrade *up, struct http_text method)
{
	*up->path = '\0';
	up->raw = (struct http_text){ "", 0 };
	up->websocket = up->version13 = false;
	up->host = up->origin = up->authorization = (struct http_text){ NULL, 0 };
	up->get = method.len == 3 && memcmp(method.p, "GET", 3) == 0;
	up->head = method.len == 4 && memcmp(method.p, "HEAD", 4) == 0;
}

/* The next word of a line that ends at `end`, and is not the last; p NULL: there is none. */
static struct http_text next_word(const char *p, const char *end)
{
	const char *to = memchr(p, ' ', (size_t)(end - p));

	return (struct http_text){ to ? p : NULL, to ? (size_t)(to - p) : 0 };
}

void upgrade_peek(const char *bytes, size_t len, struct upgrade *up)
{
	size_t at = len >= 2 && memcmp(bytes, "\r\n", 2) == 0 ? 2 : 0;
	const char *end = memchr(bytes + at, '\n', len - at);
	struct http_text method = { NULL, 0 }, target;
	struct refusal why;

	if (at < len && http_is_token_char((unsigned char)bytes[at]))
		method = next_word(bytes + at, end ? end : bytes + len);
	begin(up, method);
	if (!method.p || !end)
		return;
	target = next_word(method.p + method.len + 1, end);
	if (!target.p) {
		target.p = method.p + method.len + 1;
		target.len = (size_t)(end - target.p) - (end[-1] == '\r' ? 1 : 0);
	}
	if (find_path(&target, &up->host) < 0)
		return;
	up->raw = without_query(target);
	if (upgrade_decode_path(target, up->path, &why) < 0)
		copy_path(target, up->path);
}

/* A header of which there may be one at most. p NULL: none. -1: there are more. */
static int find_single(const struct http_head *h, const char *name, struct http_text *value,
		       struct refusal *why)
{
	const struct http_header *x = http_find(h, name, NULL);

	if (x && http_find(h, name, x))
		return refusal_set(why, REASON_BAD_REQUEST, "the request has %s more than once",
				   name);
	*value = x ? x->value : (struct http_text){ NULL, 0 };
	return 0;
}

/* The header if it is there exactly once. */
static const struct http_header *find_only(const struct http_head *h, const char *name)
{
	const struct http_header *x = http_find(h, name, NULL);

	return x && !http_find(h, name, x) ? x : NULL;
}

static bool is_base64_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '+' || c == '/';
}

/*
 * Sixteen bytes in canonical base64 (RFC 4648 3.5): 22 characters, of which the last
 * carries two bits and four zeroes, and "==".
 */
static bool is_key(struct http_text t)
{
	const size_t chars = UPGRADE_KEY_LEN - 2;

	if (t.len != UPGRADE_KEY_LEN || memcmp(t.p + chars, "==", 2) != 0)
		return false;
	for (size_t i = 0; i < chars; i++)
		if (!is_base64_char(t.p[i]))
			return false;
	return memchr("AQgw", t.p[chars - 1], 4) != NULL;
}

/* A GET has no body; one announced here would be taken for frames. */
static int check_body(const struct http_head *h, struct refusal *why)
{
	const struct http_header *length = NULL;
	const char *name = NULL;

	while ((length = http_find(h, "Content-Length", length)))
		if (!http_is(length->value, "0"))
			name = "Content-Length";
	if (http_find(h, "Transfer-Encoding", NULL))
		name = "Transfer-Encoding";
	if (!name)
		return 0;
	return refusal_set(why, REASON_REQUEST_BODY, "an upgrade has no body: leave out %s", name);
}

static int parse_websocket(const struct http_head *h, struct upgrade *up, struct refusal *why)
{
	const struct http_header *key = find_only(h, "Sec-WebSocket-Key");
	const struct http_header *version = http_find(h, "Sec-WebSocket-Version", NULL);

	if (h->minor < 1)
		return refusal_set(why, REASON_HTTP_VERSION,
				   "the request is HTTP/1.0, and an upgrade needs HTTP/1.1; nginx "
				   "sends that with \"proxy_http_version 1.1\"");
	if (check_body(h, why) < 0)
		return -1;
	if (!http_has_token(h, "Connection", "upgrade"))
		return refusal_plain(why, REASON_BAD_UPGRADE);
	if (!key || !is_key(key->value))
		return refusal_plain(why, REASON_BAD_KEY);
	if (!version)
		return refusal_plain(why, REASON_MISSING_VERSION);
	if (http_find(h, "Sec-WebSocket-Version", version))
		return refusal_plain(why, REASON_VERSION_DOUBLED);
	memcpy(up->key, key->value.p, UPGRADE_KEY_LEN);
	up->version13 = http_is(version->value, "13");
	return 0;
}

int upgrade_parse_line(const struct http_head *h, struct upgrade *up, struct refusal *why)
{
	struct http_text target = h->target;

	begin(up, h->method);
	if (find_path(&target, &up->host) < 0)
		return refusal_set(why, REASON_BAD_TARGET,
				   "the request's target is no path that begins with \"/\"");
	if (upgrade_decode_path(target, up->path, why) < 0) {
		*up->path = '\0';
		return -1;
	}
	up->raw = without_query(target);
	return 0;
}

int upgrade_parse(const struct http_head *h, struct upgrade *up, struct refusal *why)
{
	const struct http_header *host;

	if (upgrade_parse_line(h, up, why) < 0)
		return -1;
	host = find_only(h, "Host");
	if (h->minor >= 1 && !host)
		return refusal_plain(why, REASON_MISSING_HOST);
	/* that of the target comes first (RFC 9112 3.2.2) */
	if (host && !up->host.p)
		up->host = host->value;
	if (find_single(h, "Origin", &up->origin, why) < 0 ||
	    find_single(h, "Authorization", &up->authorization, why) < 0)
		return -1;
	up->websocket = http_has_token(h, "Upgrade", "websocket");
	return up->websocket ? parse_websocket(h, up, why) : 0;
}

enum reason upgrade_check(const struct upgrade *up)
{
	if (!up->get)
		return REASON_METHOD_NOT_ALLOWED;
	return up->websocket && up->version13 ? REASON_NONE : REASON_UPGRADE_REQUIRED;
}

/* Subprotocol names are compared with case (RFC 6455 11.3.4). */
static const char *find_name(const char *const *names, struct http_text t)
{
	for (; *names; names++)
		if (strlen(*names) == t.len && memcmp(*names, t.p, t.len) == 0)
			return *names;
	return NULL;
}

const char *upgrade_subprotocol(const struct http_head *h, const char *const *offered)
{
	const struct http_header *x = NULL;

	if (!offered)
		return NULL;
	while ((x = http_find(h, "Sec-WebSocket-Protocol", x))) {
		struct http_text list = x->value, element;

		while (http_list_next(&list, &element)) {
			const char *name = find_name(offered, element);

			if (name)
				return name;
		}
	}
	return NULL;
}

/*
 * The digest and its context are made once: that is most of the work. Without memory for
 * them the answer is one that the client does not believe.
 */
static void sha1(const void *bytes, size_t n, unsigned char out[SHA1_LEN])
{
	static EVP_MD *md;
	static EVP_MD_CTX *ctx;

	if (!md)
		md = EVP_MD_fetch(NULL, "SHA1", NULL);
	if (!ctx)
		ctx = EVP_MD_CTX_new();
	if (!md || !ctx || EVP_DigestInit_ex2(ctx, md, NULL) != 1 ||
	    EVP_DigestUpdate(ctx, bytes, n) != 1 || EVP_DigestFinal_ex(ctx, out, NULL) != 1)
		memset(out, 0, SHA1_LEN);
}

static char *put_accept(char *out, const char *key)
{
	unsigned char text[UPGRADE_KEY_LEN + sizeof(KEY_GUID) - 1], digest[SHA1_LEN];

	memcpy(text, key, UPGRADE_KEY_LEN);
	memcpy(text + UPGRADE_KEY_LEN, KEY_GUID, sizeof(KEY_GUID) - 1);
	sha1(text, sizeof(text), digest);
	return out + EVP_EncodeBlock((unsigned char *)out, digest, SHA1_LEN);
}

/* Inline, for the length of a literal. */
static inline __attribute__((always_inline)) char *put(char *out, const char *text)
{
	return (char *)bytes_copy(out, text, strlen(text));
}

size_t upgrade_write_accept(char *out, const struct upgrade *up, const char *subprotocol,
			    const char *extensions)
{
	char *p = put(out, "HTTP/1.1 101 Switching Protocols\r\n"
			   "Upgrade: websocket\r\n"
			   "Connection: Upgrade\r\n"
			   "Sec-WebSocket-Accept: ");

	p = put(put_accept(p, up->key), "\r\n");
	if (subprotocol)
		p = put(put(put(p, "Sec-WebSocket-Protocol: "), subprotocol), "\r\n");
	p = put(put(p, extensions), "\r\n");
	*p = '\0';
	return (size_t)(p - out);
}

static void format_date(long long now, char *out, size_t size)
{
	time_t t = (time_t)now;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, size, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

struct response {
	int status;
	const char *phrase, *connection;
	const char *more, *allow; /* header lines, and the value of Allow; NULL: none */
	const char *body;
	unsigned retry_after; /* 0: more says it, or nothing does */
	bool no_body;
};

static size_t write_response(char *out, const struct response *r, long long now)
{
	char date[64], retry[40] = "";

	format_date(now, date, sizeof(date));
	if (r->retry_after > 0)
		snprintf(retry, sizeof(retry), "Retry-After: %u\r\n", r->retry_after);
	return (size_t)snprintf(out, UPGRADE_RESPONSE_MAX,
				"HTTP/1.1 %d %s\r\n"
				"Date: %s\r\n"
				"Server: ignyxd\r\n"
				"Content-Type: text/plain; charset=utf-8\r\n"
				"Content-Length: %zu\r\n"
				"Connection: %s\r\n"
				"%s%s%s%s%s"
				"\r\n"
				"%s",
				r->status, r->phrase, date, strlen(r->body), r->connection, r->more,
				retry, r->allow ? "Allow: " : "", r->allow ? r->allow : "",
				r->allow ? "\r\n" : "", r->no_body ? "" : r->body);
}

enum { CHALLENGES_MAX = 192 };

static bool is_bad_token(enum reason r)
{
	return r == REASON_BAD_TOKEN || r == REASON_TOKEN_EXPIRED || r == REASON_WRONG_AUDIENCE;
}

/* The schemes that would do (RFC 9110 11.6.1), each in a line of its own, as some clients read the first. */
static void write_challenges(char out[CHALLENGES_MAX], const struct refusal *why)
{
	snprintf(out, CHALLENGES_MAX, "%s%s%s%s",
		 why->bearer ? "WWW-Authenticate: Bearer realm=\"ignyxd\"" : "",
		 why->bearer && is_bad_token(why->reason) ? ", error=\"invalid_token\"" : "",
		 why->bearer ? "\r\n" : "",
		 why->basic ? "WWW-Authenticate: Basic realm=\"ignyxd\", charset=\"UTF-8\"\r\n"
			    : "");
}

size_t upgrade_write_refusal(char *out, const struct refusal *why, long long now, bool no_body)
{
	const struct answer *a = find_answer(why->reason);
	char body[256], challenges[CHALLENGES_MAX];
	struct response r = {
		.status = a->status,
		.phrase = a->phrase,
		.connection = a->reason == REASON_UPGRADE_REQUIRED ? "close, Upgrade" : "close",
		.more = a->headers,
		.body = body,
		.retry_after = why->retry_after,
		.no_body = no_body,
	};

	if (a->status == 401) {
		write_challenges(challenges, why);
		r.more = challenges;
	}
	if (a->reason == REASON_METHOD_NOT_ALLOWED)
		r.allow = why->allow ? why->allow : "GET";
	snprintf(body, sizeof(body), "%s: %s\n", reason_word(why->reason), refusal_text(why));
	return write_response(out, &r, now);
}

size_t upgrade_write_health(char *out, bool serves, long long now, bool no_body)
{
	struct response r = {
		.status = serves ? 200 : 503,
		.phrase = serves ? "OK" : "Service Unavailable",
		.connection = "close",
		.more = "Cache-Control: no-store\r\n",
		.body = serves ? "ok\n" : "stopping\n",
		.no_body = no_body,
	};

	return write_response(out, &r, now);
}
