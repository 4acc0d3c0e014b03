/* The other side of a connection as text, and back. */
// links: base net
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "net/peer.h"

/* Each is read, and written as the second one. */
static void test_read_and_written(void **state)
{
	static const char *const pairs[][2] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "192.0.2.1:4711", "192.0.2.1:4711" },
		{ "192.0.2.1:65535", "192.0.2.1:65535" },
		{ "::1", "::1" },
		{ "[::1]", "::1" },
		{ "[2001:DB8:0:0::1]:80", "[2001:db8::1]:80" },
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "[::ffff:192.0.2.1]:7", "192.0.2.1:7" },
		{ "unix", "unix" },
		{ "unix:uid=0,pid=42", "unix:uid=0,pid=42" },
	};
	char text[NET_PEER_TEXT_MAX];
	struct net_peer p;

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		assert_int_equal(net_peer_parse(&p, pairs[i][0]), 0);
		assert_string_equal(net_peer_format(&p, text), pairs[i][1]);
		assert_int_equal(net_peer_is_known(&p), strcmp(pairs[i][0], "unix") != 0);
	}
}

static void test_none(void **state)
{
	static const char *const texts[] = {
		"",
		":",
		"[",
		"[]",
		"[]:1",
		"1.2.3",
		"1.2.3.4:",
		"1.2.3.4:0",
		"1.2.3.4:-1",
		"1.2.3.4:1x",
		"1.2.3.4:65536",
		"1.2.3.4:18446744073709551617",
		"1.2.3.4 ",
		" 1.2.3.4",
		"[1.2.3.4]",
		"[1.2.3.4]:1",
		"[::1",
		"[::1]1",
		"[::1]:",
		"[::1]:0",
		"::1]",
		"::g",
		"::1%lo",
		"unix:",
		"unixx",
		"unix:uid=1",
		"unix:uid=1,pid=2x",
		"unix:uid=-1,pid=2",
		"localhost",
	};
	char long_one[4096];
	struct net_peer p;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_int_equal(net_peer_parse(&p, texts[i]), -1);
	memset(long_one, ':', sizeof(long_one) - 1);
	long_one[sizeof(long_one) - 1] = '\0';
	assert_int_equal(net_peer_parse(&p, long_one), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_and_written),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
