/*
 * The keyed hash, by vectors of another program.
 */
// links: base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/siphash.h"

/* Vectors: `openssl mac -macopt hexkey:000102..0f -macopt size:16 SipHash` of 00 01 02 ... */
static void test_vectors(void **state)
{
	static const struct {
		size_t len;
		uint64_t out[2];
	} vectors[] = {
		{ 0, { 0xe6a825ba047f81a3, 0x930255c71472f66d } },
		{ 1, { 0x44af996bd8c187da, 0x45fc229b11597634 } },
		{ 7, { 0x53c1dbd8beebf1a1, 0x3982f01fa64ab8c0 } },
		{ 8, { 0x61f55862baa9623b, 0xb49714f364e2830f } },
		{ 15, { 0x11a8b03399e99354, 0xd9c3cf970fec087e } },
		{ 16, { 0xbb54b067caa4e26e, 0x77052385bf1533fd } },
		{ 63, { 0x4a83502f77d15051, 0x7cbd3f979a063e50 } },
	};
	const uint64_t key[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
	uint8_t data[64];
	uint64_t out[2];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		siphash(key, data, vectors[i].len, out);
		assert_int_equal(out[0], vectors[i].out[0]);
		assert_int_equal(out[1], vectors[i].out[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_vectors) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
