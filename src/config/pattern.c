/*
 * pattern.c - see pattern.h.
 *
 * regcomp would do, but for two things. A repeat in a repeat takes it seconds and gigabytes, at load.
 * And regexec keeps each state that it has ever been in: with [ab]*a[ab]{20} those are a million, of
 * some kilobytes each, for who sends the right values.
 *
 * So an expression becomes an automaton of positions (Glushkov 1961): one for each character or
 * bracket of it, repeats written out. For each is known which may come behind it, as a set of bits.
 * A value goes through with the set of those that its next byte may be at, and nothing else is
 * remembered. A byte costs at most one look at each position; the sum of positions is bounded.
 *
 * The expression is read once for each time that a part of it is written out: the parser makes the
 * sets of what it reads, and there is no tree. Each copy has a position, so their bound is one of
 * the parser's time, too.
 *
 * Most patterns are one bracket with a repeat, and so is the default. Then the automaton is a chain, and it
 * is enough to look at the length and at each byte.
 */
#include "config/pattern.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"

enum { WORDS = PATTERN_POSITIONS_MAX / 64, DEPTH_MAX = 16 };

/* Of positions. */
struct set {
	uint64_t bits[WORDS];
};

/* Of bytes. */
struct bytes {
	uint64_t bits[4];
};

struct position {
	struct bytes bytes; /* that may be there */
	struct set next; /* positions that may be behind it */
};

struct pattern {
	bool chain; /* of one set of bytes: what is from least to most bytes of it matches */
	size_t least, most;
	size_t count, words;
	struct set first, last;
	struct position at[];
};

/* A part of the expression: positions that it may begin and end with. */
struct part {
	struct set first, last;
	bool empty; /* nothing matches as well */
};

struct parser {
	const char *at;
	char *why;
	unsigned depth;
	struct pattern *made;
};

