/*
 * The Origin header: what may be listed, and what each of that lets in.
 */
// links: base proto
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/web_origin.h"

static bool lets_in(const char *listed, const char *origin)
{
	const char *const list[] = { "https://elsewhere.test", listed, NULL };

	return web_origin_allowed((struct http_text){ origin, strlen(origin) }, list);
}

/* Each lets in itself, byte for byte, and none of the others. */
static const char *const literals[] = {
	"file://",
	"file:///android_asset",
	"FILE://",
	"capacitor://localhost",
	"capacitor://LOCALHOST",
	"ionic://localhost",
	"chrome-extension://abcdefghijklmnop",
	"http://[::1]:3000",
	"http://[::1]",
	"https://example.org/app/page",
	"https://example.org/app/Page",
	"https://example.org/",
	"https://example.org",
	"https://example.org:8443",
	"https://example.org.",
	"http://example.org",
};

static void test_literals(void **state)
{
	const size_t count = sizeof(literals) / sizeof(*literals);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		if (web_origin_wrong(literals[i]))
			fail_msg("%s, %s", literals[i], web_origin_wrong(literals[i]));
		for (size_t k = 0; k < count; k++)
			if (lets_in(literals[i], literals[k]) != (i == k))
				fail_msg("%s and %s", literals[i], literals[k]);
	}
}

static const struct {
	const char *listed, *origin;
	bool in;
} rows[] = {
	/* browsers send lower case, whatever the user wrote */
	{ "https://example.org", "HTTPS://EXAMPLE.org", true },
	{ "HTTPS://Example.org:8443", "https://example.org:8443", true },
	{ "https://example.org/Page", "https://EXAMPLE.org/Page", false },
	{ "null", "null", true },
	{ "null", "file://", true },
	{ "null", "NULL", false },
	{ "null", "file:///", false },
	{ "null", "", false },
	{ "file://", "null", false },
	/* any port of http and https */
	{ "*.example.com", "https://a.example.com", true },
	{ "*.example.com", "http://a.b.EXAMPLE.com:8080", true },
	{ "*.example.com", "https://a-1_b.example.com", true },
	{ "*.Example.com", "https://a.example.com", true },
	{ "*.example.com", "capacitor://a.example.com", false },
	{ "*.example.com", "ftp://a.example.com", false },
	{ "*.example.com", "https://example.com", false },
	{ "*.example.com", "https://.example.com", false },
	{ "*.example.com", "https://a..example.com", false },
	{ "*.example.com", "https://badexample.com", false },
	{ "*.example.com", "https://a.example.com.", false },
	{ "*.example.com", "https://a.example.com.evil.org", false },
	{ "*.example.com", "a.example.com", false },
	{ "*.example.com", "null", false },
	{ "*.example.com", "", false },
	/* bytes that no host has, where somebody else may end it */
	{ "*.example.com", "https://evil.org?.example.com", false },
	{ "*.example.com", "https://evil.org#.example.com", false },
	{ "*.example.com", "https://evil.org\\.example.com", false },
	{ "*.example.com", "https://u@x.example.com", false },
	{ "*.example.com", "https://u:p@x.example.com", false },
	{ "*.example.com", "https://evil.org/.example.com", false },
	{ "*.example.com", "https://evil.org:.example.com", false },
	{ "*.example.com", "https://evil.org:80.example.com", false },
	{ "*.example.com", "https://evil.org%2f.example.com", false },
	{ "*.example.com", "https://evil.org .example.com", false },
	{ "*.example.com", "https://evil.org\x01.example.com", false },
	{ "*.example.com", "https://\xc3\xa9.example.com", false },
	{ "*.example.com", "https://evil.org,a.example.com", false },
	{ "*.example.com", "https://[::1].example.com", false },
	{ "*.example.com", "https://a.example.com/", false },
	{ "*.example.com", "https://a.example.com:", false },
	{ "*.example.com", "https://a.example.com:0", false },
	{ "*.example.com", "https://a.example.com:080", false },
	{ "*.example.com", "https://a.example.com:65535", true },
	{ "*.example.com", "https://a.example.com:65536", false },
	{ "*.example.com", "https://a.example.com:4294967376", false },
	{ "*.example.com", "https://a.example.com:8443x", false },
	/* of one scheme, without a port */
	{ "https://*.app.example", "https://a.app.example", true },
	{ "https://*.app.example", "HTTPS://a.b.APP.example", true },
	{ "https://*.app.example", "http://a.app.example", false },
	{ "https://*.app.example", "https://a.app.example:8443", false },
	{ "https://*.app.example", "https://app.example", false },
	{ "https://*.app.example", "https://evil.org?.app.example", false },
	{ "https://*.app.example:8443", "https://a.app.example:8443", true },
	{ "https://*.app.example:8443", "https://a.app.example:8444", false },
	{ "https://*.app.example:8443", "https://a.app.example", false },
	{ "https://*.app.example:*", "https://a.app.example", true },
	{ "https://*.app.example:*", "https://a.app.example:1", true },
	{ "https://*.app.example:*", "https://a.app.example:x", false },
	{ "http://localhost:*", "http://localhost", true },
	{ "http://localhost:*", "http://localhost:3000", true },
	{ "http://localhost:*", "https://localhost:3000", false },
	{ "http://localhost:*", "http://a.localhost:3000", false },
	{ "http://localhost:*", "http://localhost:*", false },
	{ "http://[::1]:*", "http://[::1]:5173", true },
	{ "http://[::1]:*", "http://[::2]:5173", false },
	{ "app://*.host.test", "app://a.host.test", true },
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (web_origin_wrong(rows[i].listed))
			fail_msg("%s, %s", rows[i].listed, web_origin_wrong(rows[i].listed));
		if (lets_in(rows[i].listed, rows[i].origin) != rows[i].in)
			fail_msg("%s and %s", rows[i].listed, rows[i].origin);
	}
}

