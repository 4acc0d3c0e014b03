/*
 * plan_text.c - see plan_text.h. One line for each change, in the words of the journal's: what it is,
 * which settings, and what becomes of the connections.
 */
#include "ctl/plan_text.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/columns.h"
#include "ctl/fields.h"
#include "ctl/trouble.h"
#include "ctl/visible.h"

static void print_value(FILE *out, const json_t *value)
{
	char *json = json_is_null(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);

	visible_text(out, json ? json : "none");
	free(json);
}

static void print_text(FILE *out, struct fields *f, const char *before, const char *key)
{
	const char *text = fields_text(f, key);

	if (!text)
		return;
	fputs(before, out);
	visible_text(out, text);
}

/* KEY OLD -> NEW */
static const char *print_setting(FILE *out, const json_t *setting)
{
	struct fields f = { .object = setting };

	print_text(out, &f, "", "key");
	fputc(' ', out);
	print_value(out, json_object_get(setting, "old"));
	fputs(" -> ", out);
	print_value(out, json_object_get(setting, "new"));
	if (fields_true(&f, "restart"))
		fputs(", after a restart", out);
	return f.wrong;
}

static const char *print_settings(FILE *out, struct fields *f)
{
	const char *wrong = NULL, *before = ": ";
	json_t *setting;
	size_t i;

	json_array_foreach(fields_array(f, "settings"), i, setting)
	{
		fputs(before, out);
		before = "; ";
		wrong = wrong ? wrong : print_setting(out, setting);
	}
	return wrong;
}

/* Those of an endpoint, or of another one that it takes from. Returns whether they are one. */
static bool print_whom(FILE *out, struct fields *f)
{
	bool known = json_object_get(f->object, "connections") != NULL;
	double n = fields_number(f, "connections");

	if (json_object_get(f->object, "from")) {
		print_text(out, f, "; connections of ", "from");
		fputs(" whose paths lead to it", out);
		return false;
	}
	if (known)
		fprintf(out, "; %.0f connection%s", n, n == 1 ? "" : "s");
	else
		fputs("; its connections", out);
	return known && n == 1;
}

static const char *where_it_stays(const char *then)
{
	if (strcmp(then, "by-path") == 0)
		return " where the path leads to the same behaviour";
	return strcmp(then, "by-access") == 0 ? " where the client may still come in" : "";
}

/* What becomes of those who are connected, where that is not to stay as they are. */
static void print_then(FILE *out, struct fields *f)
{
	const char *then = fields_text(f, "then");
	bool one;

	if (!then || (!json_object_get(f->object, "connections") && *then != 'c' && *then != 'm'))
		return;
	one = print_whom(out, f);
	if (*then == 'c')
		fprintf(out, " %s closed with %.0f", one ? "is" : "are", fields_number(f, "code"));
	else if (*then == 'm')
		fprintf(out, " move to it%s",
			strcmp(then, "move") == 0 ? "" : " where the client may come in");
	else
		fprintf(out, " %s%s", one ? "stays" : "stay", where_it_stays(then));
}

static void print_expiry(FILE *out, const json_t *seconds)
{
	time_t t = (time_t)json_integer_value(seconds);
	char text[32];
	struct tm tm;

	if (seconds && gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%d", &tm) > 0)
		fprintf(out, ", expires %s", text);
}

/* An endpoint, a listener or a certificate, by the key that it is named by. */
static const char *print_change(FILE *out, const json_t *change, const char *name)
{
	struct fields f = { .object = change };
	const char *wrong;

	print_text(out, &f, "", name);
	if (json_object_get(change, "subject"))
		print_text(out, &f, " of ", "listener");
	print_text(out, &f, " ", "change");
	wrong = print_settings(out, &f);
	if (fields_true(&f, "files"))
		fputs("; a file that it names has another content", out);
	print_expiry(out, json_object_get(change, "expires"));
	print_then(out, &f);
	return f.wrong ? f.wrong : wrong;
}

/* name: the key that each is named by; NULL: they are settings. */
static const char *print_all(FILE *out, struct fields *plan, const char *key, const char *word,
			     const char *name)
{
	const char *wrong = NULL;
	json_t *change;
	size_t i;

	json_array_foreach(fields_array(plan, key), i, change)
	{
		if (!json_is_object(change))
			return key;
		fprintf(out, "%s ", word);
		wrong = name ? print_change(out, change, name) : print_setting(out, change);
		fputc('\n', out);
		if (wrong)
			break;
	}
	return wrong;
}

const char *plan_print(FILE *out, const json_t *plan)
{
	static const struct {
		const char *key, *word, *name;
	} kinds[] = {
		{ "endpoints", "endpoint", "endpoint" },
		{ "listeners", "listener", "listener" },
		{ "certificates", "certificate", "subject" },
		{ "settings", "setting", NULL },
	};
	struct fields f = { .object = plan };
	const char *wrong = NULL;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		const char *this = print_all(out, &f, kinds[i].key, kinds[i].word, kinds[i].name);

		wrong = wrong ? wrong : this;
	}
	return f.wrong ? f.wrong : wrong;
}

/* Without file or line where the mistake has none. */
static void print_error(FILE *out, const json_t *error, const char *what)
{
	struct fields f = { .object = error };
	const char *text = fields_text(&f, "text");
	double line = fields_number(&f, "line");

	fputs(what, out);
	print_text(out, &f, "", "file");
	if (line > 0)
		fprintf(out, ":%.0f", line);
	fputs(fields_text(&f, "file") ? ": " : "", out);
	visible_text(out, text ? text : "an error without a text");
	fputc('\n', out);
}

void plan_print_errors(FILE *out, const json_t *errors, const char *what)
{
	json_t *error;
	size_t i;

	json_array_foreach(errors, i, error) print_error(out, error, what);
}
