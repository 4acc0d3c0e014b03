/*
 * ctl_why.c - the commands that tell what has happened, and what happens: why, events.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ask.h"
#include "ctl/columns.h"
#include "ctl/details.h"
#include "ctl/fields.h"
#include "ctl/listing.h"
#include "ctl/trouble.h"
#include "ctl/units.h"
#include "ctl/visible.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* --- why --- */

/* An id has no more than hexadecimal digits; an address has dots or colons, too, or is "unix". */
static bool is_id(const char *word)
{
	return *word && word[strspn(word, "0123456789abcdef")] == '\0';
}

static const struct column columns[] = {
	{ "AGO", "time", KIND_SINCE },
	{ "EVENT", "event", KIND_TEXT },
	{ "ID", "id", KIND_TEXT },
	{ "PEER", "peer", KIND_TEXT },
	{ "ENDPOINT", "endpoint", KIND_TEXT },
	{ "BY", "initiator", KIND_TEXT },
	{ "CODE", "code", KIND_COUNT },
	{ "OPEN FOR", "duration", KIND_DURATION },
	{ "REASON", "reason", KIND_TEXT },
	{ "WHY", "text", KIND_TEXT },
};

/* So that they stand in one column: a refusal has a status, and perhaps a path, instead. */
static void align(json_t *event)
{
	static const char *const pairs[][2] = { { "status", "code" }, { "path", "endpoint" } };

	for (size_t i = 0; i < COUNT(pairs); i++) {
		json_t *value = json_object_get(event, pairs[i][0]);

		if (value)
			json_object_set(event, pairs[i][1], value);
	}
}

/* Returns NULL, or the key of what is of a wrong kind. */
static const char *print_past(const json_t *why)
{
	struct table *t = table_new(columns, COUNT(columns));
	const char *wrong = NULL;
	json_t *event;
	size_t i;

	json_array_foreach(why, i, event)
	{
		align(event);
		if (!wrong)
			wrong = json_is_object(event) ? table_add(t, event) : "why";
	}
	if (!wrong && table_rows(t) > 0)
		table_print(t, stdout, visible_columns(), visible_colours(), SIZE_MAX, "\n");
	table_free(t);
	return wrong;
}

static void print_open(const json_t *connections)
{
	json_t *one;
	size_t i;

	json_array_foreach(connections, i, one)
	{
		puts("open now:");
		details_print(stdout, one);
		putchar('\n');
	}
}

static int print_why(struct answer *answer)
{
	struct fields f = { .object = answer->json };
	const json_t *why = fields_array(&f, "why"), *open = fields_array(&f, "connections");
	const char *wrong = f.wrong ? f.wrong : !why ? "why" : NULL;

	if (!wrong) {
		print_open(open);
		wrong = print_past(why);
	}
	if (!wrong)
		return listing_silent(json_object_get(answer->json, "silent"));
	answer_is_strange(answer, wrong, "/why");
	return answer_trouble(answer);
}

int command_why(struct asker *d, const struct arguments *a)
{
	const char *whom = a->words[0], *limit = a->option[OPTION_LIMIT];
	const struct question q = { .path = "/why",
				    .query = { { is_id(whom) ? "conn" : "peer", whom },
					       { "limit", limit } } };
	struct answer answer;
	int status = ask_object(d, a, &q, &answer);

	if (status == CTL_DONE && !a->option[OPTION_JSON])
		status = print_why(&answer);
	answer_free(&answer);
	return status;
}

/* --- events --- */

/* In this order, where they are there. */
static const struct {
	const char *before, *key, *behind;
	enum kind kind;
} parts[] = {
	{ " ", "peer", "", KIND_TEXT },
	{ " ", "endpoint", "", KIND_TEXT },
	{ " room ", "room", "", KIND_TEXT },
	{ " ", "path", "", KIND_TEXT },
	{ " worker ", "worker", "", KIND_COUNT },
	{ " by ", "initiator", "", KIND_TEXT },
	{ " ", "code", "", KIND_COUNT },
	{ " ", "status", "", KIND_COUNT },
	{ " ", "reason", "", KIND_TEXT },
	{ " after ", "duration", "", KIND_DURATION },
	{ " pid ", "pid", "", KIND_COUNT },
	{ ": ", "text", "", KIND_TEXT },
	{ "; ", "lost", " connections lost", KIND_COUNT },
	{ " ", "n", " events, for they were not read in time", KIND_COUNT },
	{ " conn=", "id", "", KIND_TEXT },
	{ " client=", "client", "", KIND_TEXT },
	{ " user=", "user", "", KIND_TEXT },
};

/* What is of another kind is left out. */
static void print_part(const json_t *event, size_t i)
{
	const json_t *value = json_object_get(event, parts[i].key);
	char *text = value ? column_text(value, parts[i].kind, 0) : NULL;

	if (text)
		printf("%s%s%s", parts[i].before, text, parts[i].behind);
	free(text);
}

static void print_for_person(const json_t *event)
{
	const char *word = json_string_value(json_object_get(event, "event"));
	const json_t *time = json_object_get(event, "time");
	char *shown = trouble_if_null(visible_escaped(word ? word : "?")), when[UNITS_SIZE] = "-";

	if (json_is_number(time))
		units_clock(when, json_number_value(time));
	printf("%-12s  %-12s", when, shown);
	free(shown);
	for (size_t i = 0; i < COUNT(parts); i++)
		print_part(event, i);
	putchar('\n');
}

static bool print_event(const json_t *event, void *arguments)
{
	const struct arguments *a = arguments;

	if (a->option[OPTION_JSON])
		ask_print_line(event);
	else
		print_for_person(event);
	/* whoever follows is to see it now */
	return fflush(stdout) == 0;
}

int command_events(struct asker *d, const struct arguments *a)
{
	const struct question q = { .path = "/events",
				    .query = { { "kind", a->option[OPTION_KIND] },
					       { "endpoint", a->option[OPTION_ENDPOINT] },
					       { "peer", a->option[OPTION_PEER] },
					       { "reason", a->option[OPTION_WITH_REASON] } } };
	struct answer answer;
	int status;

	ask_follow(d, &q, print_event, (void *)a, &answer);
	status = answer_ended(&answer);
	answer_free(&answer);
	return status;
}
