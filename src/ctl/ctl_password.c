/*
 * ctl_password.c - the command that makes a line of a user, with a hash of his password, for the file of
 * `users`. It asks nobody.
 */
#include <crypt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "ctl/arguments.h"
#include "ctl/ctl.h"
#include "ctl/trouble.h"
#include "ctl/typed.h"

enum { USER_MAX_LEN = 128 }; /* the daemon's */

/* What each costs: some tens of milliseconds, of each who connects. The first is taken without a word. */
static const struct method {
	const char *name, *prefix;
	unsigned long cost;
	size_t most; /* bytes of a password that count */
} methods[] = {
	{ "yescrypt", "$y$", 5, TYPED_MAX },
	{ "sha512", "$6$", 200000, TYPED_MAX },
	{ "bcrypt", "$2b$", 10, 72 },
};

static const struct method *find_method(const char *name)
{
	if (!name)
		return &methods[0];
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
		if (strcmp(methods[i].name, name) == 0)
			return &methods[i];
	trouble("a METHOD is yescrypt, sha512 or bcrypt, not \"%s\"", name);
	return NULL;
}

static int check_user(const char *word)
{
	const size_t len = strlen(word);

	if (len > 0 && len <= USER_MAX_LEN && *word != '#' && *word != ' ' &&
	    word[len - 1] != ' ' && !strchr(word, ':') && printable_whole(word, len))
		return 0;
	trouble("a NAME is of up to 128 bytes of UTF-8 without control characters and \":\", does "
		"not "
		"begin with #, and has no spaces at its ends");
	return -1;
}

static int print(const struct arguments *a, const char *hash)
{
	json_t *object;

	if (!a->option[OPTION_JSON]) {
		printf("%s:%s\n", a->words[0], hash);
		return CTL_DONE;
	}
	object = trouble_if_null(
		json_pack("{s:o}", "line", json_sprintf("%s:%s", a->words[0], hash)));
	json_dumpf(object, stdout, 0);
	putchar('\n');
	json_decref(object);
	return CTL_DONE;
}

static int hash(const struct arguments *a, const struct method *m, const char *password)
{
	struct crypt_data *scratch = trouble_if_null(calloc(1, sizeof(*scratch)));
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	const char *made = NULL;
	int status = CTL_FAILED;

	if (crypt_gensalt_rn(m->prefix, m->cost, NULL, 0, setting, sizeof(setting)))
		made = crypt_rn(password, setting, scratch, sizeof(*scratch));
	if (made)
		status = print(a, made);
	else
		trouble("crypt(3) of this machine cannot make a hash of %s", m->name);
	explicit_bzero(scratch, sizeof(*scratch));
	free(scratch);
	return status;
}

int command_password(struct asker *d, const struct arguments *a)
{
	const struct method *m = find_method(a->option[OPTION_METHOD]);
	char password[TYPED_MAX + 1];
	int status = CTL_FAILED;

	(void)d;
	if (!m || check_user(a->words[0]) < 0)
		return CTL_USAGE;
	if (typed_password(password) < 0)
		return CTL_FAILED;
	if (strlen(password) > m->most)
		trouble("of %s %zu bytes of a password count, and this one has more", m->name,
			m->most);
	else
		status = hash(a, m, password);
	explicit_bzero(password, sizeof(password));
	return status;
}
