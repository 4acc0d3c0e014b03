/*
 * main.c - ignyxctl, the command line of the daemon's admin interface.
 *
 * It runs as whoever asks, has no right of its own, and knows nothing of the daemon but what that
 * answers.
 */
#include <stdio.h>
#include <string.h>

#include "ctl/arguments.h"
#include "ctl/ask.h"
#include "ctl/completion.h"
#include "ctl/visible.h"
#include "ctl/trouble.h"

static int usage_error(const struct arguments *a)
{
	fprintf(stderr, "Try: ignyxctl %s%s-h\n", a->command ? a->command->name : "",
		a->command ? " " : "");
	return CTL_USAGE;
}

/* What could not be written was not done: a full disk must not look like an empty list. */
static int finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	trouble("the output could not be written");
	return status == CTL_DONE ? CTL_FAILED : status;
}

static int run(const struct arguments *a)
{
	struct asker *d = asker_new(a);
	int status;

	if (!d)
		return CTL_USAGE;
	status = a->command->run(d, a);
	asker_free(d);
	return status;
}

int main(int argc, char **argv)
{
	struct arguments a;

	visible_init();
	if (argc > 1 && strcmp(argv[1], "--complete") == 0)
		return finish(complete(argc - 2, argv + 2));
	if (arguments_parse(&a, argc, argv) < 0)
		return usage_error(&a);
	if (a.option[OPTION_VERSION])
		puts("ignyxctl " IGNYX_VERSION);
	else if (a.option[OPTION_HELP])
		arguments_usage(stdout, a.command);
	else
		return finish(run(&a));
	return finish(CTL_DONE);
}
