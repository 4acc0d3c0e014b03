/*
 * tokens.c - see tokens.h.
 *
 * A wrong line is an error and not passed over: a token that was meant to be there, or to be gone,
 * is noticed when the file is read, and not when somebody asks. No text of the file is quoted, for
 * what stands in a wrong place may be the token itself.
 */
#include "config/tokens.h"

#include <stdio.h>
#include <string.h>

enum { WRONG_TOLD = 20 }; /* of a file that is no file of tokens each line may be wrong */

enum { NAME, SCOPE, HASH, WORDS };

struct word {
	const char *p;
	size_t len;
};

/* In the order of enum config_scope. */
static const char *const scopes[] = { "read", "publish", "manage" };

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The first words of a line; returns how many there are, WORDS + 1 for any more. */
static int split(const char *p, const char *end, struct word words[WORDS])
{
	int n = 0;

	for (;;) {
		const char *from;

		while (p < end && is_space(*p))
			p++;
		if (p == end || n > WORDS)
			return n;
		for (from = p; p < end && !is_space(*p);)
			p++;
		if (n < WORDS)
			words[n] = (struct word){ from, (size_t)(p - from) };
		n++;
	}
}

static bool is_name(const struct word *w)
{
	for (size_t i = 0; i < w->len; i++)
		if (w->p[i] < '!' || w->p[i] > '~')
			return false;
	return w->len <= CONFIG_TOKEN_NAME_MAX;
}

static bool read_scope(const struct word *w, enum config_scope *scope)
{
	for (size_t i = 0; i < sizeof(scopes) / sizeof(*scopes); i++) {
		if (w->len != strlen(scopes[i]) || memcmp(w->p, scopes[i], w->len) != 0)
			continue;
		*scope = (enum config_scope)i;
		return true;
	}
	return false;
}

static int digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

static bool read_hash(const struct word *w, uint8_t hash[CONFIG_TOKEN_HASH])
{
	if (w->len != 2 * CONFIG_TOKEN_HASH)
		return false;
	for (size_t i = 0; i < CONFIG_TOKEN_HASH; i++) {
		int high = digit(w->p[2 * i]), low = digit(w->p[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		hash[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static bool is_known(const struct config_token *tokens, size_t count, const uint8_t *hash)
{
	for (size_t i = 0; i < count; i++)
		if (memcmp(tokens[i].hash, hash, CONFIG_TOKEN_HASH) == 0)
			return true;
	return false;
}

/* What is wrong with a line of so many words. NULL: nothing, and it is the token at count. */
static const char *read_line(const struct word words[WORDS], int n, struct config_token *tokens,
			     size_t count)
{
	struct config_token t = { .scope = SCOPE_READ };

	if (n != WORDS)
		return "has to be NAME SCOPE HASH, as \"ignyxctl token make\" prints it";
	if (!is_name(&words[NAME]))
		return "has a NAME that is not of 1 to 64 letters, digits and signs";
	if (!read_scope(&words[SCOPE], &t.scope))
		return "has a SCOPE that is none of read, publish and manage";
	if (!read_hash(&words[HASH], t.hash))
		return "has a HASH that is not of 64 digits 0 to f: a line with it is made by "
		       "\"ignyxctl token make\"";
	if (count == CONFIG_TOKENS_MAX)
		return "is one more than the 256 that are possible";
	if (is_known(tokens, count, t.hash))
		return "has the HASH of a line before it";
	memcpy(t.name, words[NAME].p, words[NAME].len);
	tokens[count] = t;
	return NULL;
}

struct wrongs {
	tokens_wrong_fn *tell;
	void *arg;
	size_t count;
};

static void note_wrong(struct wrongs *w, unsigned line, const char *what)
{
	char text[128];

	if (++w->count > WRONG_TOLD)
		return;
	snprintf(text, sizeof(text), "the line %s", what);
	w->tell(line, text, w->arg);
}

static void tell_rest(const struct wrongs *w)
{
	char text[64];

	if (w->count <= WRONG_TOLD)
		return;
	snprintf(text, sizeof(text), "and %zu more lines that are wrong", w->count - WRONG_TOLD);
	w->tell(0, text, w->arg);
}

size_t tokens_parse(const char *text, size_t len, struct config_token *tokens,
		    tokens_wrong_fn *wrong, void *arg)
{
	const char *end = text + len;
	struct wrongs w = { wrong, arg, 0 };
	unsigned line = 0;
	size_t count = 0;

	for (const char *p = text, *stop; p < end; p = stop < end ? stop + 1 : end) {
		struct word words[WORDS] = { { "", 0 } };
		const char *what;
		int n;

		stop = memchr(p, '\n', (size_t)(end - p));
		if (stop == NULL)
			stop = end;
		line++;
		n = split(p, stop, words);
		if (n == 0 || *words[NAME].p == '#')
			continue;
		what = read_line(words, n, tokens, count);
		if (what != NULL)
			note_wrong(&w, line, what);
		else
			count++;
	}
	tell_rest(&w);
	return count;
}

bool tokens_have(const struct config_admin *a, const struct config_token *t)
{
	for (size_t i = 0; i < a->token_count; i++) {
		const struct config_token *x = &a->tokens[i];

		if (strcmp(x->name, t->name) == 0 && x->scope == t->scope &&
		    memcmp(x->hash, t->hash, CONFIG_TOKEN_HASH) == 0)
			return true;
	}
	return false;
}

/* None is in a file twice. */
bool tokens_same(const struct config_admin *a, const struct config_admin *b)
{
	for (size_t i = 0; i < a->token_count; i++)
		if (!tokens_have(b, &a->tokens[i]))
			return false;
	return a->token_count == b->token_count;
}
