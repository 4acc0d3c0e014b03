/*
 * The header Authorization, as a user and his password (RFC 7617).
 *
 * Invariants: what is found is text within its bounds, and what is not leaves nothing; made into a header
 * again it is read as the same, in whatever case the scheme is and however many spaces follow.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "fuzz.h"
#include "proto/authorization.h"

static enum authorization_found read_value(const char *p, size_t len,
					   struct authorization_basic *out)
{
	memset(out, 'x', sizeof(*out));
	return authorization_basic((struct http_text){ p, len }, out);
}

static void read_again(const struct authorization_basic *a)
{
	char pair[AUTHORIZATION_USER_MAX + AUTHORIZATION_PASSWORD_MAX + 2], value[1024];
	struct authorization_basic b;
	char *encoded;
	int n = snprintf(pair, sizeof(pair), "%s:%s", a->user, a->password);

	encoded = base64_encode(pair, (size_t)n);
	n = snprintf(value, sizeof(value), "bAsIc   %s", encoded);
	fuzz_require(read_value(value, (size_t)n, &b) == AUTHORIZATION_GOOD);
	fuzz_require(memcmp(a, &b, sizeof(b)) == 0);
	free(encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct authorization_basic nothing;
	struct authorization_basic a;
	struct http_text token;

	if (read_value((const char *)data, size, &a) == AUTHORIZATION_GOOD) {
		fuzz_require(strlen(a.user) <= AUTHORIZATION_USER_MAX && !strchr(a.user, ':'));
		fuzz_require(strlen(a.password) <= AUTHORIZATION_PASSWORD_MAX);
		fuzz_require(!authorization_bearer((struct http_text){ (const char *)data, size },
						   &token));
		read_again(&a);
	} else {
		fuzz_require(memcmp(&a, &nothing, sizeof(a)) == 0);
	}
	return 0;
}
