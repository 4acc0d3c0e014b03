/*
 * ctl_token.c - the command that makes a token: for a client of the daemon, or, with a scope, for who
 * asks over TCP. It asks nobody.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/printable.h"
#include "ctl/arguments.h"
#include "ctl/ask.h"
#include "ctl/explained.h"
#include "ctl/token.h"
#include "ctl/trouble.h"

enum { NAME_MAX_LEN = 64, USER_MAX_LEN = 128 }; /* the daemon's */

static bool is_scope(const char *word)
{
	return strcmp(word, "read") == 0 || strcmp(word, "publish") == 0 ||
	       strcmp(word, "manage") == 0;
}

/* A word of a line of the daemon's file, which neither ends it nor makes it a comment. */
static bool is_name(const char *word)
{
	for (const char *p = word; *p; p++)
		if (*p < '!' || *p > '~')
			return false;
	return *word && *word != '#' && strlen(word) <= NAME_MAX_LEN;
}

/* The same of the file of clients, where the name is who somebody is. */
static bool is_user(const char *word)
{
	const size_t len = strlen(word);

	return len > 0 && len <= USER_MAX_LEN && *word != '#' && !strchr(word, ' ') &&
	       printable_whole(word, len);
}

static int check_words(const struct arguments *a)
{
	const char *scope = a->count > 2 ? a->words[2] : NULL;

	if (strcmp(a->words[0], "make") != 0)
		trouble("token can do two things: make NAME [SCOPE], and check FILE, or - for "
			"stdin");
	else if (!scope && !is_user(a->words[1]))
		trouble("a NAME is of up to 128 bytes of UTF-8 without spaces and control "
			"characters, and does not begin with #");
	else if (scope && !is_name(a->words[1]))
		trouble("a NAME is of up to 64 letters, digits and signs, and does not begin with "
			"#");
	else if (scope && !is_scope(scope))
		trouble("a SCOPE is read, publish or manage, not \"%s\"", scope);
	else
		return 0;
	return -1;
}

/* Into a new file that nobody else may read. */
static int keep(const char *file, const char *token)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int bad;

	if (fd < 0) {
		trouble("%s: %s", file, strerror(errno));
		return -1;
	}
	bad = dprintf(fd, "%s\n", token) < 0;
	if (close(fd) < 0 || bad) {
		trouble("%s: it could not be written", file);
		unlink(file);
		return -1;
	}
	return 0;
}

/* token: NULL where it is in a file. line: for the daemon's file. */
static int print(const struct arguments *a, const char *token, const char *line)
{
	json_t *object;

	if (!a->option[OPTION_JSON]) {
		printf("%s%s%sline   %s\n", token ? "token  " : "", token ? token : "",
		       token ? "\n" : "", line);
		return CTL_DONE;
	}
	object = trouble_if_null(json_pack("{s:s*, s:s}", "token", token, "line", line));
	json_dumpf(object, stdout, 0);
	putchar('\n');
	json_decref(object);
	return CTL_DONE;
}

int command_token(struct asker *d, const struct arguments *a)
{
	const char *file = a->option[OPTION_NEW_TOKEN_FILE];
	char token[TOKEN_SIZE], hash[TOKEN_HASH_SIZE], *line;
	int status;

	(void)d;
	if (strcmp(a->words[0], "check") == 0)
		return explained_token(a);
	if (check_words(a) < 0)
		return CTL_USAGE;
	if (token_new(token) < 0 || token_hash(token, hash) < 0 || (file && keep(file, token) < 0))
		return CTL_FAILED;
	if (asprintf(&line, "%s %s%s%s", a->words[1], a->count > 2 ? a->words[2] : "",
		     a->count > 2 ? " " : "", hash) < 0)
		trouble_if_null(NULL);
	status = print(a, file ? NULL : token, line);
	free(line);
	return status;
}
