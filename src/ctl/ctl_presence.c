/*
 * ctl_presence.c - the command that shows who is in a room.
 */
#include <stdio.h>

#include "ctl/ask.h"
#include "ctl/fields.h"
#include "ctl/visible.h"

/* Returns the key of what is wrong, or NULL. */
static const char *print(const json_t *answer)
{
	struct fields f = { .object = answer };
	const double members = fields_number(&f, "members");
	const json_t *who = fields_array(&f, "who");

	if (f.wrong)
		return f.wrong;
	printf("%.0f member%s\n", members, members == 1 ? "" : "s");
	for (size_t i = 0; i < json_array_size(who); i++) {
		const char *id = json_string_value(json_array_get(who, i));

		if (!id)
			return "who";
		visible_text(stdout, id);
		putchar('\n');
	}
	return NULL;
}

int command_presence(struct asker *d, const struct arguments *a)
{
	const struct question q = { .path = "/presence", .below = a->words[0] };
	struct answer answer;
	const char *wrong = NULL;
	int status;

	if (!ask_is_path(a->words[0]))
		return CTL_USAGE;
	status = ask_object(d, a, &q, &answer);
	if (status == CTL_DONE && !a->option[OPTION_JSON])
		wrong = print(answer.json);
	if (wrong) {
		answer_is_strange(&answer, wrong, "/presence");
		status = answer_trouble(&answer);
	}
	answer_free(&answer);
	return status;
}
