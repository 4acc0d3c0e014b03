/* What is forgotten of what waits leaves a gap in its place: each number comes, or is in one gap. */
// links: base proto bus net session
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/account.h"
#include "proto/frame.h"
#include "session/envelope.h"
#include "session/link.h"
#include "session/uncompressed.h"
#include "session/unsent.h"

#include "failing.h"

enum { OUT_MAX = 1 << 20, EVENTS = 100000 };

#define POSITION "00000000000000ab."

static struct unsent b;
static struct envelope v;
static uint8_t out[OUT_MAX];
static size_t out_len;
static uint32_t now;

/* What came out of it, in order: "m" and a number, "t" for what was told, "g" with two numbers. */
struct came {
	char what;
	uint64_t first, last;
};
static struct came came[EVENTS];
static size_t came_count;

static int begin(void **state)
{
	(void)state;
	assert_true(envelope_make(&v, "/a", 0xab));
	out_len = came_count = 0;
	now = 100;
	return 0;
}

static int end(void **state)
{
	(void)state;
	unsent_end(&b);
	envelope_free(&v);
	assert_int_equal(unsent_bytes, 0);
	assert_int_equal(account_bytes, 0);
	return 0;
}

/* The frame of a message with a number, which as much more follows. */
static void put(uint64_t number, size_t more)
{
	char text[4096];
	uint8_t frame[4096 + WS_HEADER_MAX];
	size_t len = (size_t)snprintf(text, sizeof(text), "m %llu ", (unsigned long long)number);
	size_t header;

	memset(text + len, '.', more);
	len += more;
	header = ws_encode_header(frame, WS_TEXT, len);
	memcpy(frame + header, text, len);
	assert_true(unsent_copy(&b, frame, header + len, link_mark_numbered(header + len, number),
				0, now));
}

static void put_other(enum link_kind kind, const char *text)
{
	uint8_t frame[128];
	size_t header =
		ws_encode_header(frame, kind == LINK_TOLD ? WS_TEXT : WS_PONG, strlen(text));

	memcpy(frame + header, text, strlen(text));
	assert_true(unsent_copy(&b, frame, header + strlen(text),
				link_mark(header + strlen(text), kind), 0, now));
}

/* So many bytes leave, at most. */
static void take(size_t n)
{
	while (n > 0 && b.bytes > 0) {
		struct iovec part;
		uint64_t mark;
		bool whole;
		size_t k;

		assert_int_equal(unsent_parts(&b, &part, 1, n), 1);
		assert_true(out_len + part.iov_len <= sizeof(out));
		memcpy(out + out_len, part.iov_base, part.iov_len);
		k = unsent_take(&b, part.iov_len, &mark, &whole);
		out_len += k;
		n -= k;
	}
}

static const struct gap_form *form(uint64_t newest)
{
	static struct gap_form f;

	f = v.gap;
	f.newest = newest;
	return &f;
}

static size_t drop(size_t most, uint64_t newest)
{
	size_t n;

	assert_true(unsent_drop(&b, most, form(newest), &n));
	return n;
}

static uint64_t number_behind(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	assert_non_null(at);
	return strtoull(at + strlen(key), NULL, 10);
}

/* Takes all frames that have left apart. */
static void read_all(void)
{
	size_t at = 0;

	take(SIZE_MAX);
	assert_int_equal(b.told, 0);
	while (at < out_len) {
		uint64_t len;
		size_t header = ws_own_header(out + at, &len);
		struct came *c = &came[came_count++];
		char text[8192];

		assert_true(header > 0 && at + header + len <= out_len && len < sizeof(text));
		memcpy(text, out + at + header, len);
		text[len] = '\0';
		*c = (struct came){ .what = *text };
		if (*text == 'm') {
			c->first = c->last = strtoull(text + 2, NULL, 10);
		} else if (*text == '{') {
			c->what = 'g';
			c->first = number_behind(text, "\"room\":\"/a\",\"from\":\"" POSITION) + 1;
			c->last = number_behind(text, "\",\"to\":\"" POSITION);
			assert_int_equal(text[len - 1], '}');
		}
		at += header + len;
	}
	assert_int_equal(at, out_len);
}

/* "m1 g2-5 t m6" */
static void assert_came(const char *expected)
{
	char text[1024] = "";
	size_t n = 0;

	read_all();
	for (size_t i = 0; i < came_count; i++) {
		const struct came *c = &came[i];

		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%c", i ? " " : "", c->what);
		if (c->first)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%d", (int)c->first);
		if (c->what == 'g')
			n += (size_t)snprintf(text + n, sizeof(text) - n, "-%d", (int)c->last);
	}
	assert_string_equal(text, expected);
}

