/*
 * lexcheck.c - what libconfig 1.5 passes over in silence.
 *
 * Integers that do not fit are cut to 32 or 64 bits, a comment may be open at
 * the end, "\x00" is dropped, an unknown escape stays as it is, and brackets
 * nested without end exhaust the stack. All these are errors here. So is a
 * string that runs over the end of its line: nearly always its closing quote was
 * forgotten, and libconfig would complain about a line far below.
 *
 * It also says what "syntax error" does not: which bracket has no partner, where
 * a comma is missing, and that a word or a number with a unit wants quotes.
 */
#include "config/lexcheck.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/errors.h"
#include "config/lex.h"
#include "config/source.h"

struct bracket {
	char open;
	unsigned line;
};

struct check {
	const struct config_source *source;
	char *text;
	struct config_errors *errors;
	struct lexcheck_strings *strings;
	struct lex lex;
	/* The token before: */
	enum lex_kind last;
	char last_char; /* its first character */
	size_t last_at; /* its place in the text */
	struct bracket brackets[LEXCHECK_DEPTH_MAX];
	size_t depth;
	unsigned fatal; /* errors that libconfig would stop at too, or must not see */
};

static void __attribute__((format(printf, 3, 4)))
report(struct check *c, unsigned line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	errors_vadd(c->errors, false, source_place(c->source, line), fmt, ap);
	va_end(ap);
}

#define TOKEN(c) (int)(c)->lex.len, (c)->lex.start

static const char *skip_class(const char *p, int (*in_class)(int))
{
	while (in_class((unsigned char)*p))
		p++;
	return p;
}

static bool is_integer(const char *p)
{
	p += *p == '+' || *p == '-';
	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X') && isxdigit((unsigned char)p[2]))
		p = skip_class(p + 2, isxdigit);
	else if (isdigit((unsigned char)*p))
		p = skip_class(p, isdigit);
	else
		return false;
	p += *p == 'L';
	p += *p == 'L';
	return *p == '\0';
}

static bool is_float(const char *p)
{
	char *end;

	if (strpbrk(p, ".eE") == NULL || strpbrk(p, "xXnNpP") != NULL)
		return false;
	strtod(p, &end);
	return *end == '\0' && end != p;
}

static void check_integer(struct check *c, const char *text)
{
	bool wide = text[strlen(text) - 1] == 'L';
	bool hex = strpbrk(text, "xX") != NULL;
	long long v;

	errno = 0;
	v = strtoll(text, NULL, hex ? 16 : 10);
	if (errno == ERANGE)
		report(c, c->lex.at, "the number %s does not fit in 64 bits", text);
	else if (!wide && (v < INT_MIN || v > INT_MAX))
		report(c, c->lex.at, "the number %s does not fit in 32 bits: write %sL", text,
		       text);
}

static void check_number(struct check *c)
{
	char *text = alloc_bytes(c->lex.start, c->lex.len);

	if (is_integer(text)) {
		check_integer(c, text);
	} else if (!is_float(text)) {
		report(c, c->lex.at,
		       "%s is not a number; with a unit or as text it needs quotes: \"%s\"", text,
		       text);
		c->fatal++;
	} else if (!isfinite(strtod(text, NULL))) {
		report(c, c->lex.at, "the number %s is too large", text);
	}
	free(text);
}

static void check_escape(struct check *c, const char *p)
{
	bool hex = (p[1] == 'x' || p[1] == 'X') && isxdigit((unsigned char)p[2]) &&
		   isxdigit((unsigned char)p[3]);

	if (hex && p[2] == '0' && p[3] == '0')
		report(c, c->lex.at, "\\x00 cannot stand in a string");
	else if (!hex && strchr("\"\\fnrt", p[1]) == NULL)
		report(c, c->lex.at, "\\%c is no escape sequence; a backslash is written \\\\",
		       p[1]);
}

static void check_string(struct check *c)
{
	const char *end = c->lex.start + c->lex.len - 1;
	struct lexcheck_strings *s = c->strings;

	for (const char *p = c->lex.start + 1; p < end; p++) {
		if (*p == '\\')
			check_escape(c, p++);
	}
	if (c->last == LEX_STRING)
		return;
	s->lines = alloc_grow(s->lines, s->count, &s->cap, sizeof(*s->lines));
	s->lines[s->count++] = c->lex.at;
}

static bool in_list(const struct check *c)
{
	return c->depth > 0 && c->brackets[c->depth - 1].open != '{';
}

/* Whether the token stands where a value does, not the name of a setting. */
static bool in_value(const struct check *c)
{
	return in_list(c) || (c->last == LEX_PUNCT && strchr("=:", c->last_char) != NULL);
}

