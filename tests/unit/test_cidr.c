/*
 * Blocks of addresses: what is one, and what is in it.
 */
// links: base
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <sys/socket.h>

#include "base/cidr.h"

static void test_right(void **state)
{
	static const struct {
		const char *text;
		int family, bits;
		const char *address;
	} rows[] = {
		{ "10.0.0.0/8", AF_INET, 8, "10.0.0.0" },
		{ "0.0.0.0/0", AF_INET, 0, "0.0.0.0" },
		{ "192.0.2.128/25", AF_INET, 25, "192.0.2.128" },
		{ "192.0.2.1/32", AF_INET, 32, "192.0.2.1" },
		{ "192.0.2.1", AF_INET, 32, "192.0.2.1" },
		{ "2001:db8::/32", AF_INET6, 32, "2001:db8::" },
		{ "2001:db8:8000::/33", AF_INET6, 33, "2001:db8:8000::" },
		{ "::/0", AF_INET6, 0, "::" },
		{ "::1", AF_INET6, 128, "::1" },
		{ "2001:DB8::1/128", AF_INET6, 128, "2001:db8::1" },
		/* mapped: a block of IPv4 */
		{ "::ffff:10.0.0.0/104", AF_INET, 8, "10.0.0.0" },
		{ "::ffff:0:0/96", AF_INET, 0, "0.0.0.0" },
		{ "::ffff:192.0.2.1", AF_INET, 32, "192.0.2.1" },
	};
	uint8_t address[16];
	struct cidr c;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (!cidr_parse(rows[i].text, &c))
			fail_msg("%s is one", rows[i].text);
		assert_int_equal(c.family, rows[i].family);
		assert_int_equal(c.bits, rows[i].bits);
		assert_int_equal(inet_pton(rows[i].family, rows[i].address, address), 1);
		assert_memory_equal(c.address, address, rows[i].family == AF_INET ? 4 : 16);
	}
}

static void test_wrong(void **state)
{
	static const char *const texts[] = {
		"",
		"/",
		"/8",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0.0/-1",
		"10.0.0.0/+8",
		"10.0.0.0/08",
		"10.0.0.0/ 8",
		"10.0.0.0/8 ",
		" 10.0.0.0/8",
		"10.0.0.0/8/8",
		"10.0.0.0/8x",
		"10.0.0.0/4294967304",
		"10.0.0/8",
		"010.0.0.0/8",
		"256.0.0.0/8",
		"2001:db8::/129",
		"2001:db8::1::/64",
		"[2001:db8::]/32",
		"fe80::1%eth0",
		"localhost",
		"*",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb",
		/* bits behind the prefix */
		"10.0.0.1/8",
		"10.128.0.0/8",
		"192.0.2.64/25",
		"0.0.0.1/0",
		"2001:db8::1/32",
		"2001:db8:4000::/33",
		"::1/0",
		"::1/127",
		"::ffff:0:0/90",
		"::ffff:10.0.0.1/104",
	};
	struct cidr c;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (cidr_parse(texts[i], &c))
			fail_msg("%s is none", texts[i]);
}

static void test_match(void **state)
{
	static const struct {
		const char *block;
		const char *address;
		bool in;
	} rows[] = {
		{ "10.0.0.0/8", "10.255.255.255", true },
		{ "10.0.0.0/8", "11.0.0.0", false },
		{ "10.0.0.0/8", "9.255.255.255", false },
		{ "192.0.2.128/25", "192.0.2.128", true },
		{ "192.0.2.128/25", "192.0.2.127", false },
		{ "192.0.2.0/31", "192.0.2.1", true },
		{ "192.0.2.0/31", "192.0.2.2", false },
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.0", false },
		{ "0.0.0.0/0", "255.255.255.255", true },
		{ "0.0.0.0/0", "2001:db8::1", false },
		{ "2001:db8::/32", "2001:db8:ffff::1", true },
		{ "2001:db8::/32", "2001:db9::1", false },
		{ "2001:db8:8000::/33", "2001:db8:8000::", true },
		{ "2001:db8:8000::/33", "2001:db8:7fff::", false },
		{ "::1", "::1", true },
		{ "::1", "::", false },
		/* ::/0 is all of IPv6, which a mapped address is not */
		{ "::/0", "2001:db8::1", true },
		{ "::/0", "192.0.2.1", false },
		{ "::/0", "::ffff:192.0.2.1", false },
		{ "10.0.0.0/8", "::ffff:10.1.2.3", true },
		{ "10.0.0.0/8", "::ffff:11.1.2.3", false },
		{ "10.0.0.0/8", "::10.1.2.3", false },
		{ "::ffff:10.0.0.0/104", "10.1.2.3", true },
		{ "::ffff:10.0.0.0/104", "::ffff:10.1.2.3", true },
		/* the first bytes are the same, the family is not */
		{ "10.0.0.0/8", "a00::1", false },
		{ "a00::/8", "10.0.0.0", false },
	};
	uint8_t address[16], family;
	struct cidr c;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_true(cidr_parse(rows[i].block, &c));
		family = cidr_parse_address(rows[i].address, strlen(rows[i].address), address);
		assert_int_not_equal(family, 0);
		if (cidr_match(&c, family, address) != rows[i].in)
			fail_msg("%s in %s: not %d", rows[i].address, rows[i].block, rows[i].in);
	}
	memset(address, 0, sizeof(address));
	assert_true(cidr_parse("0.0.0.0/0", &c));
	assert_false(cidr_match(&c, AF_UNIX, address));
	assert_false(cidr_match(&c, AF_UNSPEC, address));
}

/* Only the bytes that were named are looked at, and all of them. */
static void test_address(void **state)
{
	uint8_t address[16];

	(void)state;
	assert_int_equal(cidr_parse_address("192.0.2.17", 9, address), AF_INET);
	assert_memory_equal(address, "\xc0\0\2\1", 4);
	assert_int_equal(cidr_parse_address("::1]", 3, address), AF_INET6);
	assert_int_equal(cidr_parse_address("192.0.2.1\0x", 11, address), 0);
	assert_int_equal(cidr_parse_address("", 0, address), 0);
}

static void test_unmap(void **state)
{
	static const struct {
		const char *from, *to;
	} rows[] = {
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "::ffff:0.0.0.0", "0.0.0.0" },
		{ "::fffe:192.0.2.1", NULL },
		{ "::192.0.2.1", NULL },
		{ "1::ffff:192.0.2.1", NULL },
		{ "::1", NULL },
		{ "192.0.2.1", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *to = rows[i].to ? rows[i].to : rows[i].from;
		uint8_t address[16] = { 0 }, expected[16] = { 0 };
		uint8_t family = cidr_parse_address(rows[i].from, strlen(rows[i].from), address);

		assert_int_equal(cidr_unmap(family, address),
				 cidr_parse_address(to, strlen(to), expected));
		assert_memory_equal(address, expected, 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right), cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_match), cmocka_unit_test(test_address),
		cmocka_unit_test(test_unmap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
