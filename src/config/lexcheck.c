/*
 * lexcheck.c - what libconfig does not say, or passes over.
 *
 * libconfig knows one error, "syntax error", and notes the line where it gave
 * up. So the grammar, which is small, is followed here as well, to say what was
 * expected and which bracket has no partner. What is awaited (enum await) depends on the
 * token before and on the innermost open bracket. Brackets nested without end would
 * exhaust libconfig's stack, so there is a limit. There is one for the settings of a group
 * as well: libconfig compares each with all before it, and a worker that reads ten
 * thousand would be taken for one that stands still.
 *
 * A string that runs over the end of its line is an error, though libconfig
 * takes it: nearly always its closing quote was forgotten, and the error would be
 * found far below. What stops libconfig stops this too, but a word that wants
 * quotes counts as a value, so all of these are found at once.
 *
 * libconfig 1.5 also leaks the token that it stumbles over, which is one more
 * reason not to let it.
 */
#include "config/lexcheck.h"

#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/errors.h"
#include "config/lex.h"
#include "config/literal.h"
#include "config/source.h"

enum await {
	AWAIT_NAME, /* of a setting, or the end of the group */
	AWAIT_EQUALS, /* behind the name */
	AWAIT_VALUE, /* behind the equals sign */
	AWAIT_FIRST, /* element of a list or array, or its end */
	AWAIT_ELEMENT, /* behind a comma: another one, or the end */
	AWAIT_SEPARATOR, /* behind a value, or what may follow without one */
};

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
	enum await await;
	enum lex_kind last; /* the token before */
	size_t last_at; /* its place in the text */
	struct bracket brackets[LEXCHECK_DEPTH_MAX];
	size_t depth;
	unsigned names[LEXCHECK_DEPTH_MAX + 1]; /* of the group at each depth */
	unsigned fatal; /* errors that libconfig would stop at too, or must not see */
	bool stopped;
};

static void __attribute__((format(printf, 2, 3))) report(struct check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	errors_vadd(c->errors, false, source_place(c->source, c->lex.at), fmt, ap);
	va_end(ap);
}

/* Ends the look at the tokens: all that follow would be misread. */
static void stop(struct check *c)
{
	c->fatal++;
	c->stopped = true;
}

/* The kind of brackets that the token is in; a file is the inside of a group. */
static char inside(const struct check *c)
{
	return c->depth > 0 ? c->brackets[c->depth - 1].open : '{';
}

static char punct(const struct check *c)
{
	return c->lex.kind == LEX_PUNCT ? *c->lex.start : '\0';
}

/* --- what is not as expected --- */

/* The token as an error shows it. Caller frees. */
static char *token_text(const struct check *c)
{
	if (c->lex.kind == LEX_END)
		return alloc_string("the end of the file");
	if (c->lex.kind == LEX_STRING)
		return alloc_bytes(c->lex.start, c->lex.len);
	return alloc_format("\"%.*s\"", (int)c->lex.len, c->lex.start);
}

static void report_unexpected(struct check *c, const char *expected)
{
	char *token = token_text(c);

	report(c, "expected %s, found %s", expected, token);
	free(token);
	stop(c);
}

static void report_missing_comma(struct check *c)
{
	char *token = token_text(c);

	report(c, "a comma is missing before %s", token);
	free(token);
	c->fatal++;
}

static void report_open_bracket(struct check *c)
{
	const struct bracket *b = &c->brackets[c->depth - 1];
	struct config_place at = source_place(c->source, b->line);
	char *token = token_text(c);

	report(c, "found %s, but the \"%c\" of %s:%u is not closed", token, b->open, at.file,
	       at.line);
	free(token);
	stop(c);
}

/* --- literals --- */

static void note_string(struct check *c)
{
	struct lexcheck_strings *s = c->strings;

	/* one that follows another is part of it */
	if (c->last == LEX_STRING)
		return;
	s->lines = alloc_grow(s->lines, s->count, &s->cap, sizeof(*s->lines));
	s->lines[s->count++] = c->lex.at;
}

static void check_word(struct check *c)
{
	if ((c->lex.len == 4 && strncasecmp(c->lex.start, "true", 4) == 0) ||
	    (c->lex.len == 5 && strncasecmp(c->lex.start, "false", 5) == 0))
		return;
	report(c, "text needs quotes: \"%.*s\"", (int)c->lex.len, c->lex.start);
	c->fatal++;
}

static void check_scalar(struct check *c)
{
	char *wrong = NULL;
	bool bad = false;

	if (c->lex.kind == LEX_NAME)
		check_word(c);
	else if (c->lex.kind == LEX_NUMBER)
		wrong = literal_check_number(c->lex.start, c->lex.len, &bad);
	else
		wrong = literal_check_string(c->lex.start, c->lex.len);
	if (wrong != NULL)
		report(c, "%s", wrong);
	free(wrong);
	c->fatal += bad;
	if (c->lex.kind == LEX_STRING)
		note_string(c);
	c->await = AWAIT_SEPARATOR;
}

/* --- brackets --- */

static void open_bracket(struct check *c)
{
	if (inside(c) == '[') {
		report(c, "an array has only scalars; a list is written with ( )");
		stop(c);
		return;
	}
	if (c->depth == LEXCHECK_DEPTH_MAX) {
		report(c, "brackets are nested more than %d deep", LEXCHECK_DEPTH_MAX);
		stop(c);
		return;
	}
	c->brackets[c->depth++] = (struct bracket){ *c->lex.start, c->lex.at };
	c->names[c->depth] = 0;
	c->await = punct(c) == '{' ? AWAIT_NAME : AWAIT_FIRST;
}

