/*
 * Who is the client, by header. Trusted are 10.0.0.0/8 and 2001:db8:aa::/48.
 */
// links: base proto
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <sys/socket.h>

#include "base/cidr.h"
#include "proto/forwarded.h"

enum { MAX_HEADERS = 4 };

static struct http_head head;

static bool is_trusted(const struct forwarded_address *a, void *arg)
{
	const char *const *blocks = arg;
	struct cidr c;

	for (; *blocks; blocks++) {
		assert_true(cidr_parse(*blocks, &c));
		if (cidr_match(&c, a->family, a->address))
			return true;
	}
	return false;
}

/* "address port" of the client, or "" if the peer is it. */
static const char *find_client(enum forwarded_kind kind)
{
	static const char *blocks[] = { "10.0.0.0/8", "2001:db8:aa::/48", NULL };
	static char out[INET6_ADDRSTRLEN + 8];
	struct forwarded_address a;

	if (!forwarded_client(&head, kind, is_trusted, blocks, &a))
		return "";
	assert_non_null(inet_ntop(a.family, a.address, out, INET6_ADDRSTRLEN));
	snprintf(out + strlen(out), 8, " %u", a.port);
	return out;
}

static void add_header(const char *name, const char *value)
{
	head.headers[head.count++] = (struct http_header){ .name = { name, strlen(name) },
							   .value = { value, strlen(value) } };
}

struct row {
	const char *client;
	const char *values[MAX_HEADERS]; /* of headers of that name */
};

static void check(const struct row *rows, size_t count, const char *name, enum forwarded_kind kind)
{
	for (size_t i = 0; i < count; i++) {
		head.count = 0;
		add_header("Host", "203.0.113.9");
		for (size_t k = 0; k < MAX_HEADERS && rows[i].values[k]; k++) {
			add_header(name, rows[i].values[k]);
			add_header("X-Other", "203.0.113.8");
		}
		if (strcmp(find_client(kind), rows[i].client) != 0)
			fail_msg("%s: %s ...: %s, not %s", name,
				 rows[i].values[0] ? rows[i].values[0] : "none", find_client(kind),
				 rows[i].client);
	}
}

static const struct row plain[] = {
	{ "", { NULL } },
	{ "", { "" } },
	{ "", { " , ,," } },
	{ "192.0.2.1 0", { "192.0.2.1" } },
	{ "192.0.2.1 4711", { "192.0.2.1:4711" } },
	{ "2001:db8::1 0", { "2001:db8::1" } },
	{ "2001:db8::1 0", { "[2001:DB8::1]" } },
	{ "2001:db8::1 4711", { "[2001:db8::1]:4711" } },
	{ "::ffff:192.0.2.1 0", { "::ffff:192.0.2.1" } },
	/* the right-most that is not trusted */
	{ "192.0.2.1 0", { "203.0.113.1, 192.0.2.1" } },
	{ "192.0.2.1 0", { "203.0.113.1, 192.0.2.1, 10.0.0.1" } },
	{ "192.0.2.1 0", { "203.0.113.1,192.0.2.1 ,\t10.0.0.1:80,[2001:db8:aa::1]:80,," } },
	{ "192.0.2.1 0", { "203.0.113.1, 192.0.2.1, ::ffff:10.0.0.1" } },
	{ "192.0.2.1 0", { "10.0.0.9, 192.0.2.1, 10.0.0.1" } },
	/* several are one list */
	{ "192.0.2.1 0", { "203.0.113.1", "192.0.2.1", "10.0.0.1" } },
	{ "192.0.2.1 0", { "203.0.113.1, 192.0.2.1", "", "10.0.0.1, 10.0.0.2" } },
	/* all are trusted: the farthest */
	{ "10.0.0.1 0", { "10.0.0.1" } },
	{ "10.0.0.1 7", { "10.0.0.1:7, 10.0.0.2", "2001:db8:aa::1" } },
	/* what cannot be read ends the walk */
	{ "", { "unknown" } },
	{ "", { "203.0.113.1, unknown" } },
	{ "10.0.0.1 0", { "203.0.113.1, unknown, 10.0.0.1" } },
	{ "10.0.0.1 0", { "203.0.113.1, unknown, 10.0.0.1, 10.0.0.2" } },
	{ "10.0.0.1 0", { "203.0.113.1", "_hidden", "10.0.0.1" } },
	{ "192.0.2.1 0", { "unknown, 192.0.2.1, 10.0.0.1" } },
	{ "", { "192.0.2.1, 10.0.0.01" } },
	{ "", { "192.0.2.1, 10.0.0" } },
	{ "", { "192.0.2.1, 10.0.0.1.1" } },
	{ "", { "192.0.2.1, 10.0.0.1 10.0.0.2" } },
	{ "", { "192.0.2.1, \"10.0.0.1\"" } },
	{ "", { "192.0.2.1, 10.0.0.1:" } },
	{ "", { "192.0.2.1, 10.0.0.1:65536" } },
	{ "", { "192.0.2.1, 10.0.0.1:000080" } },
	{ "", { "192.0.2.1, 10.0.0.1:8o" } },
	{ "", { "192.0.2.1, 10.0.0.1:-1" } },
	{ "", { "192.0.2.1, :80" } },
	{ "", { "192.0.2.1, [10.0.0.1]" } },
	{ "", { "192.0.2.1, [2001:db8:aa::1" } },
	{ "", { "192.0.2.1, 2001:db8:aa::1]" } },
	{ "", { "192.0.2.1, [2001:db8:aa::1]80" } },
	{ "", { "192.0.2.1, [2001:db8:aa::1]:" } },
	{ "", { "192.0.2.1, [2001:db8:aa::1]]" } },
	{ "", { "192.0.2.1, [[2001:db8:aa::1]]" } },
	{ "", { "192.0.2.1, []" } },
	{ "", { "192.0.2.1, [" } },
	{ "", { "192.0.2.1, fe80::1%eth0" } },
	{ "", { "192.0.2.1, localhost" } },
};

