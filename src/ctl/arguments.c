/*
 * arguments.c - see arguments.h.
 *
 * getopt_long reads the words twice: up to the command's name by the options that all commands have,
 * and behind it by those together with the command's own. So a command can have an option of a name
 * that means something else before it (publish --json).
 */
#include "ctl/arguments.h"
#include "ctl/whom.h"

#include <getopt.h>
#include <string.h>

/* What getopt_long gives back for an option, besides its '?'. */
enum { FIRST = 256 };

/* Lists for getopt_long of what the command has. */
static void list_options(const struct command *c, struct option *names, char *letters)
{
	/* Up to the command's name: what follows is read with its own options. */
	if (c == NULL)
		*letters++ = '+';
	for (int o = 0; o < OPTION_COUNT; o++) {
		const struct option_row *r = &option_rows[o];

		if (!option_is_of((enum ctl_option)o, c))
			continue;
		*names++ = (struct option){ r->name, r->value ? required_argument : no_argument,
					    NULL, FIRST + o };
		if (!r->letter)
			continue;
		*letters++ = r->letter;
		if (r->value)
			*letters++ = ':';
	}
	*names = (struct option){ 0 };
	*letters = '\0';
}

/* The option that getopt_long tells of: by its letter, or by its place. -1: none. */
static int option_told(int told)
{
	if (told >= FIRST)
		return told - FIRST;
	for (int o = 0; o < OPTION_COUNT; o++)
		if (option_rows[o].letter == told)
			return o;
	return -1;
}

static int read_options(struct arguments *a, int argc, char **argv)
{
	struct option names[OPTION_COUNT + 1];
	char letters[2 * OPTION_COUNT + 2];
	int told;

	list_options(a->command, names, letters);
	optind = 0; /* anew */
	while ((told = getopt_long(argc, argv, letters, names, NULL)) != -1) {
		int o = option_told(told);

		if (o < 0)
			return -1;
		a->option[o] = optarg ? optarg : "";
	}
	a->words = argv + optind;
	a->count = argc - optind;
	return 0;
}

static bool only_tells(const struct arguments *a)
{
	return a->option[OPTION_HELP] || a->option[OPTION_VERSION];
}

/* How many words there are: as many as the command takes? */
static int check_count(const struct arguments *a)
{
	const struct command *c = a->command;

	if (a->count < c->least)
		fprintf(stderr, "ignyxctl: %s lacks an argument: %s\n", c->name, c->arguments);
	else if (a->count > c->most)
		fprintf(stderr, "ignyxctl: %s: unexpected argument \"%s\"\n", c->name,
			a->words[c->most]);
	else
		return 0;
	return -1;
}

static int check_whom(const struct arguments *a)
{
	struct whom w;

	whom_find(&w, a);
	if (a->option[OPTION_SOCKET] && a->option[OPTION_URL])
		fputs("ignyxctl: -s and -H are two ways to ask: choose one\n", stderr);
	else if (a->option[OPTION_TOKEN_FILE] && !w.url)
		fputs("ignyxctl: --token-file is for -H; on a socket, the user that asks counts\n",
		      stderr);
	else if (a->option[OPTION_CACERT] && !whom_has_tls(&w))
		fputs("ignyxctl: --cacert is for -H https://...: nobody else has a certificate\n",
		      stderr);
	else
		return 0;
	return -1;
}

int arguments_parse(struct arguments *a, int argc, char **argv)
{
	char *program = argv[0];

	*a = (struct arguments){ 0 };
	if (read_options(a, argc, argv) < 0)
		return -1;
	if (a->count == 0) {
		if (only_tells(a))
			return 0;
		fputs("ignyxctl: no command is given\n", stderr);
		return -1;
	}
	a->command = command_find(a->words[0]);
	if (!a->command) {
		fprintf(stderr, "ignyxctl: there is no command \"%s\"\n", a->words[0]);
		return only_tells(a) ? 0 : -1;
	}
	argc = a->count;
	argv = a->words;
	argv[0] = program; /* getopt_long's messages begin with it */
	if (read_options(a, argc, argv) < 0)
		return -1;
	if (only_tells(a))
		return 0;
	return check_count(a) < 0 || check_whom(a) < 0 ? -1 : 0;
}

static void usage_option(FILE *out, enum ctl_option o)
{
	const struct option_row *r = &option_rows[o];
	char names[64];

	snprintf(names, sizeof(names), "%c%c%c --%s%s%s", r->letter ? '-' : ' ',
		 r->letter ? r->letter : ' ', r->letter ? ',' : ' ', r->name, r->value ? " " : "",
		 r->value ? r->value : "");
	fprintf(out, "  %-24s %s\n", names, r->help);
}

static void usage_options(FILE *out, const struct command *c, bool own)
{
	for (int o = 0; o < OPTION_COUNT; o++)
		if (option_is_of((enum ctl_option)o, c) && (option_rows[o].commands != NULL) == own)
			usage_option(out, (enum ctl_option)o);
}

void arguments_usage(FILE *out, const struct command *c)
{
	if (c) {
		fprintf(out, "usage: ignyxctl [OPTION...] %s%s%s\n\n%s\n\n", c->name,
			*c->arguments ? " " : "", c->arguments, c->help);
		usage_options(out, c, true);
		usage_options(out, c, false);
		return;
	}
	fputs("usage: ignyxctl [OPTION...] COMMAND [ARGUMENT...]\n\n", out);
	for (size_t i = 0; i < command_count; i++) {
		char with[64];

		snprintf(with, sizeof(with), "%s %s", commands[i].name, commands[i].arguments);
		fprintf(out, "  %-24s %s\n", with, commands[i].help);
	}
	fputs("\n", out);
	usage_options(out, NULL, false);
	fputs("\nA command's own options: ignyxctl COMMAND -h. See ignyxctl(8).\n", out);
}
