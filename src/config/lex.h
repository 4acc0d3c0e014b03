/*
 * lex.h - the tokens of libconfig's syntax, and what libconfig gets wrong.
 */
#ifndef CONFIG_LEX_H
#define CONFIG_LEX_H

#include <stdbool.h>
#include <stddef.h>

enum lex_kind {
	LEX_END,
	LEX_NAME,
	LEX_NUMBER, /* whatever begins like one, to its last letter, digit or dot */
	LEX_STRING, /* with its quotes */
	LEX_PUNCT,
	LEX_OTHER, /* a byte that cannot stand here */
	LEX_OPEN_STRING, /* not closed on its line */
	LEX_OPEN_COMMENT, /* not closed at all */
};

struct lex {
	const char *p, *end; /* what is left */
	unsigned line;
	/* The token: */
	enum lex_kind kind;
	const char *start;
	size_t len;
	unsigned at; /* the line it begins on */
};

/* Begins with len bytes, the first of which is on that line. */
void lex_init(struct lex *l, const char *text, size_t len, unsigned line);

/* Goes on to the next token and returns its kind; the last one repeats. */
enum lex_kind lex_next(struct lex *l);

/* Whether a block comment is open behind one line of text that began inside one or not. */
bool lex_line_comment(const char *line, size_t len, bool inside);

#endif
