/*
 * ctl_reload.c - the command that has the daemon read its configuration anew, or say what that
 * would change.
 */
#include <stdio.h>

#include "ctl/ask.h"
#include "ctl/fields.h"
#include "ctl/plan_text.h"
#include "ctl/trouble.h"
#include "ctl/visible.h"

static void print_head(struct fields *f, const struct fields *plan, bool dry_run)
{
	const char *summary = json_string_value(json_object_get(plan->object, "summary"));

	fputs(dry_run ? "would be applied: " : "applied: ", stdout);
	visible_text(stdout, summary ? summary : "");
	putchar('\n');
	if (!dry_run)
		printf("%.0f connections go on, %.0f are closed\n", fields_number(f, "kept"),
		       fields_number(f, "closed"));
}

static int tell_plan(struct answer *answer, bool dry_run)
{
	struct fields f = { .object = answer->json };
	struct fields plan = { .object = fields_object(&f, "plan") };
	bool applied = fields_true(&f, "applied");
	const char *wrong = f.wrong;

	if (!wrong && (!plan.object || applied == dry_run))
		wrong = "applied";
	if (!wrong) {
		print_head(&f, &plan, dry_run);
		wrong = plan_print(stdout, plan.object);
	}
	if (!wrong)
		return CTL_DONE;
	answer_is_strange(answer, wrong, "/reload");
	return answer_trouble(answer);
}

int command_reload(struct asker *d, const struct arguments *a)
{
	bool dry_run = a->option[OPTION_DRY_RUN] != NULL;
	const struct question q = { .method = "POST",
				    .path = "/reload",
				    .query = { { "dry-run", dry_run ? "" : NULL } } };
	struct answer answer;
	int status = ask_object(d, a, &q, &answer);

	if (status == CTL_DONE && !a->option[OPTION_JSON])
		status = tell_plan(&answer, dry_run);
	plan_print_errors(stderr, json_object_get(answer.json, "errors"), "");
	plan_print_errors(stderr, json_object_get(answer.json, "warnings"), "warning: ");
	answer_free(&answer);
	return status;
}
