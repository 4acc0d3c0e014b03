/*
 * completion.c - see completion.h.
 *
 * Commands and options are those of the tables, so that a new one is offered without a change of
 * the shell's file. A path is offered only if it has no character that a shell would need quoted:
 * rooms are named by strangers.
 */
#include "ctl/completion.h"

#include <stdio.h>
#include <string.h>

#include "ctl/arguments.h"
#include "ctl/ask.h"
#include "ctl/listing.h"

/* Up to the word that is completed. */
struct typed {
	const struct command *command; /* NULL: none yet */
	int arguments; /* of the command */
	const char *lacks; /* what the option before takes as its value; NULL: nothing */
	struct arguments whom; /* options, for who is asked */
};

static const struct {
	const char *value, *words;
} lists[] = {
	{ "LEVEL", "error warning notice info debug" },
	{ "CONDITION", "ready drained connections-below" },
	{ "EVENT",
	  "conn-open conn-close conn-refused reloaded reload-refused worker-died admin-died" },
	{ "ORDER", "oldest newest random" },
	{ "METHOD", "yescrypt sha512 bcrypt" },
	{ "SCOPE", "read publish manage" },
	{ "make", "make check" },
};

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static void offer(const char *word, const char *begin)
{
	if (begins(word, begin))
		puts(word);
}

static void offer_words(const char *words, const char *begin)
{
	char word[32];

	for (size_t n; *words; words += n + strspn(words + n, " ")) {
		n = strcspn(words, " ");
		snprintf(word, sizeof(word), "%.*s", (int)n, words);
		offer(word, begin);
	}
}

static void offer_options(const struct command *c, const char *begin)
{
	char word[32];

	for (int o = 0; o < OPTION_COUNT; o++) {
		if (!option_is_of((enum ctl_option)o, c))
			continue;
		snprintf(word, sizeof(word), "--%s", option_rows[o].name);
		offer(word, begin);
	}
}

/* An option that is written so, of the command; -1: there is none. */
static int option_named(const char *word, const struct command *c)
{
	for (int o = 0; o < OPTION_COUNT; o++) {
		const struct option_row *r = &option_rows[o];
		const char letter[] = { '-', r->letter, '\0' };

		if (option_is_of((enum ctl_option)o, c) &&
		    ((begins(word, "--") && strcmp(word + 2, r->name) == 0) ||
		     (r->letter && strcmp(word, letter) == 0)))
			return o;
	}
	return -1;
}

static void read_word(struct typed *t, const char *word, int *option)
{
	if (*option >= 0) {
		t->whom.option[*option] = word;
		*option = -1;
	} else if (*word == '-' && word[1]) {
		*option = option_named(word, t->command);
		if (*option >= 0 && !option_rows[*option].value)
			*option = -1;
	} else if (!t->command) {
		t->command = command_find(word);
	} else {
		t->arguments++;
	}
}

static void read_typed(struct typed *t, int count, char **words)
{
	int option = -1;

	*t = (struct typed){ 0 };
	for (int i = 0; i < count; i++)
		read_word(t, words[i], &option);
	t->lacks = option >= 0 ? option_rows[option].value : NULL;
}

/* The name of the nth argument of a command: "PATH" of "PATH [MESSAGE]". Empty: there is none. */
static void argument_name(const struct command *c, int n, char *name, size_t size)
{
	const char *p = c->arguments + strspn(c->arguments, "[");

	for (; n > 0 && *p; n--) {
		p += strcspn(p, " ");
		p += strspn(p, " [");
	}
	snprintf(name, size, "%.*s", (int)strcspn(p, " ]|"), p);
}

/* What a list of the daemon has by a key, and what it is to begin with. */
struct wanted {
	const char *key, *begin;
};

static const char *offer_member(json_t *object, void *arg)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789/._-";
	const struct wanted *w = arg;
	const char *path = json_string_value(json_object_get(object, w->key));

	if (path && path[strspn(path, plain)] == '\0')
		offer(path, w->begin);
	return NULL;
}

static void offer_list(const struct typed *t, const char *path, const char *key, const char *begin)
{
	struct list l = { .path = path,
			  .key = path + 1,
			  .query = { { "prefix", begin } },
			  .most = LISTING_PAGE };
	struct wanted w = { key, begin };
	struct asker *d = asker_new(&t->whom);
	struct answer last;

	if (!d)
		return;
	asker_set_timeout(d, 1);
	listing_each(d, &l, offer_member, &w, &last);
	answer_free(&last);
	asker_free(d);
}

/* By what is to be there, as usage names it. */
static void offer_values(const struct typed *t, const char *value, const char *begin)
{
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		if (strcmp(lists[i].value, value) == 0)
			offer_words(lists[i].words, begin);
	if (strcmp(value, "PATH") == 0 || strcmp(value, "PREFIX") == 0)
		offer_list(t, "/rooms", "room", begin);
	if (strcmp(value, "KEY") == 0)
		offer_list(t, "/config", "key", begin);
	if (strcmp(value, "ENDPOINT") == 0)
		offer_list(t, "/endpoints", "endpoint", begin);
}

int complete(int count, char **words)
{
	const char *begin = count > 0 ? words[count - 1] : "";
	char value[32];
	struct typed t;

	read_typed(&t, count - 1, words);
	if (t.lacks) {
		offer_values(&t, t.lacks, begin);
	} else if (*begin == '-') {
		offer_options(t.command, begin);
	} else if (t.command) {
		argument_name(t.command, t.arguments, value, sizeof(value));
		offer_values(&t, value, begin);
	} else {
		for (size_t i = 0; i < command_count; i++)
			offer(commands[i].name, begin);
	}
	return CTL_DONE;
}
