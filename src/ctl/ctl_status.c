/*
 * ctl_status.c - the commands that show how the daemon, or one connection, is.
 */
#include <stdio.h>
#include <string.h>

#include "ctl/ask.h"
#include "ctl/details.h"
#include "ctl/visible.h"
#include "ctl/status_text.h"
#include "ctl/trouble.h"

int command_status(struct asker *d, const struct arguments *a)
{
	const struct question q = { .path = "/status" };
	struct answer answer;
	int status = ask_object(d, a, &q, &answer);

	if (status == CTL_DONE && !a->option[OPTION_JSON]) {
		const char *wrong = status_print(stdout, json_object_get(answer.json, "status"),
						 visible_columns(), visible_colours(), "\n");

		if (wrong) {
			answer_is_strange(&answer, wrong, q.path);
			status = answer_trouble(&answer);
		}
	}
	answer_free(&answer);
	return status;
}

int command_connection(struct asker *d, const struct arguments *a)
{
	struct question q = { .path = "/connections/", .below = a->words[0] };
	struct answer answer;
	int status = ask_object(d, a, &q, &answer);

	if (status == CTL_DONE && !a->option[OPTION_JSON])
		details_print(stdout, answer.json);
	answer_free(&answer);
	return status;
}

/* On a terminal line by line, so that none of it can act there. */
static void print_lines(char *text)
{
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n")) != NULL && (rest || *line)) {
		visible_text(stdout, line);
		putchar('\n');
	}
}

int command_metrics(struct asker *d, const struct arguments *a)
{
	const struct question q = { .path = "/metrics" };
	struct answer answer;
	int status = CTL_DONE;

	(void)a; /* --json: they are no JSON, and come as they are in any case */
	ask(d, &q, &answer);
	if (answer.outcome != ANSWER_GOOD)
		status = answer_trouble(&answer);
	else if (visible_columns() == 0)
		fwrite(answer.body.p, 1, answer.body.len, stdout);
	else if (buffer_append(&answer.body, "", 1))
		print_lines((char *)answer.body.p);
	answer_free(&answer);
	return status;
}
