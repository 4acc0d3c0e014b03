/*
 * Compressed payloads, and the round trip through our own compressor.
 *
 * Invariants: any split of a payload gives the same bytes and verdict, no more
 * than max comes out, and what was compressed comes back.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "proto/deflate.h"

struct outcome {
	enum inflate_result result;
	struct buffer out;
};

/* In slices, each of which is to be one. */
static enum inflate_result take(struct ws_inflate *i, const uint8_t *p, size_t n,
				struct buffer *out, size_t max, utf8_state *utf8)
{
	const uint8_t *end = p + n;
	enum inflate_result r;

	do {
		const uint8_t *from = p;
		size_t had = out->len;

		i->work = 0;
		r = inflate_some(i, &p, end, out, max, utf8);
		fuzz_require(p >= from && p <= end && out->len >= had);
		fuzz_require(i->slice == 0 || out->len - had <= i->slice);
		fuzz_require(r != INFLATE_PAUSED || p < end || inflate_has_more(i));
		fuzz_require(r != INFLATE_PAUSED || (i->slice > 0 && i->work >= i->slice));
	} while (r == INFLATE_PAUSED);
	return r;
}

static struct outcome run(size_t max, bool text, const uint8_t *p, size_t n, size_t step)
{
	struct ws_inflate i = { .slice = (uint32_t)(step * 7 % 1000) };
	utf8_state state = UTF8_BOUNDARY, *utf8 = text ? &state : NULL;
	struct outcome o = { INFLATE_OK, { 0 } };

	for (size_t at = 0; at < n && o.result == INFLATE_OK; at += step)
		o.result = take(&i, p + at, n - at < step ? n - at : step, &o.out, max, utf8);
	if (o.result == INFLATE_OK)
		o.result = inflate_end(&i, &o.out, max, utf8);
	fuzz_require(o.out.len <= max + 1 && o.out.size <= 2 * (max + 1) + 512);
	inflate_fini(&i);
	return o;
}

static void check_splits(size_t max, bool text, const uint8_t *p, size_t n)
{
	static const size_t steps[] = { 1, 3, 64 };
	struct outcome whole = run(max, text, p, n, n + 1);

	for (size_t k = 0; k < sizeof(steps) / sizeof(*steps); k++) {
		struct outcome o = run(max, text, p, n, steps[k]);

		fuzz_require(o.result == whole.result);
		fuzz_require(o.result != INFLATE_OK || o.out.len == whole.out.len);
		fuzz_require(o.result != INFLATE_OK || o.out.len == 0 ||
			     memcmp(o.out.p, whole.out.p, o.out.len) == 0);
		buffer_free(&o.out);
	}
	buffer_free(&whole.out);
}

static void check_round_trip(int level, int memory, int bits, const uint8_t *p, size_t n)
{
	struct deflate_part parts[] = { { p, n / 2 }, { p + n / 2, n - n / 2 } };
	struct deflater *d = deflater_new(level, memory, bits);
	struct buffer z = { 0 };
	struct outcome o;

	fuzz_require(d != NULL);
	for (int i = 0; i < 2; i++) {
		z.len = 0;
		fuzz_require(deflater_message(d, parts, 2, &z));
		deflater_forget(d);
		o = run(n, false, z.p, z.len, z.len + 1);
		fuzz_require(o.result == INFLATE_OK && o.out.len == n);
		fuzz_require(n == 0 || memcmp(o.out.p, p, n) == 0);
		buffer_free(&o.out);
	}
	buffer_free(&z);
	deflater_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t maxima[] = { 0, 10, 1000, 70000 };

	if (size < 2)
		return 0;
	check_splits(maxima[data[0] >> 4 & 3], data[0] & 8, data + 2, size - 2);
	check_round_trip(1 + data[1] % 9, 1 + data[1] / 16 % 9, 9 + (data[0] & 7) % 7, data + 2,
			 size - 2);
	return 0;
}
