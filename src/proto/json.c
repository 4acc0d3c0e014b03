/*
 * json.c - see json.h.
 *
 * A loop over what is awaited next, with one bit for each array or object that is open:
 * whether it is an object. Whatever may be long - space, a string, a number - can be left where the
 * slice ends and gone on with; what is short, as a word or an escape, is read to its end, which may
 * be some bytes behind. Errors are rare, so their place is counted only when one is found.
 */
#include "proto/json.h"

#include <string.h>

#include "proto/json_string.h"

/* Up to SPACED what comes may have space ahead of it; the others are in the middle of something. */
enum awaited {
	AWAIT_VALUE,
	AWAIT_ELEMENT, /* or the end of an array that has none */
	AWAIT_NAME,
	AWAIT_MEMBER, /* or the end of an object that has none */
	AWAIT_COLON,
	AWAIT_REST, /* behind a value */
	AWAIT_NOTHING,
	AWAIT_SPACED = AWAIT_NOTHING,
	WITHIN_STRING,
	WITHIN_NAME,
	WITHIN_INTEGER,
	WITHIN_FRACTION,
	WITHIN_EXPONENT,
	AWAIT_FAILED
};

/* Whether a slice has come to the end of something. */
enum piece { PIECE_WHOLE, PIECE_CUT, PIECE_BAD };

static bool fail(struct json_scan *s, const char *why)
{
	s->error.text = s->p == s->end ? "the text ends too early" : why;
	return false;
}

static bool is_digit(uint8_t b)
{
	return b >= '0' && b <= '9';
}

static inline bool is_space(uint8_t b)
{
	return b == ' ' || b == '\n' || b == '\r' || b == '\t';
}

static inline void skip_space(struct json_scan *s)
{
	const uint8_t *p = s->p;

	while (p < s->stop && is_space(*p))
		p++;
	s->p = p;
}

/* --- strings --- */

/* To the first byte that is more than itself. */
static void skip_plain(struct json_scan *s)
{
	s->p = json_skip_plain(s->p, s->stop);
}

/* Its value, or -1. */
static int hex_digit(uint8_t b)
{
	if (is_digit(b))
		return b - '0';
	b |= 0x20;
	return b >= 'a' && b <= 'f' ? b - 'a' + 10 : -1;
}

static bool scan_escape(struct json_scan *s)
{
	s->p++;
	if (s->p == s->end || !memchr("\"\\/bfnrtu", *s->p, 9))
		return fail(s, "no such escape");
	if (*s->p++ != 'u')
		return true;
	for (int i = 0; i < 4; i++, s->p++)
		if (s->p == s->end || hex_digit(*s->p) < 0)
			return fail(s, "four hexadecimal digits are expected");
	return true;
}

/* To behind the last quote. */
static enum piece scan_characters(struct json_scan *s)
{
	for (;;) {
		skip_plain(s);
		if (s->p >= s->stop && s->p < s->end)
			return PIECE_CUT;
		if (s->p == s->end || *s->p < ' ') {
			fail(s, "a control character in a string");
			return PIECE_BAD;
		}
		if (*s->p == '"')
			break;
		if (!scan_escape(s))
			return PIECE_BAD;
	}
	s->p++;
	return PIECE_WHOLE;
}

/* --- what a string says --- */

enum { HIGH_FIRST = 0xd800, LOW_FIRST = 0xdc00, LOW_LAST = 0xdfff };

static bool is_surrogate(uint32_t c)
{
	return c >= HIGH_FIRST && c <= LOW_LAST;
}

static uint32_t read_hex(const uint8_t *p)
{
	uint32_t c = 0;

	for (int i = 0; i < 4; i++)
		c = c << 4 | (uint32_t)hex_digit(p[i]);
	return c;
}

/* The character of an escape, checked before; of a pair both. Half a pair is itself. */
static uint32_t read_escape(const uint8_t **p)
{
	static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
	const uint8_t *b = *p;
	const char *letter = strchr(letters, b[1]);
	uint32_t c, low;

	*p += 2;
	if (b[1] != 'u')
		return letter ? (uint8_t)meant[letter - letters] : b[1];
	*p += 4;
	c = read_hex(b + 2);
	if (c < HIGH_FIRST || c >= LOW_FIRST || b[6] != '\\' || b[7] != 'u')
		return c;
	low = read_hex(b + 8);
	if (low < LOW_FIRST || low > LOW_LAST)
		return c;
	*p += 6;
	return 0x10000 + ((c - HIGH_FIRST) << 10) + (low - LOW_FIRST);
}

