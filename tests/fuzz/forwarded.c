/*
 * Who is the client, by header. The first byte chooses which, each line is the
 * value of one header.
 *
 * Invariant: whatever stood in the list before, the hop that a proxy adds at its
 * end is the client if it is not trusted; if it is, it changes nothing, or is the
 * client where there was none.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fuzz.h"
#include "proto/forwarded.h"

enum { ADDED_MAX = 64 };

static struct http_head head;

/* Half of all addresses, but for those of the documentation's networks. */
static bool is_trusted(const struct forwarded_address *a, void *arg)
{
	(void)arg;
	fuzz_require(a->family == AF_INET || a->family == AF_INET6);
	return a->address[0] == 10 || (a->address[0] & 1 && a->address[0] != 203);
}

/* The lines in p[n] as headers of a name, with white space around them cut off as by http.c. */
static void fill_head(const char *name, const char *p, size_t n)
{
	head.count = 0;
	while (head.count < HTTP_HEADERS_MAX) {
		const char *lf = memchr(p, '\n', n);
		size_t len = lf ? (size_t)(lf - p) : n;

		head.headers[head.count++] =
			(struct http_header){ .name = { name, strlen(name) }, .value = { p, len } };
		if (!lf)
			break;
		p += len + 1;
		n -= len + 1;
	}
}

static bool same(const struct forwarded_address *a, const struct forwarded_address *b)
{
	return a->family == b->family && a->port == b->port &&
	       memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

struct added {
	const char *text;
	int family;
	const char *address;
	uint16_t port;
	bool trusted;
};

static const struct added added_plain[] = {
	{ ", 203.0.113.7", AF_INET, "203.0.113.7", 0, false },
	{ ",[2001:db8::7]:4711", AF_INET6, "2001:db8::7", 4711, false },
	{ ", 10.0.0.1", AF_INET, "10.0.0.1", 0, true },
};

static const struct added added_rfc7239[] = {
	{ ", for=203.0.113.7", AF_INET, "203.0.113.7", 0, false },
	{ ",for=\"[2001:db8::7]:4711\";by=\"[::1]\"", AF_INET6, "2001:db8::7", 4711, false },
	{ ", for=\"10.0.0.1:_x\";proto=http", AF_INET, "10.0.0.1", 0, true },
};

/* What a proxy adds goes to the end of the last header. */
static void check_added(enum forwarded_kind kind, const struct added *added, bool any,
			const struct forwarded_address *before)
{
	struct http_text *last = &head.headers[head.count - 1].value, old = *last;
	struct forwarded_address expected = { .family = (uint8_t)added->family,
					      .port = added->port };
	struct forwarded_address now;
	char *text = malloc(old.len + ADDED_MAX);

	if (old.len > 0)
		memcpy(text, old.p, old.len);
	strcpy(text + old.len, added->text);
	*last = (struct http_text){ text, old.len + strlen(added->text) };
	inet_pton(added->family, added->address, expected.address);
	fuzz_require(forwarded_client(&head, kind, is_trusted, NULL, &now));
	fuzz_require(same(&now, added->trusted && any ? before : &expected));
	free(text);
	*last = old;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "X-Forwarded-For", "Forwarded", "X-Real-IP" };
	struct forwarded_address client;
	enum forwarded_kind kind;
	char *bytes;
	bool any;

	if (size == 0)
		return 0;
	kind = FORWARDED_X_FORWARDED_FOR + data[0] % 3;
	bytes = malloc(size);
	memcpy(bytes, data + 1, size - 1);
	fill_head(names[kind - FORWARDED_X_FORWARDED_FOR], bytes, size - 1);
	any = forwarded_client(&head, kind, is_trusted, NULL, &client);
	if (any)
		fuzz_require(client.family == AF_INET || client.family == AF_INET6);
	for (size_t i = 0; i < 3 && kind != FORWARDED_X_REAL_IP; i++)
		check_added(kind, (kind == FORWARDED_RFC7239 ? added_rfc7239 : added_plain) + i,
			    any, &client);
	free(bytes);
	return 0;
}