static void test_whole_frame(void **state)
{
	static const char expected[] = "{\"type\":\"gap\",\"room\":\"/a\",\"from\":\"" POSITION
				       "41\",\"to\":\"" POSITION "4711\"}";
	uint8_t frame[256];
	const struct gap g = { 42, 4711 };
	uint64_t len;
	size_t n = gap_write_frame(frame, form(0), &g), header = ws_own_header(frame, &len);

	(void)state;
	assert_true(n <= gap_frame_max(form(0)));
	assert_int_equal(frame[0], 0x80 | WS_TEXT);
	assert_int_equal(header + len, n);
	assert_int_equal(len, sizeof(expected) - 1);
	assert_memory_equal(frame + header, expected, len);
}

/* A mark has some bits of a number; those above are of the newest. */
static void test_numbers_in_marks(void **state)
{
	static const uint64_t numbers[] = {
		1, 2, LINK_TAGS - 1, LINK_TAGS, LINK_TAGS + 1, 1ull << 40, UINT64_MAX / 2
	};

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		for (uint64_t ahead = 0; ahead < LINK_TAGS; ahead = ahead * 3 + 1) {
			uint64_t mark = link_mark_numbered(UINT32_MAX, numbers[i]);
			struct gap g = link_mark_gap(mark, numbers[i] + ahead);

			assert_int_equal(g.first, numbers[i]);
			assert_int_equal(g.last, numbers[i]);
			assert_int_equal(link_mark_length(mark), UINT32_MAX);
			assert_int_equal(link_mark_kind(mark), LINK_MESSAGE);
		}
	}
	assert_int_equal(link_mark_gap(link_mark(7, LINK_MESSAGE), 5).last, 0);
}

static void test_oldest(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= 5; i++)
		put(i, 100);
	take(10);
	assert_int_equal(drop(250, 5), 3);
	/* what is lost next to it makes it longer */
	put(6, 100);
	assert_int_equal(drop(250, 6), 1);
	assert_int_equal(b.told > 0, 1);
	assert_came("m1 g2-5 m6");
}

static void test_what_was_told_stays(void **state)
{
	(void)state;
	put_other(LINK_TOLD, "t joined");
	put(1, 50);
	put(2, 50);
	put_other(LINK_TOLD, "t answer");
	put(3, 50);
	put_other(LINK_CONTROL, "pong");
	put(4, 50);
	put(5, 50);
	assert_int_equal(drop(80, 5), 4);
	assert_came("t g1-2 t g3-3 p g4-4 m5");
}

static void test_newest(void **state)
{
	(void)state;
	put(1, 50);
	assert_true(unsent_lose(&b, form(3), (struct gap){ 2, 2 }, now));
	assert_true(unsent_lose(&b, form(3), (struct gap){ 3, 3 }, now));
	put(4, 50);
	assert_true(unsent_lose(&b, form(9), (struct gap){ 5, 9 }, now));
	/* those ahead of it, and between two, are one with them */
	assert_int_equal(drop(0, 9), 2);
	put(10, 1);
	assert_came("g1-9 m10");
}

/* What has begun to leave cannot grow. */
static void test_one_that_has_begun(void **state)
{
	(void)state;
	put(1, 50);
	put(2, 50);
	assert_int_equal(drop(80, 2), 1);
	take(3);
	put(3, 50);
	assert_int_equal(drop(80, 3), 1);
	assert_came("g1-1 g2-2 m3");
}

static void test_the_last_has_begun(void **state)
{
	(void)state;
	assert_true(unsent_lose(&b, form(1), (struct gap){ 1, 1 }, now));
	take(1);
	assert_true(unsent_lose(&b, form(2), (struct gap){ 2, 2 }, now));
	assert_true(unsent_lose(&b, form(3), (struct gap){ 3, 3 }, now));
	put(4, 1);
	assert_came("g1-1 g2-3 m4");
}

static void test_old_ones(void **state)
{
	size_t n;

	(void)state;
	put(1, 50);
	put(2, 50);
	now = 200;
	put(3, 50);
	assert_true(unsent_drop_old(&b, 150, form(3), &n));
	assert_int_equal(n, 2);
	assert_true(unsent_drop_old(&b, 150, form(3), &n));
	assert_int_equal(n, 0);
	assert_came("g1-2 m3");
}

/* Whatever was dropped then, its memory is freed once. */
static void test_without_memory(void **state)
{
	bool failed;

	for (unsigned nth = 1;; nth++) {
		size_t n;
		bool done;

		for (uint64_t i = 1; i <= 4; i++)
			put(i, 50);
		take(10);
		failing_nth(nth);
		done = unsent_drop(&b, 130, form(4), &n) &&
		       unsent_lose(&b, form(5), (struct gap){ 5, 5 }, now);
		failed = failing_end();
		assert_int_equal(done, !failed);
		take(SIZE_MAX);
		assert_int_equal(b.bytes, 0);
		if (!failed)
			break;
		end(state);
		begin(state);
	}
}

