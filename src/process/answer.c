/*
 * answer.c - see answer.h.
 *
 * The master makes the whole text, so that who passes it on understands nothing of it.
 */
#include "process/answer.h"

#include "config/config.h"
#include "config/shown.h"
#include "process/changes.h"

void answer_note(struct answer *a, const struct config_error *error)
{
	json_t **list = error->warning ? &a->warnings : &a->errors;

	if (!*list)
		*list = json_array();
	json_array_append_new(
		*list, json_pack("{s:o, s:o, s:o}", "file",
				 error->file ? show_string(error->file) : json_null(), "line",
				 error->line ? json_integer(error->line) : json_null(), "text",
				 show_string(error->text)));
}

static void note_part(const struct config_error *error, void *arg)
{
	answer_note(arg, error);
}

void answer_note_all(struct answer *a, const struct config_errors *e)
{
	config_errors_each_part(e, note_part, a);
}

static json_t *take(json_t **list)
{
	json_t *j = *list ? *list : json_array();

	*list = NULL;
	return j;
}

static char *text_of(json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT);

	json_decref(j);
	return text;
}

char *answer_refused(struct answer *a, const char *word, const char *message)
{
	return text_of(json_pack("{s:s, s:o, s:o, s:o}", "error", word, "message",
				 show_string(message), "errors", take(&a->errors), "warnings",
				 take(&a->warnings)));
}

char *answer_planned(struct answer *a, const struct plan *p, bool applied, unsigned moved,
		     unsigned closed)
{
	json_t *j = json_pack("{s:b, s:o, s:o}", "applied", applied, "plan", changes_json(p),
			      "warnings", take(&a->warnings));

	json_decref(take(&a->errors));
	if (applied)
		json_object_update_new(
			j, json_pack("{s:i, s:i}", "kept", (int)moved, "closed", (int)closed));
	return text_of(j);
}
