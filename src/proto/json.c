/*
 * json.c - see json.h.
 *
 * A loop over what is awaited next, with one bit for each array or object that is open:
 * whether it is an object. Errors are rare, so their place is counted only when one is found.
 */
#include "proto/json.h"

#include <string.h>

#include "base/metrics.h"

enum { STEP = 64 * 1024 }; /* bytes between two beats */

enum awaited {
	AWAIT_VALUE,
	AWAIT_ELEMENT, /* or the end of an array that has none */
	AWAIT_NAME,
	AWAIT_MEMBER, /* or the end of an object that has none */
	AWAIT_REST, /* behind a value */
	AWAIT_NOTHING,
	AWAIT_FAILED
};

struct scan {
	const uint8_t *p, *end;
	const uint8_t *beat; /* where the next one is due */
	const char *why; /* of a failure */
	unsigned depth;
	uint8_t objects[JSON_DEPTH_MAX / 8]; /* a bit for each that is open */
	/* the member that is looked for: */
	const char *name;
	size_t name_len;
	bool found; /* the value that comes next, or is open at depth 1, is its */
	const uint8_t *begin; /* of that value */
	struct json_value *value;
};

static inline void pace(struct scan *s, const uint8_t *p)
{
	if (p < s->beat)
		return;
	metrics_beat();
	s->beat = p + STEP;
}

