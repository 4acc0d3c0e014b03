// links: proto
/*
 * test_mask.c - masking and the check of text, alone and in one pass.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/mask.h"

/* RFC 6455 5.7: a single-frame masked text message, "Hello". */
static void test_rfc_example(void **state)
{
	static const uint8_t key_bytes[4] = { 0x37, 0xfa, 0x21, 0x3d };
	static const uint8_t wire[5] = { 0x7f, 0x9f, 0x4d, 0x51, 0x58 };
	uint8_t whole[5], parts[5];
	utf8_state s = UTF8_BOUNDARY;
	uint32_t key;

	(void)state;
	memcpy(&key, key_bytes, sizeof(key));
	memcpy(whole, wire, sizeof(wire));
	ws_mask(whole, sizeof(whole), key, 0);
	assert_memory_equal(whole, "Hello", 5);
	memcpy(parts, wire, sizeof(wire));
	for (size_t i = 0; i < sizeof(parts); i++)
		s = ws_unmask_text(parts + i, 1, key, i, s);
	assert_memory_equal(parts, "Hello", 5);
	assert_int_equal(s, UTF8_BOUNDARY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