/* Writes c to out, which has room for four bytes; returns how many it takes. */
static size_t encode(uint32_t c, char *out)
{
	static const uint8_t leads[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (size_t i = n; i-- > 1; c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)(leads[n] | c);
	return n;
}

/* Whether name, from *name on, begins with the character. */
static bool takes(const char **name, const char *name_end, uint32_t c)
{
	char text[4];
	size_t n = encode(c, text);

	if ((size_t)(name_end - *name) < n || memcmp(*name, text, n) != 0)
		return false;
	*name += n;
	return true;
}

/*
 * Whether the string from p (a quote) to end (behind one) is the name. No more of it is looked at
 * than the name is long.
 */
static bool is_name(const struct json_scan *s, const uint8_t *p, const uint8_t *end)
{
	const char *name = s->name, *name_end = name + s->name_len;

	for (p++, end--; p < end;) {
		if (*p == '\\') {
			if (!takes(&name, name_end, read_escape(&p)))
				return false;
		} else if (name == name_end || (uint8_t)*name++ != *p++) {
			return false;
		}
	}
	return name == name_end;
}

/* --- the rest of the grammar --- */

/* A value ends here. */
static enum awaited end_value(struct json_scan *s)
{
	if (s->depth == 1 && s->found) {
		s->value = (struct json_value){ s->begin, (size_t)(s->p - s->begin) };
		s->found = false;
	}
	return s->depth == 0 ? AWAIT_NOTHING : AWAIT_REST;
}

static bool next_is(const struct json_scan *s, uint8_t a, uint8_t b)
{
	return s->p < s->end && (*s->p == a || *s->p == b);
}

static bool expect_digit(struct json_scan *s)
{
	return (s->p < s->end && is_digit(*s->p)) || fail(s, "a digit is expected");
}

/* False: there may be more of them behind the slice. */
static bool scan_digits(struct json_scan *s)
{
	const uint8_t *p = s->p;

	while (p < s->stop && is_digit(*p))
		p++;
	s->p = p;
	return p < s->stop || p == s->end;
}

static enum awaited scan_exponent(struct json_scan *s)
{
	return scan_digits(s) ? end_value(s) : WITHIN_EXPONENT;
}

static enum awaited end_fraction(struct json_scan *s)
{
	if (!next_is(s, 'e', 'E'))
		return end_value(s);
	s->p++;
	if (next_is(s, '+', '-'))
		s->p++;
	return expect_digit(s) ? scan_exponent(s) : AWAIT_FAILED;
}

static enum awaited scan_fraction(struct json_scan *s)
{
	return scan_digits(s) ? end_fraction(s) : WITHIN_FRACTION;
}

static enum awaited end_integer(struct json_scan *s)
{
	if (!next_is(s, '.', '.'))
		return end_fraction(s);
	s->p++;
	return expect_digit(s) ? scan_fraction(s) : AWAIT_FAILED;
}

static enum awaited scan_integer(struct json_scan *s)
{
	return scan_digits(s) ? end_integer(s) : WITHIN_INTEGER;
}

static enum awaited begin_number(struct json_scan *s)
{
	if (*s->p == '-')
		s->p++;
	if (!next_is(s, '0', '0'))
		return expect_digit(s) ? scan_integer(s) : AWAIT_FAILED;
	s->p++;
	return end_integer(s);
}

static enum awaited scan_word(struct json_scan *s, const char *word)
{
	for (; *word; word++, s->p++) {
		if (s->p == s->end || *s->p != (uint8_t)*word) {
			fail(s, "a value is expected");
			return AWAIT_FAILED;
		}
	}
	return end_value(s);
}

static enum awaited scan_string(struct json_scan *s)
{
	switch (scan_characters(s)) {
	case PIECE_WHOLE:
		return end_value(s);
	case PIECE_CUT:
		return WITHIN_STRING;
	default:
		return AWAIT_FAILED;
	}
}

static bool in_object(const struct json_scan *s)
{
	unsigned i = s->depth - 1;

	return s->objects[i / 8] >> i % 8 & 1;
}

static enum awaited open_container(struct json_scan *s, bool object)
{
	unsigned i = s->depth;

	if (i == JSON_DEPTH_MAX) {
		fail(s, "it is nested too deeply");
		return AWAIT_FAILED;
	}
	if (i % 8 == 0)
		s->objects[i / 8] = 0;
	s->objects[i / 8] &= (uint8_t)(~(1u << i % 8));
	s->objects[i / 8] |= (uint8_t)((unsigned)object << i % 8);
	s->depth++;
	s->p++;
	return object ? AWAIT_MEMBER : AWAIT_ELEMENT;
}

static enum awaited close_container(struct json_scan *s)
{
	s->p++;
	s->depth--;
	return end_value(s);
}

static enum awaited begin_value(struct json_scan *s)
{
	if (s->depth == 1 && s->found)
		s->begin = s->p;
	switch (*s->p) {
	case '{':
		return open_container(s, true);
	case '[':
		return open_container(s, false);
	case '"':
		s->p++;
		return scan_string(s);
	case 't':
		return scan_word(s, "true");
	case 'f':
		return scan_word(s, "false");
	case 'n':
		return scan_word(s, "null");
	default:
		if (*s->p == '-' || is_digit(*s->p))
			return begin_number(s);
		fail(s, "a value is expected");
		return AWAIT_FAILED;
	}
}

static enum awaited scan_name(struct json_scan *s)
{
	switch (scan_characters(s)) {
	case PIECE_WHOLE:
		if (s->depth == 1)
			s->found = is_name(s, s->begin, s->p);
		return AWAIT_COLON;
	case PIECE_CUT:
		return WITHIN_NAME;
	default:
		return AWAIT_FAILED;
	}
}

static enum awaited begin_name(struct json_scan *s)
{
	if (*s->p != '"') {
		fail(s, "a name in quotes is expected");
		return AWAIT_FAILED;
	}
	if (s->depth == 1)
		s->begin = s->p;
	s->p++;
	return scan_name(s);
}

static enum awaited scan_colon(struct json_scan *s)
{
	if (*s->p != ':') {
		fail(s, "a colon is expected");
		return AWAIT_FAILED;
	}
	s->p++;
	return AWAIT_VALUE;
}

static enum awaited scan_rest(struct json_scan *s)
{
	bool object = in_object(s);

	if (*s->p == ',') {
		s->p++;
		return object ? AWAIT_NAME : AWAIT_VALUE;
	}
	if (*s->p == (object ? '}' : ']'))
		return close_container(s);
	fail(s, object ? "a comma or } is expected" : "a comma or ] is expected");
	return AWAIT_FAILED;
}

static enum awaited step(struct json_scan *s, enum awaited awaited)
{
	switch (awaited) {
	case AWAIT_ELEMENT:
		return *s->p == ']' ? close_container(s) : begin_value(s);
	case AWAIT_VALUE:
		return begin_value(s);
	case AWAIT_MEMBER:
		return *s->p == '}' ? close_container(s) : begin_name(s);
	case AWAIT_NAME:
		return begin_name(s);
	case AWAIT_COLON:
		return scan_colon(s);
	case AWAIT_REST:
		return scan_rest(s);
	case WITHIN_STRING:
		return scan_string(s);
	case WITHIN_NAME:
		return scan_name(s);
	case WITHIN_INTEGER:
		return scan_integer(s);
	case WITHIN_FRACTION:
		return scan_fraction(s);
	case WITHIN_EXPONENT:
		return scan_exponent(s);
	default:
		fail(s, "more follows where the text should end");
		return AWAIT_FAILED;
	}
}

/* To the end of the slice, or of it all. */
static enum awaited scan(struct json_scan *s, enum awaited awaited)
{
	for (;;) {
		if (awaited <= AWAIT_SPACED)
			skip_space(s);
		if (s->p >= s->stop)
			break;
		awaited = step(s, awaited);
		if (awaited == AWAIT_FAILED)
			return awaited;
	}
	if (s->p < s->end || awaited == AWAIT_NOTHING)
		return awaited;
	fail(s, NULL);
	return AWAIT_FAILED;
}

/* False: not yet. */
static bool locate(struct json_scan *s, size_t most)
{
	const uint8_t *p = s->counted;
	const uint8_t *stop = (size_t)(s->p - p) > most ? p + most : s->p;

	for (; p < stop; p++) {
		if (*p == '\n') {
			s->error.line++;
			s->error.column = 1;
		} else if ((*p & 0xc0) != 0x80) {
			s->error.column++;
		}
	}
	s->counted = p;
	return p == s->p;
}

void json_begin(struct json_scan *s, const uint8_t *p, size_t n, const char *name)
{
	s->value = (struct json_value){ NULL, 0 };
	s->error = (struct json_error){ NULL, 1, 1 };
	s->p = s->counted = p;
	s->end = p + n;
	s->awaited = AWAIT_VALUE;
	s->depth = 0;
	s->name = name;
	s->name_len = strlen(name);
	s->found = false;
}

enum json_result json_go_on(struct json_scan *s, size_t most)
{
	if (s->awaited != AWAIT_FAILED) {
		s->stop = (size_t)(s->end - s->p) > most ? s->p + most : s->end;
		s->awaited = (uint8_t)scan(s, s->awaited);
	}
	if (s->awaited == AWAIT_FAILED)
		return locate(s, most) ? JSON_BAD : JSON_MORE;
	return s->p < s->end ? JSON_MORE : JSON_GOOD;
}

bool json_find(const uint8_t *p, size_t n, const char *name, struct json_value *value,
	       struct json_error *error)
{
	struct json_scan s;
	enum json_result r = JSON_MORE;

	json_begin(&s, p, n, name);
	while (r == JSON_MORE)
		r = json_go_on(&s, n + 1);
	*value = s.value;
	*error = s.error;
	return r == JSON_GOOD;
}

/* --- for people to read --- */

struct out {
	char *p;
	size_t len, size;
};

/* Nothing at all, if it does not fit whole: then nothing else may follow. */
static void put(struct out *o, const char *text, size_t n)
{
	if (n > o->size - o->len) {
		o->size = o->len;
		return;
	}
	memcpy(o->p + o->len, text, n);
	o->len += n;
}

static bool is_full(const struct out *o)
{
	return o->len == o->size;
}

static void put_char(struct out *o, uint32_t c)
{
	char text[4];

	put(o, text, encode(c, text));
}

/* A byte of text as it is, with those that belong to the same character. */
static void put_plain(struct out *o, const uint8_t **p)
{
	const uint8_t *begin = *p;

	do
		++*p;
	while ((**p & 0xc0) == 0x80);
	put(o, (const char *)begin, (size_t)(*p - begin));
}

/* What the string says. False: there is something in it that cannot be shown. */
static bool show_string(const struct json_value *v, struct out *o)
{
	const uint8_t *p = v->p + 1, *end = v->p + v->len - 1;

	while (p < end && !is_full(o)) {
		uint32_t c;

		if (*p != '\\') {
			put_plain(o, &p);
			continue;
		}
		c = read_escape(&p);
		if (c == 0 || is_surrogate(c))
			return false;
		put_char(o, c);
	}
	return true;
}

/* An escape within JSON: the character, unless that needs one itself. */
static void show_escape(struct out *o, const uint8_t **p)
{
	static const char short_ones[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\";
	static const char hex[] = "0123456789ABCDEF";
	uint32_t c = read_escape(p);
	const char *found = c && c < 0x80 ? strchr(short_ones, (int)c) : NULL;

	if (found)
		put(o, (char[]){ '\\', letters[found - short_ones] }, 2);
	else if (c >= ' ' && !is_surrogate(c))
		put_char(o, c);
	else
		put(o,
		    (char[]){ '\\', 'u', hex[c >> 12], hex[c >> 8 & 15], hex[c >> 4 & 15],
			      hex[c & 15] },
		    6);
}

static void show_json(const struct json_value *v, struct out *o)
{
	const uint8_t *p = v->p, *end = v->p + v->len;
	const uint8_t *stop = v->len > JSON_SHOWN_MAX ? v->p + JSON_SHOWN_MAX : end;
	bool quoted = false;

	while (p < stop && !is_full(o)) {
		if (quoted && *p == '\\') {
			show_escape(o, &p);
			continue;
		}
		if (*p == '"')
			quoted = !quoted;
		if (!quoted && is_space(*p)) {
			p++;
			continue;
		}
		if (p + 1 == end)
			put(o, (const char *)p++, 1);
		else
			put_plain(o, &p);
	}
}

size_t json_show(const struct json_value *value, char *out, size_t size)
{
	static const struct json_value none = { (const uint8_t *)"null", 4 };
	struct out o = { out, 0, size - 1 };

	if (!value->p)
		value = &none;
	if (*value->p != '"' || !show_string(value, &o)) {
		o = (struct out){ out, 0, size - 1 };
		show_json(value, &o);
	}
	out[o.len] = '\0';
	return o.len;
}