/* Two values of a list side by side, other than strings, which are joined. */
static void check_comma(struct check *c)
{
	bool after = c->last_char != ',' && strchr("([", c->last_char) == NULL;
	bool value = c->lex.kind == LEX_NUMBER || c->lex.kind == LEX_NAME ||
		     c->lex.kind == LEX_STRING ||
		     (c->lex.kind == LEX_PUNCT && strchr("{([", *c->lex.start) != NULL);

	if (!in_list(c) || !after || !value || (c->lex.kind == LEX_STRING && c->last == LEX_STRING))
		return;
	report(c, c->lex.at, "a comma is missing before %.*s", TOKEN(c));
	c->fatal++;
}

static void check_name(struct check *c)
{
	if (!in_value(c) || (c->lex.len == 4 && strncasecmp(c->lex.start, "true", 4) == 0) ||
	    (c->lex.len == 5 && strncasecmp(c->lex.start, "false", 5) == 0))
		return;
	report(c, c->lex.at, "text needs quotes: \"%.*s\"", TOKEN(c));
	c->fatal++;
}

/* Ends the look at the tokens: all that follow would be misread. */
static void stop(struct check *c)
{
	c->fatal++;
	c->depth = 0;
	c->lex.p = c->lex.end;
}

static void open_bracket(struct check *c, char open)
{
	if (c->depth == LEXCHECK_DEPTH_MAX) {
		report(c, c->lex.at, "brackets are nested more than %d deep", LEXCHECK_DEPTH_MAX);
		stop(c);
		return;
	}
	c->brackets[c->depth++] = (struct bracket){ open, c->lex.at };
}

static void report_bracket(struct check *c, const struct bracket *b, const char *found)
{
	struct config_place at = source_place(c->source, b->line);

	report(c, c->lex.at, "%s found where the \"%c\" of %s:%u is not closed yet", found, b->open,
	       at.file, at.line);
}

static void close_bracket(struct check *c, char close)
{
	static const char pairs[] = "{}()[]";
	char open = strchr(pairs, close)[-1];

	if (c->depth > 0 && c->brackets[c->depth - 1].open == open) {
		if (c->last_char == ',' && open != '{')
			c->text[c->last_at] = ' ';
		c->depth--;
		return;
	}
	if (c->depth == 0)
		report(c, c->lex.at, "\"%c\" closes nothing", close);
	else
		report_bracket(c, &c->brackets[c->depth - 1], (char[]){ '"', close, '"', '\0' });
	stop(c);
}

static void check_punct(struct check *c)
{
	char p = *c->lex.start;

	if (strchr("{([", p) != NULL)
		open_bracket(c, p);
	else if (strchr("})]", p) != NULL)
		close_bracket(c, p);
}

static void check_other(struct check *c)
{
	if (*c->lex.start == '@')
		report(c, c->lex.at, "@include must be the first on its line");
	else
		report(c, c->lex.at, "unexpected \"%.*s\"", TOKEN(c));
	c->fatal++;
}

static void check_open_string(struct check *c)
{
	report(c, c->lex.at, "the string is not closed on its line");
	stop(c);
}

static void check_open_comment(struct check *c)
{
	report(c, c->lex.at, "the comment is not closed: \"*/\" is missing");
	stop(c);
}

static void check_end(struct check *c)
{
	if (c->depth == 0)
		return;
	report_bracket(c, &c->brackets[c->depth - 1], "the end of the file is");
	c->fatal++;
}

bool lexcheck(const struct config_source *s, char *text, struct config_errors *e,
	      struct lexcheck_strings *strings)
{
	static void (*const checks[])(struct check *) = {
		[LEX_END] = check_end,
		[LEX_NAME] = check_name,
		[LEX_NUMBER] = check_number,
		[LEX_STRING] = check_string,
		[LEX_PUNCT] = check_punct,
		[LEX_OTHER] = check_other,
		[LEX_OPEN_STRING] = check_open_string,
		[LEX_OPEN_COMMENT] = check_open_comment,
	};
	struct check c = {
		.source = s, .text = text, .errors = e, .strings = strings, .last = LEX_END
	};

	lex_init(&c.lex, s->text, s->len, 1);
	do {
		lex_next(&c.lex);
		check_comma(&c);
		checks[c.lex.kind](&c);
		c.last = c.lex.kind;
		c.last_char = c.lex.len > 0 ? *c.lex.start : '\0';
		c.last_at = (size_t)(c.lex.start - s->text);
	} while (c.lex.kind != LEX_END && c.lex.kind != LEX_OPEN_COMMENT &&
		 c.fatal < LEXCHECK_ERRORS_MAX);
	return c.fatal == 0;
}
