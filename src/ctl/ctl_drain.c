/*
 * ctl_drain.c - the commands that let connections go, and take new ones again.
 */
#include <stdio.h>
#include <string.h>

#include "ctl/ask.h"
#include "ctl/fields.h"
#include "ctl/trouble.h"
#include "ctl/units.h"
#include "ctl/visible.h"
#include "ctl/waiting.h"

enum { NUMBER_SIZE = 32 };

static int tell_begun(struct answer *answer)
{
	struct fields f = { .object = json_object_get(answer->json, "drain") };
	bool counted = json_object_get(f.object, "connections") != NULL;
	double count = counted ? fields_number(&f, "connections") : 0;
	bool refuses = fields_true(&f, "refuses");
	const char *endpoint = fields_text(&f, "endpoint");
	char over[UNITS_SIZE];

	units_duration(over, fields_number(&f, "over"));
	if (!f.object || f.wrong) {
		answer_is_strange(answer, f.wrong, "/drain");
		return answer_trouble(answer);
	}
	if (counted)
		printf("%.0f ", count);
	fputs("connections", stdout);
	if (endpoint)
		fputs(" of ", stdout), visible_text(stdout, endpoint);
	printf(" go within %s; new ones are %s\n", over, refuses ? "refused" : "taken");
	return CTL_DONE;
}

/* In seconds, as the daemon takes it. */
static bool write_over(const char *text, char number[NUMBER_SIZE])
{
	double seconds;

	if (!units_parse_duration(text, &seconds)) {
		trouble("--over takes a duration such as 30s or 5m, not \"%s\"", text);
		return false;
	}
	snprintf(number, NUMBER_SIZE, "%.3f", seconds);
	return true;
}

static int begin(struct asker *d, const struct arguments *a, const struct question *q)
{
	struct answer answer;
	int status = ask_object(d, a, q, &answer);

	if (status == CTL_DONE && !a->option[OPTION_JSON])
		status = tell_begun(&answer);
	answer_free(&answer);
	fflush(stdout);
	return status;
}

int command_drain(struct asker *d, const struct arguments *a)
{
	const char *over = a->option[OPTION_OVER];
	char number[NUMBER_SIZE];
	const struct question q = { .method = "POST",
				    .path = "/drain",
				    .query = { { "over", over ? number : NULL },
					       { "share", a->option[OPTION_SHARE] },
					       { "order", a->option[OPTION_ORDER] },
					       { "endpoint", a->option[OPTION_ENDPOINT] } } };
	int status;

	if (over && !write_over(over, number))
		return CTL_USAGE;
	status = begin(d, a, &q);
	return status == CTL_DONE && a->option[OPTION_WAIT] ? wait_until_drained(d) : status;
}

int command_undrain(struct asker *d, const struct arguments *a)
{
	const struct question q = { .method = "POST", .path = "/undrain" };
	struct answer answer;
	int status = ask_object(d, a, &q, &answer);
	struct fields f = { .object = answer.json };

	if (status == CTL_DONE && !a->option[OPTION_JSON])
		puts(fields_true(&f, "undrained") ? "new connections are taken again"
						  : "there was no drain");
	answer_free(&answer);
	return status;
}
