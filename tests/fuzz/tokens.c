/*
 * The files of tokens: of the admin interface, and of clients.
 *
 * Invariants: each line is a token, wrong, or passed over; names and scopes are such as there are;
 * each is found by its hash, so that no two have one; the file that is written of what was read is
 * read as the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "config/tokens.h"
#include "fuzz.h"

static void note(unsigned line, const char *what, void *arg)
{
	unsigned *last = arg;

	fuzz_require((line > *last || line == 0) && what[0] != '\0');
	*last = line;
}

static void check_name(const char *name, bool scoped)
{
	size_t len = strlen(name), n;

	fuzz_require(len > 0 && len <= (scoped ? CONFIG_TOKEN_NAME_MAX : CONFIG_USER_MAX));
	fuzz_require(name[0] != '#');
	for (size_t i = 0; i < len; i += n) {
		n = printable((const unsigned char *)name + i);
		fuzz_require(n > 0 && name[i] != ' ' && (n == 1 || !scoped));
	}
}

static void check(const struct config_tokens *all, bool scoped)
{
	for (size_t i = 0; i < all->count; i++) {
		const struct config_token *t = &all->list[i];

		check_name(t->name, scoped);
		fuzz_require(scoped ? t->scope <= SCOPE_MANAGE : t->scope == SCOPE_READ);
		fuzz_require(tokens_find_hash(all, t->hash) == t && tokens_have(all, t));
	}
}

static void write_all(FILE *f, const struct config_tokens *all, bool scoped)
{
	static const char *const scopes[] = { "read ", "publish ", "manage " };

	for (size_t i = 0; i < all->count; i++) {
		fprintf(f, "%s %s", all->list[i].name, scoped ? scopes[all->list[i].scope] : "");
		for (int k = 0; k < CONFIG_TOKEN_HASH; k++)
			fprintf(f, "%02x", all->list[i].hash[k]);
		fputc('\n', f);
	}
	fclose(f);
}

static void read_as(const char *data, size_t size, bool scoped)
{
	const struct tokens_form *form = scoped ? &tokens_of_admin : &tokens_of_access;
	struct config_tokens a, b;
	unsigned last = 0;
	char *text = NULL;
	size_t len;

	tokens_parse(data, size, form, &a, note, &last);
	fuzz_require(a.count <= (scoped ? CONFIG_TOKENS_MAX : CONFIG_ACCESS_TOKENS_MAX));
	check(&a, scoped);
	write_all(open_memstream(&text, &len), &a, scoped);
	last = 0;
	tokens_parse(text, len, form, &b, note, &last);
	fuzz_require(last == 0 && tokens_same(&a, &b));
	free(a.list);
	free(b.list);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_as((const char *)data, size, true);
	read_as((const char *)data, size, false);
	return 0;
}