static void test_x_forwarded_for(void **state)
{
	(void)state;
	check(plain, sizeof(plain) / sizeof(*plain), "x-forwarded-FOR", FORWARDED_X_FORWARDED_FOR);
}

static const struct row rfc7239[] = {
	{ "", { NULL } },
	{ "", { "" } },
	{ "", { " , ," } },
	{ "192.0.2.1 0", { "for=192.0.2.1" } },
	{ "192.0.2.1 0", { "FOR=\"192.0.2.1\"" } },
	{ "192.0.2.1 4711", { "For=\"192.0.2.1:4711\"" } },
	{ "192.0.2.1 0", { "for=\"192.0.2.1:_port\"" } },
	{ "2001:db8::1 0", { "for=\"[2001:db8::1]\"" } },
	{ "2001:db8::1 4711", { "for=\"[2001:db8::1]:4711\"" } },
	{ "192.0.2.1 0", { "for=\"\\192.0\\.2.1\"" } },
	/* without the quotes it should have */
	{ "2001:db8::1 4711", { "for=[2001:db8::1]:4711" } },
	{ "192.0.2.1 4711", { "for=192.0.2.1:4711" } },
	/* other parameters, in any place */
	{ "192.0.2.1 0", { "for=192.0.2.1;proto=http;by=203.0.113.43" } },
	{ "192.0.2.1 0",
	  { "by=203.0.113.43 ; proto=https;\tFor=192.0.2.1;ext=\"a,b;for=x\\\"\"" } },
	{ "192.0.2.1 0", { "for=192.0.2.1;" } },
	{ "192.0.2.1 0", { "for=192.0.2.1;;proto=http" } },
	/* the walk */
	{ "192.0.2.1 0",
	  { "for=203.0.113.1, for=192.0.2.1,for=10.0.0.1;by=\"_x\" ,for=10.0.0.2" } },
	{ "192.0.2.1 0",
	  { "for=203.0.113.1", "for=192.0.2.1;host=\"a,b\", for=10.0.0.1",
	    "for=\"[2001:db8:aa::1]:1\"" } },
	{ "10.0.0.1 0", { "for=10.0.0.1, , for=10.0.0.2" } },
	{ "10.0.0.1 0", { "for=203.0.113.1, for=unknown, for=10.0.0.1" } },
	{ "10.0.0.1 0", { "for=203.0.113.1, for=\"_gazonk\", for=10.0.0.1" } },
	{ "10.0.0.1 0", { "for=203.0.113.1, for=_hidden;by=x, for=10.0.0.1" } },
	{ "", { "for=203.0.113.1, proto=http" } },
	{ "", { "for=203.0.113.1, ;" } },
	{ "", { "for=192.0.2.1;for=192.0.2.2" } },
	{ "", { "for=203.0.113.1, for=192.0.2.1;For=192.0.2.1" } },
	/* malformed */
	{ "", { "192.0.2.1" } },
	{ "", { "for" } },
	{ "", { "for=" } },
	{ "", { "for=\"" } },
	{ "", { "for=\"192.0.2.1" } },
	{ "", { "for=\"192.0.2.1\\" } },
	{ "", { "for=\"192.0.2.1\"x" } },
	{ "", { "for=192.0.2.1\"" } },
	{ "", { "for =192.0.2.1" } },
	{ "", { "for= 192.0.2.1" } },
	{ "", { "for=192.0.2.1 proto=http" } },
	{ "", { "for=192.0.2.1;proto=" } },
	{ "", { "for=192.0.2.1;proto" } },
	{ "", { "=192.0.2.1" } },
	{ "", { "for=\" 192.0.2.1\"" } },
	{ "", { "for=\"192.0.2.1:_\"" } },
	{ "", { "for=\"192.0.2.1:_a:\"" } },
	{ "", { "for=\"0000000000000000000000000000000000000000000000000000000192.0.2.1\"" } },
	{ "", { "for=192.0.2.1, for=\"10.0.0.1" } },
	{ "10.0.0.1 0", { "for=192.0.2.1, for=\"10.0.0.2\"x, for=10.0.0.1" } },
	/* a client's open quote does not swallow what a proxy added */
	{ "192.0.2.1 0", { "for=\"203.0.113.1, for=192.0.2.1" } },
	{ "192.0.2.1 0", { "for=203.0.113.1;x=\", for=192.0.2.1" } },
	{ "192.0.2.1 0", { "for=203.0.113.1;x=\"\\, for=192.0.2.1, for=10.0.0.1" } },
	{ "2001:db8::1 1", { "for=203.0.113.1;x=\", for=\"[2001:db8::1]:1\"" } },
	{ "2001:db8::1 1", { "for=203.0.113.1;x=\", for=\"[2001:db8::1]:1\";by=\"[::1]\"" } },
	{ "2001:db8::1 1", { "for=203.0.113.1, x=\"y, for=\"[2001:db8::1]:1\", for=10.0.0.1" } },
};

