/* Bytes that several hold. */
// links: base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/account.h"
#include "base/block.h"
#include "base/buffer.h"
#include "base/counted.h"
#include "failing.h"

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

/* Its memory is that of a buffer, and is counted as that was. */
static void test_given(void **state)
{
	struct buffer b = { 0 };
	const size_t had = account_bytes;
	struct counted *p;
	uint8_t *at;

	(void)state;
	assert_true(buffer_append(&b, "0123456789", 10));
	at = b.p;
	account_take(b.len);
	p = counted_new_given(&b);
	assert_non_null(p);
	assert_null(b.p);
	assert_int_equal(b.len + b.size, 0);
	assert_ptr_equal(p->bytes, at);
	assert_int_equal(p->size, 10);
	assert_int_equal(account_bytes, had + sizeof(*p) + 10);
	counted_hold(p);
	counted_release(p);
	assert_memory_equal(p->bytes, "0123456789", 10);
	counted_release(p);
	assert_int_equal(account_bytes, had);
}

static void test_given_without_memory(void **state)
{
	struct buffer b = { 0 };
	struct counted *p;

	(void)state;
	assert_true(buffer_append(&b, "0123456789", 10));
	failing_nth(1);
	p = counted_new_given(&b);
	assert_true(failing_end());
	assert_null(p);
	assert_int_equal(b.len, 10);
	buffer_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_there_up_to_its_last_holder),
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_given),
		cmocka_unit_test(test_given_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
