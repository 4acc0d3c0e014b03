/*
 * text_lookup.h - the kernel for a machine that has a table lookup in vectors.
 *
 * The check is the published lookup method: J. Keiser, D. Lemire, "Validating
 * UTF-8 In Less Than One Instruction Per Byte", Software: Practice and
 * Experience 51 (2021). Each byte is judged together with the one before it:
 * three tables of 16 entries, by the two halves of the byte before and the high
 * half of the byte itself, give the faults that each half allows; a bit that is
 * in all three is a fault. The third and fourth byte of a character are the
 * exception: two continuations in a row look like a fault and must be there,
 * which the leads two and three bytes before tell.
 *
 * A file of one machine defines the vector and its operations (see below), then
 * includes this, then fills in a struct text_kernel.
 *
 *   TARGET                 the attribute that each function here needs
 *   VECTOR, WIDTH          the type and its bytes; ^ | & work on it
 *   v_load v_store v_zero  at any address
 *   v_bytes v_repeat       one byte, one key in all places
 *   v_table v_lookup       16 bytes, looked up by bytes that are 0..15
 *   v_high                 each byte's high half
 *   v_before(v, prev, n)   the bytes that lie n before those of v
 *   v_minus(v, b)          each byte less b, at least 0
 *   v_ascii v_is_zero      of the whole vector
 *   NARROW                 the kernel that takes what is under two vectors
 */
#include "proto/text.h"

enum {
	TOO_SHORT = 0x01, /* a lead without its continuation */
	TOO_LONG = 0x02, /* a continuation behind ASCII */
	OVERLONG_3 = 0x04, /* e0, then under a0 */
	SURROGATE = 0x08, /* ed, then a0 or over */
	OVERLONG_2 = 0x10, /* c0 or c1 */
	TOO_LARGE = 0x20, /* f4 or over, then 90 or over */
	OVERLONG_4 = 0x40, /* f0, then 8x */
	TOO_LARGE_8X = 0x40, /* f5 or over, then 8x: no byte is both */
	CONTINUED = 0x80, /* a continuation behind a continuation */
	ANY_LOW = TOO_SHORT | TOO_LONG | CONTINUED, /* whatever the low half is */
	ANY_HIGH = TOO_LONG | OVERLONG_2 | CONTINUED /* of any continuation */
};

struct tables {
	VECTOR before_high, before_low, high;
};

static inline TARGET struct tables load_tables(void)
{
	static const uint8_t BEFORE_HIGH[16] = {
		[0x0 ... 0x7] = TOO_LONG,
		[0x8 ... 0xb] = CONTINUED,
		[0xc] = TOO_SHORT | OVERLONG_2,
		[0xd] = TOO_SHORT,
		[0xe] = TOO_SHORT | OVERLONG_3 | SURROGATE,
		[0xf] = TOO_SHORT | TOO_LARGE | TOO_LARGE_8X | OVERLONG_4,
	};
	static const uint8_t BEFORE_LOW[16] = {
		[0x0] = ANY_LOW | OVERLONG_2 | OVERLONG_3 | OVERLONG_4,
		[0x1] = ANY_LOW | OVERLONG_2,
		[0x2 ... 0x3] = ANY_LOW,
		[0x4] = ANY_LOW | TOO_LARGE,
		[0x5 ... 0xc] = ANY_LOW | TOO_LARGE | TOO_LARGE_8X,
		[0xd] = ANY_LOW | TOO_LARGE | TOO_LARGE_8X | SURROGATE,
		[0xe ... 0xf] = ANY_LOW | TOO_LARGE | TOO_LARGE_8X,
	};
	static const uint8_t HIGH[16] = {
		[0x0 ... 0x7] = TOO_SHORT,
		[0x8] = ANY_HIGH | OVERLONG_3 | TOO_LARGE_8X | OVERLONG_4,
		[0x9] = ANY_HIGH | OVERLONG_3 | TOO_LARGE,
		[0xa ... 0xb] = ANY_HIGH | SURROGATE | TOO_LARGE,
		[0xc ... 0xf] = TOO_SHORT,
	};

	return (struct tables){ v_table(BEFORE_HIGH), v_table(BEFORE_LOW), v_table(HIGH) };
}