static void test_no_origin(void **state)
{
	const char *const list[] = { "https://example.org", NULL };

	(void)state;
	assert_true(web_origin_allowed((struct http_text){ NULL, 0 }, list));
}

static void test_wrong(void **state)
{
	static const char *const wrong[] = {
		"",
		"example",
		"example.org",
		"//example.org",
		"https:/example.org",
		"://example.org",
		"1http://a",
		"https://",
		"https://a b",
		"https://a\n",
		"https://\xc3\xa9.org",
		"https://[::1",
		"https://[]",
		"https://[x]",
		"https://a:",
		"https://a:0",
		"https://a:65536",
		"https://a:x",
		"https://u@a",
		"https://a?b",
		"https://a#b",
		"https://a\\b",
		"https://.a",
		"https://a..b",
		"https:///a",
		"http://a:1:2/b",
		"*",
		"*.",
		"*a",
		"**.a",
		"*..a",
		"*.*",
		"*.*.a",
		"a.*",
		"*.a.*",
		"*.a:1",
		"*.a:*",
		"*.a/",
		"*.[::1]",
		"*://a",
		"https://*",
		"https://*a",
		"https://a.*",
		"https://*:*",
		"https://*.a/",
		"https://*.a:x",
		"https://a:**",
		"https://a:8*",
		"https://a/*",
		"http*://a",
		"Null",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		if (!web_origin_wrong(wrong[i]))
			fail_msg("%s can be listed", wrong[i]);
}

/* --- hosts --- */

static const struct {
	const char *listed, *host;
	bool served;
} hosts[] = {
	{ "example.org", "example.org", true },
	{ "example.org", "EXAMPLE.org.", true },
	{ "Example.org.", "example.org:8443", true },
	{ "example.org", "a.example.org", false },
	{ "example.org", "example.org.evil.test", false },
	{ "example.org", "example.org@evil.test", false },
	{ "example.org", "evil.test/example.org", false },
	{ "example.org", "", false },
	{ "example.org", ":80", false },
	{ "example.org:8443", "example.org:8443", true },
	{ "example.org:8443", "example.org", false },
	{ "example.org:8443", "example.org:443", false },
	{ "*.example.org", "a.example.org", true },
	{ "*.example.org", "a.b.EXAMPLE.org.:81", true },
	{ "*.example.org", "example.org", false },
	{ "*.example.org", ".example.org", false },
	{ "*.example.org", "evil.test?.example.org", false },
	{ "*.example.org:81", "a.example.org:81", true },
	{ "*.example.org:81", "a.example.org", false },
	{ "192.0.2.1", "192.0.2.1:8080", true },
	{ "192.0.2.1", "192.0.2.2", false },
	{ "[::1]", "[::1]", true },
	{ "[::1]", "[::1]:8080", true },
	{ "[::1]:80", "[::1]", false },
	{ "[::1]", "::1", false },
	{ "[::1]", "[::1", false },
};

static void test_hosts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++) {
		const char *const list[] = { "elsewhere.test", hosts[i].listed, NULL };
		const struct http_text t = { hosts[i].host, strlen(hosts[i].host) };

		if (web_host_wrong(hosts[i].listed))
			fail_msg("%s, %s", hosts[i].listed, web_host_wrong(hosts[i].listed));
		if (web_host_allowed(t, list) != hosts[i].served)
			fail_msg("%s and %s", hosts[i].listed, hosts[i].host);
	}
	assert_false(web_host_allowed((struct http_text){ NULL, 0 },
				      (const char *const[]){ "elsewhere.test", NULL }));
}

static void test_wrong_hosts(void **state)
{
	static const char *const wrong[] = { "",     "*",   "*.",  "a:",  "a:0",  "a:x",
					     "a:*",  "*a",  "a.*", "a b", "a/",   "https://a",
					     "[::1", "::1", "[x]", ".a",  "a..b", "\xc3\xa9.org" };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		if (!web_host_wrong(wrong[i]))
			fail_msg("%s can be listed", wrong[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_literals),  cmocka_unit_test(test_rows),
		cmocka_unit_test(test_no_origin), cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_hosts),     cmocka_unit_test(test_wrong_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
