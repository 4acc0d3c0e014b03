/*
 * The opening handshake: whatever a request says, the answer is well-formed,
 * fits, and repeats nothing of the peer's that it should not.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "proto/deflate.h"
#include "proto/upgrade.h"
#include "proto/web_origin.h"

static const char *const subprotocols[] = { "chat.v1", "chat.v2", NULL };
static const char *const origins[] = { "https://example.org", "*.example.com",
				       "https://*.example.org:8443", "http://localhost:*", NULL };

/* Lines of printable characters, an empty one, and a body of just that length. */
static void check_response(const char *out, size_t n, bool body)
{
	const char *end = memmem(out, n, "\r\n\r\n", 4), *length;

	fuzz_require(n < UPGRADE_RESPONSE_MAX && end != NULL);
	fuzz_require(strncmp(out, "HTTP/1.1 ", 9) == 0);
	for (const char *p = out; p < end; p++) {
		bool line_end = p[0] == '\r' && p[1] == '\n';

		fuzz_require((*p >= ' ' && *p < 0x7f) || line_end);
		p += line_end;
	}
	length = strstr(out, "Content-Length: ");
	if (body)
		fuzz_require(strtoul(length + 16, NULL, 10) == n - (size_t)(end + 4 - out));
	else
		fuzz_require(end + 4 == out + n);
}

/* Of those that are let in a reader of URLs sees a host that is listed, or below one. */
static void check_origin(struct http_text o)
{
	for (size_t i = 0; i < o.len; i++)
		fuzz_require(isalnum((unsigned char)o.p[i]) || strchr(".-_:/", o.p[i]));
}

static void accept(const struct http_head *h, const struct upgrade *up)
{
	const struct deflate_params wanted = { true, true, true, 14, 13, false };
	char out[UPGRADE_RESPONSE_MAX], line[DEFLATE_HEADER_MAX];
	struct deflate_params agreed;

	deflate_negotiate(h, &wanted, &agreed);
	if (agreed.on) {
		fuzz_require(agreed.server_bits >= 9 && agreed.server_bits <= 14);
		fuzz_require(agreed.client_bits >= 8 && agreed.client_bits <= 15);
	}
	fuzz_require(deflate_write_header(line, &agreed) == strlen(line));
	check_response(out,
		       upgrade_write_accept(out, up, upgrade_subprotocol(h, subprotocols), line),
		       false);
}

/* What is shown of the peer's is printable, whatever it sent. */
static void refuse(const struct refusal *why, bool no_body)
{
	char out[UPGRADE_RESPONSE_MAX];

	fuzz_require(upgrade_status(why->reason) >= 400);
	for (const char *p = refusal_text(why); *p; p++)
		fuzz_require(*p >= ' ' && *p < 0x7f);
	check_response(out, upgrade_write_refusal(out, why, 0, no_body), !no_body);
}

static enum reason judge(const struct http_head *h, struct upgrade *up, struct refusal *why)
{
	refusal_plain(why, REASON_NONE);
	if (upgrade_parse(h, up, why) < 0)
		return why->reason;
	fuzz_require(strlen(up->path) <= UPGRADE_PATH_MAX);
	why->reason = upgrade_check(up);
	if (why->reason == REASON_NONE && !web_origin_allowed(up->origin, origins))
		why->reason = REASON_BAD_ORIGIN;
	return why->reason;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http_head head;
	struct http_progress none = { 0 };
	char *bytes = malloc(size + 1);
	struct upgrade up;
	struct refusal why;
	ssize_t n;

	memcpy(bytes, data, size);
	upgrade_peek(bytes, size, &up);
	fuzz_require(strlen(up.path) <= UPGRADE_PATH_MAX && (!*up.path || *up.path == '/'));
	n = http_parse_head(bytes, size, 8192, &none, &head);
	if (n < 0) {
		refuse(&head.why, false);
	} else if (n > 0 && judge(&head, &up, &why) == REASON_NONE) {
		check_origin(up.origin);
		accept(&head, &up);
	} else if (n > 0) {
		refuse(&why, up.head);
	}
	free(bytes);
	return 0;
}
