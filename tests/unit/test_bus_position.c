/*
 * Positions as text: there and back, and that nothing else is taken for one.
 */
// links: base bus
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bus/position.h"
#include "test_bus_check.h"

static bool parses(const char *text, struct bus_position *p)
{
	return bus_position_parse(text, strlen(text), p);
}

static void check_both_ways(uint64_t epoch, uint64_t sequence, const char *text)
{
	struct bus_position p = { epoch, sequence }, back = { 0 };
	char out[BUS_POSITION_SIZE];

	assert_int_equal(bus_position_format(p, out), strlen(text));
	assert_string_equal(out, text);
	assert_true(parses(text, &back));
	assert_int_equal(back.epoch, epoch);
	assert_int_equal(back.sequence, sequence);
}

static void test_both_ways(void **state)
{
	(void)state;
	check_both_ways(1, 0, "0000000000000001.0");
	check_both_ways(0xfedcba9876543210, 42, "fedcba9876543210.42");
	check_both_ways(UINT64_MAX, UINT64_MAX, "ffffffffffffffff.18446744073709551615");
	check_both_ways(UINT64_MAX, UINT64_MAX - 5, "ffffffffffffffff.18446744073709551610");
	check_both_ways(10, 9999999999999999999u, "000000000000000a.9999999999999999999");
}

static void test_what_is_none(void **state)
{
	static const char *const none[] = {
		"",
		".",
		"1.1",
		"0000000000000001",
		"0000000000000001.",
		"0000000000000000.1",
		"0000000000000001.01",
		"0000000000000001.00",
		"0000000000000001.-1",
		"0000000000000001.+1",
		"0000000000000001. 1",
		" 000000000000001.1",
		"0x00000000000001.1",
		"000000000000000A.1",
		"000000000000000g.1",
		"000000000000000/.1",
		"000000000000000:.1",
		"000000000000000`.1",
		"0000000000000001:1",
		"0000000000000001.1 ",
		"0000000000000001.1.1",
		"0000000000000001./",
		"0000000000000001.:",
		"00000000000000001.1",
		"0000000000000001.18446744073709551616",
		"0000000000000001.18446744073709551620",
		"0000000000000001.99999999999999999999",
		"0000000000000001.184467440737095516150",
	};
	struct bus_position p;

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (parses(none[i], &p))
			fail_msg("\"%s\" is taken for a position", none[i]);
	/* not up to the NUL, and not over it */
	assert_true(bus_position_parse("0000000000000001.12", 18, &p));
	assert_int_equal(p.sequence, 1);
	assert_false(bus_position_parse("0000000000000001.1\0", 19, &p));
	assert_false(bus_position_parse("0000000000000001.1", 17, &p));
}

/* Whatever is taken is the one text of what it is taken for. Its memory ends where it ends. */
static void test_random_bytes(void **state)
{
	unsigned seed = bus_check_seed(), taken = 0;

	(void)state;
	for (int n = 0; n < 200000; n++) {
		struct bus_position p = { (uint64_t)rand_r(&seed) << 33 | 1,
					  (uint64_t)rand_r(&seed) << (rand_r(&seed) % 33) };
		char out[BUS_POSITION_SIZE], *text;
		size_t len = bus_position_format(p, out);

		for (int i = rand_r(&seed) % 3; i > 0; i--)
			out[(size_t)rand_r(&seed) % len] = (char)rand_r(&seed);
		len -= (size_t)rand_r(&seed) % 8 == 0 ? (size_t)rand_r(&seed) % len : 0;
		text = malloc(len);
		assert_non_null(text);
		memcpy(text, out, len);
		if (bus_position_parse(text, len, &p)) {
			taken++;
			assert_int_equal(bus_position_format(p, out), len);
			assert_memory_equal(out, text, len);
		}
		free(text);
	}
	assert_true(taken > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_what_is_none),
		cmocka_unit_test(test_random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
