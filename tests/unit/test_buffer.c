/* Bytes that grow: by doubling, never beyond what there can be, and kept only up to a bound. */
// links: base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/block.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "failing.h"

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

/* Text is cut between two characters, and what is no text is hardly cut at all. */
static void test_whole_characters(void **state)
{
	static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
	static const size_t whole[] = { 0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11 };

	(void)state;
	for (size_t n = 0; n < sizeof(whole) / sizeof(*whole); n++)
		assert_int_equal(bytes_whole(text, n), whole[n]);
	assert_int_equal(bytes_whole("\x80\x80\x80\x80\x80", 5), 5);
	assert_int_equal(bytes_whole("\x80", 1), 1);
	assert_int_equal(bytes_whole("a\xff", 2), 1);
	assert_int_equal(bytes_whole("\xf0\x80\x80\x80\x80", 5), 5);
}

/* What must not change when the memory for more is not there. */
static void check_no_memory(size_t had, size_t more)
{
	static const uint8_t zeros[BLOCK_MIN * 4];
	bool appended = false;

	for (unsigned n = 1; !appended; n++) {
		struct buffer b = { 0 };
		struct buffer was;

		assert_true(buffer_append(&b, zeros, had));
		was = b;
		failing_from(n);
		appended = buffer_append(&b, zeros, more);
		assert_true(failing_end() || appended);
		assert_true(appended || memcmp(&b, &was, sizeof(b)) == 0);
		assert_true(!appended || (b.len == had + more && n > 1));
		buffer_free(&b);
	}
}

static void test_no_memory(void **state)
{
	(void)state;
	check_no_memory(0, 1);
	check_no_memory(100, 1000);
	check_no_memory(100, BLOCK_MIN);
}

/* A block that cannot be moved is copied into another one. */
static void test_a_block_that_cannot_move(void **state)
{
	struct buffer b = { 0 };
	uint8_t c = 7;

	(void)state;
	assert_true(buffer_reserve(&b, BLOCK_MIN * 2));
	while (b.len < b.size)
		assert_true(buffer_append(&b, &c, 1));
	failing_nth(1);
	assert_true(buffer_append(&b, &c, 1));
	assert_true(failing_end());
	for (size_t i = 0; i < b.len; i++)
		assert_int_equal(b.p[i], 7);
	buffer_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* first, as long as no block waits that needs no memory */
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_more_than_there_can_be),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_whole_characters),
		cmocka_unit_test(test_a_block_that_cannot_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