static void close_bracket(struct check *c)
{
	char partner = punct(c) == '}' ? '{' : punct(c) == ')' ? '(' : '[';

	if (c->depth == 0) {
		report(c, "\"%c\" closes nothing", punct(c));
		stop(c);
	} else if (inside(c) != partner) {
		report_open_bracket(c);
	} else {
		c->depth--;
		c->await = AWAIT_SEPARATOR;
	}
}

static bool is_close(const struct check *c)
{
	return punct(c) != '\0' && strchr("})]", punct(c)) != NULL;
}

static bool is_value(const struct check *c)
{
	return c->lex.kind == LEX_NUMBER || c->lex.kind == LEX_STRING || c->lex.kind == LEX_NAME ||
	       (punct(c) != '\0' && strchr("{([", punct(c)) != NULL);
}

/* --- what is awaited --- */

static void take_name(struct check *c)
{
	c->await = AWAIT_EQUALS;
	if (++c->names[c->depth] <= LEXCHECK_NAMES_MAX)
		return;
	report(c, "a group has more than %d settings", LEXCHECK_NAMES_MAX);
	stop(c);
}

static void await_name(struct check *c)
{
	if (c->lex.kind == LEX_NAME)
		take_name(c);
	else if (is_close(c))
		close_bracket(c);
	else if (c->lex.kind == LEX_END && c->depth > 0)
		report_open_bracket(c);
	else if (c->lex.kind != LEX_END)
		report_unexpected(c, "the name of a setting");
}

static void await_equals(struct check *c)
{
	if (punct(c) == '=' || punct(c) == ':')
		c->await = AWAIT_VALUE;
	else
		report_unexpected(c, "\"=\"");
}

static void await_value(struct check *c)
{
	if (!is_value(c))
		report_unexpected(c, "a value");
	else if (c->lex.kind == LEX_PUNCT)
		open_bracket(c);
	else
		check_scalar(c);
}

static void await_first(struct check *c)
{
	if (is_close(c))
		close_bracket(c);
	else if (c->lex.kind == LEX_END)
		report_open_bracket(c);
	else
		await_value(c);
}

static void await_element(struct check *c)
{
	/* not every libconfig takes a comma behind the last element */
	if (is_close(c))
		c->text[c->last_at] = ' ';
	await_first(c);
}

static void await_comma(struct check *c)
{
	if (punct(c) == ',') {
		c->await = AWAIT_ELEMENT;
	} else if (is_close(c) || c->lex.kind == LEX_END) {
		await_first(c);
	} else if (is_value(c)) {
		report_missing_comma(c);
		await_value(c);
	} else {
		report_unexpected(c, "a comma");
	}
}

static void await_separator(struct check *c)
{
	/* strings side by side are one */
	if (c->lex.kind == LEX_STRING && c->last == LEX_STRING)
		check_scalar(c);
	else if (inside(c) != '{')
		await_comma(c);
	else if (punct(c) == ';' || punct(c) == ',')
		c->await = AWAIT_NAME;
	else if (c->lex.kind == LEX_NAME || c->lex.kind == LEX_END || is_close(c))
		await_name(c); /* libconfig does not insist on separators */
	else
		report_unexpected(c, "\";\"");
}

/* What can stand nowhere. */
static bool check_kind(struct check *c)
{
	if (c->lex.kind == LEX_OPEN_STRING)
		report(c, "the string is not closed on its line");
	else if (c->lex.kind == LEX_OPEN_COMMENT)
		report(c, "the comment is not closed: \"*/\" is missing");
	else if (c->lex.kind == LEX_OTHER && *c->lex.start == '@')
		report(c, "@include must be the first on its line");
	else if (c->lex.kind == LEX_OTHER && strncmp(c->lex.start, "\xef\xbb\xbf", 3) == 0)
		report(c, "a byte order mark, which cannot be seen: save the file without it");
	else if (c->lex.kind == LEX_OTHER)
		report(c, "unexpected \"%.*s\"", (int)c->lex.len, c->lex.start);
	else
		return true;
	stop(c);
	return false;
}

static void check_token(struct check *c)
{
	static void (*const awaiting[])(struct check *) = {
		[AWAIT_NAME] = await_name,   [AWAIT_EQUALS] = await_equals,
		[AWAIT_VALUE] = await_value, [AWAIT_ELEMENT] = await_element,
		[AWAIT_FIRST] = await_first, [AWAIT_SEPARATOR] = await_separator,
	};

	if (check_kind(c))
		awaiting[c->await](c);
}

bool lexcheck(const struct config_source *s, char *text, struct config_errors *e,
	      struct lexcheck_strings *strings)
{
	struct check c = { .source = s, .text = text, .errors = e, .strings = strings };

	c.last = LEX_END;
	lex_init(&c.lex, s->text, s->len, 1);
	do {
		lex_next(&c.lex);
		check_token(&c);
		c.last = c.lex.kind;
		c.last_at = (size_t)(c.lex.start - s->text);
		c.stopped = c.stopped || c.fatal >= LEXCHECK_ERRORS_MAX;
	} while (c.lex.kind != LEX_END && !c.stopped);
	return c.fatal == 0;
}
