/*
 * lex.c - the tokens of libconfig's syntax.
 *
 * libconfig has a scanner of its own, which does the real work. This one is
 * coarse - it does not tell an integer from a float - and exists because ours
 * has to know where strings and comments end: to find @include lines, and to
 * look at each token for what libconfig would pass over in silence (lexcheck.c).
 */
#include "config/lex.h"

#include <ctype.h>
#include <string.h>

void lex_init(struct lex *l, const char *text, size_t len, unsigned line)
{
	*l = (struct lex){ .p = text, .end = text + len, .line = line };
}

static bool at(const struct lex *l, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(l->end - l->p) >= n && memcmp(l->p, word, n) == 0;
}

static void skip_line(struct lex *l)
{
	while (l->p < l->end && *l->p != '\n')
		l->p++;
}

/* Goes behind the end of a block comment. false: there is none. */
static bool skip_block(struct lex *l)
{
	while (l->p < l->end && !at(l, "*/"))
		l->line += *l->p++ == '\n';
	if (l->p == l->end)
		return false;
	l->p += 2;
	return true;
}

/* Goes to the next token. false: a comment is not closed; it is made the token. */
static bool skip_blank(struct lex *l)
{
	while (l->p < l->end) {
		l->start = l->p;
		l->at = l->line;
		if (*l->p == '#' || at(l, "//")) {
			skip_line(l);
		} else if (at(l, "/*")) {
			l->p += 2;
			if (!skip_block(l))
				return false;
		} else if (strchr(" \t\r\f\n", *l->p) != NULL && *l->p != '\0') {
			l->line += *l->p++ == '\n';
		} else {
			return true;
		}
	}
	return true;
}

static bool name_start(char c)
{
	return isalpha((unsigned char)c) || c == '*';
}

static bool name_char(char c)
{
	return isalnum((unsigned char)c) || c == '*' || c == '_' || c == '-';
}

static bool number_start(const struct lex *l)
{
	const char *p = l->p;

	if (*p == '+' || *p == '-')
		p++;
	return p < l->end && (isdigit((unsigned char)*p) || *p == '.');
}

static enum lex_kind take_string(struct lex *l)
{
	for (l->p++; l->p < l->end && *l->p != '"' && *l->p != '\n'; l->p++) {
		if (*l->p == '\\' && l->p + 1 < l->end && l->p[1] != '\n')
			l->p++;
	}
	if (l->p == l->end || *l->p == '\n')
		return LEX_OPEN_STRING;
	l->p++;
	return LEX_STRING;
}

static enum lex_kind take_number(struct lex *l)
{
	bool hex = at(l, "0x") || at(l, "0X");

	for (l->p++; l->p < l->end; l->p++) {
		bool exponent = !hex && (l->p[-1] == 'e' || l->p[-1] == 'E');

		if (exponent && (*l->p == '+' || *l->p == '-'))
			continue;
		if (!isalnum((unsigned char)*l->p) && strchr("._*", *l->p) == NULL)
			break;
	}
	return LEX_NUMBER;
}

static enum lex_kind take_name(struct lex *l)
{
	while (l->p < l->end && name_char(*l->p))
		l->p++;
	return LEX_NAME;
}

/* A byte that cannot stand here; a character of several bytes is one token. */
static enum lex_kind take_other(struct lex *l)
{
	bool ascii = isascii((unsigned char)*l->p++);

	while (!ascii && l->p < l->end && !isascii((unsigned char)*l->p))
		l->p++;
	return LEX_OTHER;
}

static enum lex_kind take(struct lex *l)
{
	if (*l->p == '"')
		return take_string(l);
	if (number_start(l))
		return take_number(l);
	if (name_start(*l->p))
		return take_name(l);
	if (strchr("=:,;{}()[]", *l->p) == NULL)
		return take_other(l);
	l->p++;
	return LEX_PUNCT;
}

enum lex_kind lex_next(struct lex *l)
{
	if (!skip_blank(l)) {
		l->kind = LEX_OPEN_COMMENT;
	} else if (l->p == l->end) {
		l->start = l->p;
		l->at = l->line;
		l->kind = LEX_END;
	} else {
		l->kind = take(l);
	}
	l->len = (size_t)(l->p - l->start);
	return l->kind;
}

bool lex_line_comment(const char *line, size_t len, bool inside)
{
	struct lex l;

	lex_init(&l, line, len, 1);
	if (inside && !skip_block(&l))
		return true;
	do
		lex_next(&l);
	while (l.kind != LEX_END && l.kind != LEX_OPEN_COMMENT);
	return l.kind == LEX_OPEN_COMMENT;
}