/* Returns false, for who fails with it. The first one counts. */
static bool fail(struct parser *ps, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool fail(struct parser *ps, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(ps->why, PATTERN_WHY_MAX, fmt, args);
	va_end(args);
	return false;
}

/* --- sets --- */

static void add(uint64_t *bits, size_t n)
{
	bits[n / 64] |= (uint64_t)1 << n % 64;
}

static bool has(const uint64_t *bits, size_t n)
{
	return bits[n / 64] >> n % 64 & 1;
}

static void join(struct set *to, const struct set *from, size_t words)
{
	for (size_t i = 0; i < words; i++)
		to->bits[i] |= from->bits[i];
}

/* What begins b may come behind what ends a. */
static void connect(struct pattern *p, const struct set *a, const struct set *b)
{
	for (size_t i = 0; i < p->count; i++)
		if (has(a->bits, i))
			join(&p->at[i].next, b, WORDS);
}

/* --- brackets --- */

static bool add_class(struct parser *ps, struct bytes *b)
{
	static const struct {
		const char *name;
		int (*is)(int c);
	} classes[] = {
		{ "alnum", isalnum }, { "alpha", isalpha }, { "blank", isblank },
		{ "cntrl", iscntrl }, { "digit", isdigit }, { "graph", isgraph },
		{ "lower", islower }, { "print", isprint }, { "punct", ispunct },
		{ "space", isspace }, { "upper", isupper }, { "xdigit", isxdigit },
	};

	for (size_t i = 0; i < sizeof(classes) / sizeof(*classes); i++) {
		size_t n = strlen(classes[i].name);

		if (strncmp(ps->at + 2, classes[i].name, n) != 0 ||
		    strncmp(ps->at + 2 + n, ":]", 2) != 0)
			continue;
		for (int c = 0; c < 128; c++)
			if (classes[i].is(c))
				add(b->bits, (size_t)c);
		ps->at += n + 4;
		return true;
	}
	return fail(ps, "has a bracket with a class that there is not: \"%.12s\"", ps->at);
}

static bool is_special(const char *p)
{
	return p[0] == '[' && p[1] != '\0' && strchr(":.=", p[1]) != NULL;
}

/* A byte, or two with a "-" between them. */
static bool add_range(struct parser *ps, struct bytes *b)
{
	unsigned char from = (unsigned char)*ps->at++, to = from;

	if (ps->at[0] == '-' && ps->at[1] != ']' && ps->at[1] != '\0') {
		if (is_special(ps->at + 1))
			return fail(ps, "has a bracket with a range that ends in a class");
		to = (unsigned char)ps->at[1];
		ps->at += 2;
	}
	if (from > to)
		return fail(ps, "has a bracket with a range that ends before it begins");
	for (unsigned c = from; c <= to; c++)
		add(b->bits, c);
	return true;
}

static bool add_element(struct parser *ps, struct bytes *b)
{
	if (!is_special(ps->at))
		return add_range(ps, b);
	if (ps->at[1] == ':')
		return add_class(ps, b);
	return fail(ps, "has \"[%c\" in a bracket, which is of no use here", ps->at[1]);
}

static bool read_bracket(struct parser *ps, struct bytes *b)
{
	bool all_others = *ps->at == '^';
	const char *first = ps->at += all_others;

	while (*ps->at != ']' || ps->at == first) {
		if (*ps->at == '\0')
			return fail(ps, "has a \"[\" that is not closed");
		if (!add_element(ps, b))
			return false;
	}
	ps->at++;
	for (size_t i = 0; all_others && i < 4; i++)
		b->bits[i] = ~b->bits[i];
	return true;
}

/* --- one position --- */

static bool read_escape(struct parser *ps, struct bytes *b)
{
	unsigned char c = (unsigned char)*ps->at;

	if (isdigit(c))
		return fail(ps, "has \"\\%c\": there are no back-references", c);
	if (c == '\0' || !ispunct(c))
		return fail(ps, "has a \"\\\" before what is no punctuation: write \"[a-z]\" or "
				"\"[[:alnum:]]\" for classes");
	ps->at++;
	add(b->bits, c);
	return true;
}

static bool read_bytes(struct parser *ps, struct bytes *b)
{
	unsigned char c = (unsigned char)*ps->at++;

	switch (c) {
	case '[':
		return read_bracket(ps, b);
	case '\\':
		return read_escape(ps, b);
	case '.':
		memset(b, 0xff, sizeof(*b));
		return true;
	case '^':
	case '$':
		return fail(ps,
			    "has \"%c\" within: it always has to match a whole segment, so leave "
			    "it out, or write \"\\%c\"",
			    c, c);
	case '*':
	case '+':
	case '?':
	case '{':
		return fail(ps, "has \"%c\" with nothing before it that could be repeated", c);
	default:
		add(b->bits, c);
		return true;
	}
}

static bool read_position(struct parser *ps, struct part *out)
{
	struct pattern *p = ps->made;
	struct bytes b = { { 0 } };

	if (!read_bytes(ps, &b))
		return false;
	if (p->count == PATTERN_POSITIONS_MAX)
		return fail(
			ps,
			"has more than %d characters when its repeats are written out: give "
			"smaller counts, do not repeat what has repeats, or use \"*\" and \"+\"",
			PATTERN_POSITIONS_MAX);
	*out = (struct part){ .empty = false };
	add(out->first.bits, p->count);
	add(out->last.bits, p->count);
	p->at[p->count++].bytes = b;
	return true;
}

/* --- parts --- */

static bool read_alternatives(struct parser *ps, struct part *out);

static bool read_atom(struct parser *ps, struct part *out)
{
	bool good;

	if (*ps->at != '(')
		return read_position(ps, out);
	if (ps->depth == DEPTH_MAX)
		return fail(ps, "has more than %d parentheses within each other", DEPTH_MAX);
	ps->at++;
	ps->depth++;
	good = read_alternatives(ps, out);
	ps->depth--;
	if (!good)
		return false;
	if (*ps->at != ')')
		return fail(ps, "has a \"(\" that is not closed");
	ps->at++;
	return true;
}

/* Puts b behind a, of which `end` are the last positions that b may follow. */
static void append(struct parser *ps, struct part *a, const struct set *end, const struct part *b)
{
	connect(ps->made, end, &b->first);
	if (a->empty)
		join(&a->first, &b->first, WORDS);
}

/* How often something is there. */
struct repeat {
	unsigned least, most; /* most 0: without end */
};

static bool read_number(struct parser *ps, unsigned *n)
{
	for (*n = 0; isdigit((unsigned char)*ps->at) && *n <= PATTERN_REPEAT_MAX; ps->at++)
		*n = *n * 10 + (unsigned)(*ps->at - '0');
	return *n <= PATTERN_REPEAT_MAX ||
	       fail(ps, "has a repeat of more than %d, which POSIX does not know",
		    PATTERN_REPEAT_MAX);
}

/* "{2}", "{2,}", "{2,5}", behind its first character. */
static bool read_counts(struct parser *ps, struct repeat *r)
{
	if (!isdigit((unsigned char)*ps->at))
		return fail(ps,
			    "has a \"{\" that begins no repeat: write \"\\{\" for the character");
	if (!read_number(ps, &r->least))
		return false;
	r->most = r->least;
	if (*ps->at == ',') {
		bool open = *++ps->at == '}';

		if (!read_number(ps, &r->most))
			return false;
		if (open)
			r->most = 0;
		else if (r->most == 0 || r->most < r->least)
			return fail(ps, "has a repeat that ends before it begins");
	} else if (r->most == 0) {
		return fail(ps, "has a repeat of 0, which is nothing");
	}
	if (*ps->at++ != '}')
		return fail(ps, "has a \"{\" that is not closed");
	return true;
}

/* What is behind an atom; {1, 1}: nothing. */
static bool read_repeat(struct parser *ps, struct repeat *r)
{
	*r = (struct repeat){ 1, 1 };
	switch (*ps->at) {
	case '*':
		*r = (struct repeat){ 0, 0 };
		break;
	case '+':
		*r = (struct repeat){ 1, 0 };
		break;
	case '?':
		*r = (struct repeat){ 0, 1 };
		break;
	case '{':
		ps->at++;
		if (!read_counts(ps, r))
			return false;
		ps->at--;
		break;
	default:
		return true;
	}
	ps->at++;
	return *ps->at == '\0' || !strchr("*+?{", *ps->at) ||
	       fail(ps, "has two repeats in a row: put what is repeated into parentheses");
}

/* Of what is repeated. */
struct copies {
	const char *from; /* where it stands */
	struct part newest; /* of the copies */
	struct set end; /* positions that the next one may follow */
};

/*
 * One copy more. Those that need not be are within each other, a(b(c)?)?, so that behind each
 * position are only a few.
 */
static bool write_out(struct parser *ps, bool optional, struct part *all, struct copies *c)
{
	struct part *copy = &c->newest;

	ps->at = c->from;
	if (!read_atom(ps, copy))
		return false;
	append(ps, all, &c->end, copy);
	if (!copy->empty)
		memset(&c->end, 0, sizeof(c->end));
	join(&c->end, &copy->last, WORDS);
	if (!copy->empty && !optional)
		memset(&all->last, 0, sizeof(all->last));
	join(&all->last, &copy->last, WORDS);
	return true;
}

static bool read_repeated(struct parser *ps, struct part *out)
{
	struct copies c = { .from = ps->at };
	struct repeat r;
	const char *behind;

	if (!read_atom(ps, out) || !read_repeat(ps, &r))
		return false;
	behind = ps->at;
	c.newest = *out;
	c.end = out->last;
	for (unsigned n = 1; n < (r.most ? r.most : r.least); n++)
		if (!write_out(ps, n >= r.least, out, &c))
			return false;
	if (r.most == 0)
		connect(ps->made, &c.newest.last, &c.newest.first);
	out->empty |= r.least == 0;
	ps->at = behind;
	return true;
}

static bool read_branch(struct parser *ps, struct part *out)
{
	*out = (struct part){ .empty = true };
	do {
		struct part next;

		if (*ps->at == '\0' || *ps->at == '|' || *ps->at == ')')
			return fail(ps, "has a place where nothing is said: \"%.12s\"", ps->at);
		if (!read_repeated(ps, &next))
			return false;
		append(ps, out, &out->last, &next);
		if (!next.empty)
			memset(&out->last, 0, sizeof(out->last));
		join(&out->last, &next.last, WORDS);
		out->empty &= next.empty;
	} while (*ps->at != '\0' && *ps->at != '|' && *ps->at != ')');
	return true;
}

static bool read_alternatives(struct parser *ps, struct part *out)
{
	if (!read_branch(ps, out))
		return false;
	while (*ps->at == '|') {
		struct part other;

		ps->at++;
		if (!read_branch(ps, &other))
			return false;
		join(&out->first, &other.first, WORDS);
		join(&out->last, &other.last, WORDS);
		out->empty |= other.empty;
	}
	return true;
}

/* --- the whole --- */

static bool is_alone(const struct set *s, size_t n)
{
	struct set other = *s;

	add(other.bits, n);
	other.bits[n / 64] ^= (uint64_t)1 << n % 64;
	for (size_t i = 0; i < WORDS; i++)
		if (other.bits[i] != 0)
			return false;
	return has(s->bits, n);
}

static bool is_none(const struct set *s)
{
	static const struct set none;

	return memcmp(s, &none, sizeof(none)) == 0;
}

/* Whether it is one set of bytes in a row, and how often. */
static void look_for_chain(struct pattern *p)
{
	size_t least = 0;

	for (size_t i = 0; i < p->count; i++) {
		const struct position *at = &p->at[i];

		if (memcmp(&at->bytes, &p->at[0].bytes, sizeof(at->bytes)) != 0)
			return;
		if (i + 1 < p->count ? !is_alone(&at->next, i + 1) : !is_none(&at->next))
			return;
		if (has(p->last.bits, i) && least == 0)
			least = i + 1;
		if (!has(p->last.bits, i) && least > 0)
			return;
	}
	p->chain = is_alone(&p->first, 0);
	p->least = least;
	p->most = p->count;
}

static struct pattern *finish(struct pattern *p, const struct part *whole)
{
	p->first = whole->first;
	p->last = whole->last;
	p->words = (p->count + 63) / 64;
	look_for_chain(p);
	return p;
}

static size_t size_of(size_t positions)
{
	return sizeof(struct pattern) + positions * sizeof(struct position);
}

/* Without "^" and "$" at its ends, which mean what is the case anyway. */
static char *body_of(const char *text)
{
	size_t len = strlen(text += *text == '^'), slashes = 0;

	if (len > 0 && text[len - 1] == '$') {
		while (slashes + 1 < len && text[len - 2 - slashes] == '\\')
			slashes++;
		len -= slashes % 2 == 0;
	}
	return alloc_bytes(text, len);
}

struct pattern *pattern_new(const char *text, char why[PATTERN_WHY_MAX])
{
	struct pattern *made = alloc_zero(1, size_of(PATTERN_POSITIONS_MAX)), *small = NULL;
	char *body = body_of(text);
	struct parser ps = { .at = body, .why = why, .made = made };
	struct part whole;

	if (read_alternatives(&ps, &whole) &&
	    (*ps.at == '\0' || fail(&ps, "has a \")\" that nothing opens"))) {
		finish(made, &whole);
		small = alloc_zero(1, size_of(made->count));
		memcpy(small, made, size_of(made->count));
	}
	free(body);
	free(made);
	return small;
}

void pattern_free(struct pattern *p)
{
	free(p);
}

static bool is_of_chain(const struct pattern *p, const char *s, size_t len)
{
	if (len < p->least || len > p->most)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!has(p->at[0].bytes.bits, (unsigned char)s[i]))
			return false;
	return true;
}

/* Of the positions in *now those where byte is stay; *then: what may come behind them. */
static void step(const struct pattern *p, unsigned char byte, struct set *now, struct set *then)
{
	for (size_t w = 0; w < p->words; w++) {
		for (uint64_t left = now->bits[w]; left != 0; left &= left - 1) {
			const size_t n = w * 64 + (size_t)__builtin_ctzll(left);

			if (has(p->at[n].bytes.bits, byte))
				join(then, &p->at[n].next, p->words);
			else
				now->bits[w] &= ~(left & -left);
		}
	}
}

static bool meet(const struct pattern *p, const struct set *a, const struct set *b)
{
	for (size_t i = 0; i < p->words; i++)
		if (a->bits[i] & b->bits[i])
			return true;
	return false;
}

bool pattern_matches(const struct pattern *p, const char *s, size_t len)
{
	struct set now = p->first, then;

	if (p->chain || len == 0)
		return len > 0 && is_of_chain(p, s, len);
	for (size_t i = 0;; i++) {
		memset(&then, 0, sizeof(then));
		step(p, (unsigned char)s[i], &now, &then);
		if (i + 1 == len)
			return meet(p, &now, &p->last);
		now = then;
	}
}
