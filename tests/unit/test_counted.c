/* Bytes that several hold. */
// links: base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/block.h"
#include "base/counted.h"

static void test_is_there_up_to_its_last_holder(void **state)
{
	size_t before = block_waiting();
	struct counted *p = counted_new(BLOCK_MIN);

	(void)state;
	assert_non_null(p);
	assert_int_equal(p->size, BLOCK_MIN);
	memset(p->bytes, 7, p->size);
	assert_ptr_equal(counted_hold(p), p);
	counted_release(p);
	assert_int_equal(block_waiting(), before);
	assert_int_equal(p->bytes[BLOCK_MIN - 1], 7);
	counted_release(p);
	assert_true(block_waiting() > before);
	counted_release(NULL);
}

static void test_grows(void **state)
{
	struct counted *p = NULL;

	(void)state;
	assert_true(counted_resize(&p, 0, 10));
	memcpy(p->bytes, "0123456789", 10);
	assert_true(counted_resize(&p, 10, 5));
	assert_int_equal(p->size, 10);
	for (size_t size = 100; size <= 4 * BLOCK_MIN; size *= 3) {
		assert_true(counted_resize(&p, 10, size));
		assert_true(p->size >= size);
		assert_memory_equal(p->bytes, "0123456789", 10);
		memset(p->bytes + 10, 1, p->size - 10);
	}
	counted_release(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_there_up_to_its_last_holder),
		cmocka_unit_test(test_grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