static bool fail(struct scan *s, const char *why)
{
	s->why = s->p == s->end ? "the text ends too early" : why;
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

static inline void skip_space(struct scan *s)
{
	const uint8_t *p = s->p;

	for (; p < s->end && is_space(*p); p++)
		pace(s, p);
	s->p = p;
}

/* --- strings --- */

static bool ends_plain(uint8_t b)
{
	return b == '"' || b == '\\' || b < ' ';
}

/* A bit in each byte that ends_plain, and maybe in those above the lowest such. */
static uint64_t ends_of(uint64_t word)
{
	const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
	uint64_t quote = word ^ '"' * ones, escape = word ^ '\\' * ones;

	return ((quote - ones) | (escape - ones) | (word - ' ' * ones)) & ~word & high;
}

/* To the first byte that is more than itself. */
static void skip_plain(struct scan *s)
{
	const uint8_t *p = s->p;
	uint64_t word;

	for (; s->end - p >= (ptrdiff_t)sizeof(word); p += sizeof(word)) {
		pace(s, p);
		memcpy(&word, p, sizeof(word));
		if (ends_of(word))
			break;
	}
	while (p < s->end && !ends_plain(*p))
		p++;
	s->p = p;
}

/* Its value, or -1. */
static int hex_digit(uint8_t b)
{
	if (is_digit(b))
		return b - '0';
	b |= 0x20;
	return b >= 'a' && b <= 'f' ? b - 'a' + 10 : -1;
}

static bool scan_escape(struct scan *s)
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

/* From its first quote to behind its last. */
static bool scan_string(struct scan *s)
{
	s->p++;
	for (;;) {
		skip_plain(s);
		pace(s, s->p);
		if (s->p == s->end || *s->p < ' ')
			return fail(s, "a control character in a string");
		if (*s->p == '"')
			break;
		if (!scan_escape(s))
			return false;
	}
	s->p++;
	return true;
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

/* Whether the string from p (a quote) to end (behind one) is the name. */
static bool is_name(const struct scan *s, const uint8_t *p, const uint8_t *end)
{
	const char *name = s->name, *name_end = name + s->name_len;

	for (p++, end--; p < end;) {
		char c[4] = { (char)*p };
		size_t n = 1;

		if (*p == '\\')
			n = encode(read_escape(&p), c);
		else
			p++;
		if ((size_t)(name_end - name) < n || memcmp(name, c, n) != 0)
			return false;
		name += n;
	}
	return name == name_end;
}

/* --- the rest of the grammar --- */

static bool scan_digits(struct scan *s)
{
	const uint8_t *p = s->p;

	if (p == s->end || !is_digit(*p))
		return fail(s, "a digit is expected");
	for (; p < s->end && is_digit(*p); p++)
		pace(s, p);
	s->p = p;
	return true;
}

static bool next_is(const struct scan *s, uint8_t a, uint8_t b)
{
	return s->p < s->end && (*s->p == a || *s->p == b);
}

static bool scan_number(struct scan *s)
{
	if (*s->p == '-')
		s->p++;
	if (next_is(s, '0', '0'))
		s->p++;
	else if (!scan_digits(s))
		return false;
	if (next_is(s, '.', '.')) {
		s->p++;
		if (!scan_digits(s))
			return false;
	}
	if (!next_is(s, 'e', 'E'))
		return true;
	s->p++;
	if (next_is(s, '+', '-'))
		s->p++;
	return scan_digits(s);
}

static bool scan_word(struct scan *s, const char *word)
{
	for (; *word; word++, s->p++)
		if (s->p == s->end || *s->p != (uint8_t)*word)
			return fail(s, "a value is expected");
	return true;
}

static bool in_object(const struct scan *s)
{
	unsigned i = s->depth - 1;

	return s->objects[i / 8] >> i % 8 & 1;
}

static enum awaited open_container(struct scan *s, bool object)
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

/* A value ends here. */
static enum awaited end_value(struct scan *s)
{
	if (s->depth == 1 && s->found) {
		*s->value = (struct json_value){ s->begin, (size_t)(s->p - s->begin) };
		s->found = false;
	}
	return s->depth == 0 ? AWAIT_NOTHING : AWAIT_REST;
}

static enum awaited close_container(struct scan *s)
{
	s->p++;
	s->depth--;
	return end_value(s);
}

static enum awaited scan_value(struct scan *s)
{
	bool good;

	if (s->depth == 1 && s->found)
		s->begin = s->p;
	switch (*s->p) {
	case '{':
		return open_container(s, true);
	case '[':
		return open_container(s, false);
	case '"':
		good = scan_string(s);
		break;
	case 't':
		good = scan_word(s, "true");
		break;
	case 'f':
		good = scan_word(s, "false");
		break;
	case 'n':
		good = scan_word(s, "null");
		break;
	default:
		if (*s->p == '-' || is_digit(*s->p))
			good = scan_number(s);
		else
			good = fail(s, "a value is expected");
	}
	return good ? end_value(s) : AWAIT_FAILED;
}

static enum awaited scan_name(struct scan *s)
{
	const uint8_t *begin = s->p;

	if (*begin != '"') {
		fail(s, "a name in quotes is expected");
		return AWAIT_FAILED;
	}
	if (!scan_string(s))
		return AWAIT_FAILED;
	if (s->depth == 1)
		s->found = is_name(s, begin, s->p);
	skip_space(s);
	if (!next_is(s, ':', ':')) {
		fail(s, "a colon is expected");
		return AWAIT_FAILED;
	}
	s->p++;
	return AWAIT_VALUE;
}

static enum awaited scan_rest(struct scan *s)
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

static enum awaited step(struct scan *s, enum awaited awaited)
{
	switch (awaited) {
	case AWAIT_ELEMENT:
		return *s->p == ']' ? close_container(s) : scan_value(s);
	case AWAIT_VALUE:
		return scan_value(s);
	case AWAIT_MEMBER:
		return *s->p == '}' ? close_container(s) : scan_name(s);
	case AWAIT_NAME:
		return scan_name(s);
	case AWAIT_REST:
		return scan_rest(s);
	default:
		fail(s, "more follows where the text should end");
		return AWAIT_FAILED;
	}
}

static bool scan(struct scan *s)
{
	enum awaited awaited = AWAIT_VALUE;

	while (awaited != AWAIT_FAILED) {
		skip_space(s);
		pace(s, s->p);
		if (s->p == s->end)
			return awaited == AWAIT_NOTHING || fail(s, NULL);
		awaited = step(s, awaited);
	}
	return false;
}

static void locate(struct scan *s, const uint8_t *p, struct json_error *error)
{
	*error = (struct json_error){ s->why, 1, 1 };
	s->beat = p;
	for (; p < s->p; p++) {
		pace(s, p);
		if (*p == '\n') {
			error->line++;
			error->column = 1;
		} else if ((*p & 0xc0) != 0x80) {
			error->column++;
		}
	}
}

bool json_find(const uint8_t *p, size_t n, const char *name, struct json_value *value,
	       struct json_error *error)
{
	struct scan s;

	s.p = s.beat = p;
	s.end = p + n;
	s.why = NULL;
	s.depth = 0;
	s.name = name;
	s.name_len = strlen(name);
	s.found = false;
	s.value = value;
	*value = (struct json_value){ NULL, 0 };
	if (scan(&s))
		return true;
	locate(&s, p, error);
	return false;
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
	bool quoted = false;

	while (p < end && !is_full(o)) {
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
