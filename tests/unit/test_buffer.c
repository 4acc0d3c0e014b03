/* Bytes that grow: by doubling, never beyond what there can be, and kept only up to a bound. */
// links: base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"

static void test_grows(void **state)
{
	struct buffer b = { 0 };
	char c;

	(void)state;
	assert_true(buffer_append(&b, NULL, 0));
	assert_null(b.p);
	for (int i = 0; i < 100000; i++) {
		c = (char)i;
		assert_true(buffer_append(&b, &c, 1));
	}
	assert_int_equal(b.len, 100000);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(b.p[i], (uint8_t)i);
	buffer_free(&b);
	assert_null(b.p);
	assert_int_equal(b.size, 0);
}

/* A number that would wrap is refused, and nothing has changed. */
static void test_more_than_there_can_be(void **state)
{
	struct buffer b = { 0 };
	size_t size;

	(void)state;
	assert_false(buffer_reserve(&b, SIZE_MAX));
	assert_true(buffer_append(&b, "0123456789", 10));
	size = b.size;
	assert_false(buffer_reserve(&b, SIZE_MAX - 5));
	assert_false(buffer_reserve(&b, SIZE_MAX / 2));
	assert_int_equal(b.size, size);
	assert_int_equal(b.len, 10);
	assert_memory_equal(b.p, "0123456789", 10);
	buffer_free(&b);
}

static void test_reset(void **state)
{
	struct buffer b = { 0 };
	uint8_t *p;

	(void)state;
	assert_true(buffer_reserve(&b, 1000));
	p = b.p;
	b.len = 5;
	buffer_reset(&b, b.size);
	assert_ptr_equal(b.p, p);
	assert_int_equal(b.len, 0);
	buffer_reset(&b, b.size - 1);
	assert_null(b.p);
	assert_int_equal(b.size, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_more_than_there_can_be),
		cmocka_unit_test(test_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