/* Not zero where a byte of v cannot follow those before it; prev lies before v. */
static inline TARGET VECTOR faults(const struct tables *t, VECTOR v, VECTOR prev)
{
	VECTOR one = v_before(v, prev, 1);
	VECTOR pair = v_lookup(t->before_high, v_high(one)) &
		      v_lookup(t->before_low, one & v_bytes(0x0f)) & v_lookup(t->high, v_high(v));
	VECTOR third = v_minus(v_before(v, prev, 2), 0xe0 - 0x80);
	VECTOR fourth = v_minus(v_before(v, prev, 3), 0xf0 - 0x80);

	return pair ^ ((third | fourth) & v_bytes(CONTINUED));
}

/*
 * n >= 2 * WIDTH bytes from a boundary on; out is in, or NULL to leave the bytes
 * alone. The last vectors are read before any is written: what is over at the
 * end is checked with one that overlaps.
 */
static inline TARGET __attribute__((always_inline)) utf8_state check(const uint8_t *in, size_t n,
								     uint32_t key, uint8_t *out)
{
	const struct tables t = load_tables();
	VECTOR k = v_repeat(key), k_end = v_repeat(text_turn_key(key, n));
	VECTOR last = v_load(in + n - WIDTH) ^ k_end, before = v_load(in + n - 2 * WIDTH) ^ k_end;
	VECTOR prev = v_zero(), a, b, c, d;
	size_t i = 0;

	for (; i + 4 * WIDTH <= n; i += 4 * WIDTH) {
		a = v_load(in + i) ^ k;
		b = v_load(in + i + WIDTH) ^ k;
		c = v_load(in + i + 2 * WIDTH) ^ k;
		d = v_load(in + i + 3 * WIDTH) ^ k;
		if (out) {
			v_store(out + i, a);
			v_store(out + i + WIDTH, b);
			v_store(out + i + 2 * WIDTH, c);
			v_store(out + i + 3 * WIDTH, d);
		}
		if (!v_ascii(prev | a | b | c | d) &&
		    !v_is_zero(faults(&t, a, prev) | faults(&t, b, a) | faults(&t, c, b) |
			       faults(&t, d, c)))
			return UTF8_INVALID;
		prev = d;
	}
	for (; i + WIDTH <= n; i += WIDTH) {
		a = v_load(in + i) ^ k;
		if (out)
			v_store(out + i, a);
		if (!v_ascii(prev | a) && !v_is_zero(faults(&t, a, prev)))
			return UTF8_INVALID;
		prev = a;
	}
	if (i < n) {
		if (out)
			v_store(out + n - WIDTH, last);
		if (!v_ascii(last) && !v_is_zero(faults(&t, last, before)))
			return UTF8_INVALID;
		prev = last;
	}
	return v_ascii(prev) ? UTF8_BOUNDARY : text_ending(out ? out : in, n);
}

static TARGET utf8_state unmask(uint8_t *p, size_t n, uint32_t key, utf8_state s)
{
	size_t taken = text_unmask_rest(p, n, &key, &s);

	p += taken;
	n -= taken;
	if (n == 0 || s == UTF8_INVALID)
		return s;
	if (n < 2 * WIDTH)
		return NARROW(unmask)(p, n, key, s);
	return check(p, n, key, p);
}

static TARGET utf8_state feed(utf8_state s, const uint8_t *p, size_t n)
{
	size_t taken = 0;

	while (taken < n && s != UTF8_BOUNDARY && s != UTF8_INVALID)
		s = utf8_feed_scalar(s, p + taken++, 1);
	p += taken;
	n -= taken;
	if (n == 0 || s == UTF8_INVALID)
		return s;
	if (n < 2 * WIDTH)
		return NARROW(feed)(s, p, n);
	return check(p, n, 0, NULL);
}

static TARGET void mask(uint8_t *p, size_t n, uint32_t key)
{
	VECTOR k = v_repeat(key), last;
	size_t i = 0;

	if (n < WIDTH) {
		NARROW(mask)(p, n, key);
		return;
	}
	last = v_load(p + n - WIDTH) ^ v_repeat(text_turn_key(key, n));
	for (; i + 4 * WIDTH <= n; i += 4 * WIDTH) {
		v_store(p + i, v_load(p + i) ^ k);
		v_store(p + i + WIDTH, v_load(p + i + WIDTH) ^ k);
		v_store(p + i + 2 * WIDTH, v_load(p + i + 2 * WIDTH) ^ k);
		v_store(p + i + 3 * WIDTH, v_load(p + i + 3 * WIDTH) ^ k);
	}
	for (; i + WIDTH <= n; i += WIDTH)
		v_store(p + i, v_load(p + i) ^ k);
	if (i < n)
		v_store(p + n - WIDTH, last);
}
