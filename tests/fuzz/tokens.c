/*
 * The file of tokens.
 *
 * Invariants: each line is a token, wrong, or passed over; names and scopes are such as there are;
 * no two have one hash; the file that is written of what was read is read as the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/tokens.h"
#include "fuzz.h"

static void note(unsigned line, const char *what, void *arg)
{
	unsigned *last = arg;

	fuzz_require(line > *last && what[0] != '\0');
	*last = line;
}

static void check_token(const struct config_token *t)
{
	size_t len = strnlen(t->name, sizeof(t->name));

	fuzz_require(len > 0 && len <= CONFIG_TOKEN_NAME_MAX && t->name[0] != '#');
	for (size_t i = 0; i < len; i++)
		fuzz_require(t->name[i] > ' ' && t->name[i] < 0x7f);
	fuzz_require(t->scope == SCOPE_READ || t->scope == SCOPE_PUBLISH ||
		     t->scope == SCOPE_MANAGE);
}

static void write_all(FILE *f, const struct config_token *tokens, size_t count)
{
	static const char *const scopes[] = { "read", "publish", "manage" };

	for (size_t i = 0; i < count; i++) {
		fprintf(f, "%s %s ", tokens[i].name, scopes[tokens[i].scope]);
		for (int k = 0; k < CONFIG_TOKEN_HASH; k++)
			fprintf(f, "%02x", tokens[i].hash[k]);
		fputc('\n', f);
	}
	fclose(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config_token tokens[CONFIG_TOKENS_MAX], again[CONFIG_TOKENS_MAX];
	struct config_admin a = { .tokens = tokens }, b = { .tokens = again };
	unsigned last = 0;
	char *text = NULL;
	size_t len;

	a.token_count = tokens_parse((const char *)data, size, tokens, note, &last);
	fuzz_require(a.token_count <= CONFIG_TOKENS_MAX);
	for (size_t i = 0; i < a.token_count; i++)
		check_token(&tokens[i]);
	write_all(open_memstream(&text, &len), tokens, a.token_count);
	last = 0;
	b.token_count = tokens_parse(text, len, again, note, &last);
	fuzz_require(last == 0 && tokens_same(&a, &b));
	free(text);
	return 0;
}