static void test_rfc7239(void **state)
{
	(void)state;
	check(rfc7239, sizeof(rfc7239) / sizeof(*rfc7239), "Forwarded", FORWARDED_RFC7239);
}

static const struct row real_ip[] = {
	{ "", { NULL } },
	{ "", { "" } },
	{ "192.0.2.1 0", { "192.0.2.1" } },
	{ "192.0.2.1 80", { "192.0.2.1:80" } },
	{ "2001:db8::1 0", { "2001:db8::1" } },
	{ "10.0.0.1 0", { "10.0.0.1" } }, /* also one that is trusted */
	{ "", { "192.0.2.1, 192.0.2.2" } },
	{ "", { "192.0.2.1,", NULL } },
	{ "", { "192.0.2.1", "192.0.2.1" } },
	{ "", { "unknown" } },
};

static void test_x_real_ip(void **state)
{
	(void)state;
	check(real_ip, sizeof(real_ip) / sizeof(*real_ip), "X-Real-Ip", FORWARDED_X_REAL_IP);
}

/* A header that was not chosen may come from the client itself. */
static void test_only_the_chosen(void **state)
{
	(void)state;
	head.count = 0;
	add_header("X-Forwarded-For", "192.0.2.1");
	add_header("Forwarded", "for=192.0.2.2");
	add_header("X-Real-IP", "192.0.2.3");
	assert_string_equal(find_client(FORWARDED_X_FORWARDED_FOR), "192.0.2.1 0");
	assert_string_equal(find_client(FORWARDED_RFC7239), "192.0.2.2 0");
	assert_string_equal(find_client(FORWARDED_X_REAL_IP), "192.0.2.3 0");
	assert_string_equal(find_client(FORWARDED_NONE), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_x_forwarded_for),
		cmocka_unit_test(test_rfc7239),
		cmocka_unit_test(test_x_real_ip),
		cmocka_unit_test(test_only_the_chosen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
