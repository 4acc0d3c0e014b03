/*
 * ctl_tune.c - the commands that change how the daemon runs: log-level.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ask.h"
#include "ctl/fields.h"
#include "ctl/visible.h"
#include "ctl/trouble.h"

/* The body that asks for a level; the caller's to free. */
static char *level_body(const char *level)
{
	json_t *object = json_pack("{s:s}", "level", level);
	char *body = object ? json_dumps(object, JSON_COMPACT) : NULL;

	json_decref(object);
	return body;
}

int command_log_level(struct asker *d, const struct arguments *a)
{
	struct question q = { .path = "/log-level" };
	struct fields f = { 0 };
	struct answer answer;
	const char *level;
	char *body = NULL;
	int status;

	if (a->count > 0) {
		/* NULL: what was typed is no UTF-8, and so no level */
		body = level_body(a->words[0]);
		q.method = "PUT";
		q.body = body ? body : "";
		q.len = strlen(q.body);
		q.type = "application/json";
	}
	status = ask_object(d, a, &q, &answer);
	f.object = answer.json;
	level = fields_text(&f, "level");
	if (status == CTL_DONE && !level) {
		answer_is_strange(&answer, "level", q.path);
		status = answer_trouble(&answer);
	} else if (status == CTL_DONE && !a->option[OPTION_JSON]) {
		visible_text(stdout, level);
		putchar('\n');
	}
	answer_free(&answer);
	free(body);
	return status;
}