/* Each number once, as a message or in a gap, and in order; all that was told, and nothing more. */
static void check(uint64_t newest, size_t told)
{
	uint64_t next = 1;

	read_all();
	for (size_t i = 0; i < came_count; i++) {
		if (came[i].what == 't') {
			told--;
			continue;
		}
		assert_int_equal(came[i].first, next);
		assert_true(came[i].last >= next && came[i].last <= newest);
		next = came[i].last + 1;
	}
	assert_int_equal(next, newest + 1);
	assert_int_equal(told, 0);
}

static void random_steps(unsigned seed)
{
	uint64_t number = 0;
	size_t told = 0, n;

	srand(seed);
	for (int i = 0; i < 400; i++) {
		unsigned r = (unsigned)rand();

		now += r % 7 == 0;
		switch (r % 11) {
		case 0:
			take((size_t)rand() % 300);
			break;
		case 1:
			put_other(LINK_TOLD, "t answer");
			told++;
			break;
		case 2:
			number++;
			assert_true(
				unsent_lose(&b, form(number), (struct gap){ number, number }, now));
			break;
		case 3:
			drop((size_t)rand() % 600, number);
			break;
		case 4:
			assert_true(
				unsent_drop_old(&b, now - (uint32_t)rand() % 5, form(number), &n));
			break;
		default:
			put(++number, (size_t)rand() % (r % 13 == 0 ? 3000 : 100));
		}
	}
	check(number, told);
}

static void test_random_steps(void **state)
{
	for (unsigned seed = 1; seed <= 300; seed++) {
		random_steps(seed);
		end(state);
		begin(state);
	}
}

/* --- those that wait to be compressed --- */

static struct uncompressed u;

static void wait_for_it(uint64_t number, enum link_kind kind)
{
	static char text[100];
	const struct iovec part = { text, sizeof(text) };

	assert_true(uncompressed_put(&u, NULL, WS_TEXT,
				     kind == LINK_TOLD ? link_mark(0, kind)
						       : link_mark_numbered(0, number),
				     &part, 1, NULL));
}

static void assert_waits(const char *expected)
{
	char text[256] = "";
	size_t n = 0;

	while (u.count > 0) {
		const struct uncompressed_message *m = uncompressed_first(&u);

		if (m->gap.last)
			n += (size_t)snprintf(text + n, sizeof(text) - n, " g%d-%d",
					      (int)m->gap.first, (int)m->gap.last);
		else
			n += (size_t)snprintf(text + n, sizeof(text) - n, " %s",
					      link_mark_kind(m->as) == LINK_TOLD ? "t" : "m");
		uncompressed_shift(&u);
	}
	assert_string_equal(text, expected);
	assert_int_equal(u.bytes, 0);
	assert_int_equal(u.told, 0);
}

static void test_uncompressed(void **state)
{
	(void)state;
	wait_for_it(0, LINK_TOLD);
	for (uint64_t i = 1; i <= 4; i++)
		wait_for_it(i, LINK_MESSAGE);
	assert_int_equal(u.told, 100);
	assert_true(uncompressed_lose(&u, (struct gap){ 5, 5 }));
	assert_true(uncompressed_lose(&u, (struct gap){ 6, 6 }));
	assert_true(uncompressed_drop(&u, false, form(6)));
	assert_true(uncompressed_drop(&u, false, form(6)));
	assert_int_equal(u.bytes, 300);
	wait_for_it(7, LINK_MESSAGE);
	assert_waits(" t g1-2 m m g5-6 m");
	for (uint64_t i = 1; i <= 3; i++)
		wait_for_it(i, LINK_MESSAGE);
	assert_true(uncompressed_lose(&u, (struct gap){ 4, 4 }));
	/* the first may be half compressed */
	assert_true(uncompressed_drop(&u, true, form(4)));
	assert_true(uncompressed_drop(&u, true, form(4)));
	assert_false(uncompressed_drop(&u, true, form(4)));
	assert_waits(" m g2-4");
	wait_for_it(1, LINK_MESSAGE);
	assert_true(uncompressed_drop(&u, false, NULL));
	assert_int_equal(u.count, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_whole_frame),
		TEST(test_numbers_in_marks),
		TEST(test_oldest),
		TEST(test_what_was_told_stays),
		TEST(test_newest),
		TEST(test_one_that_has_begun),
		TEST(test_the_last_has_begun),
		TEST(test_old_ones),
		TEST(test_without_memory),
		TEST(test_random_steps),
		TEST(test_uncompressed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
