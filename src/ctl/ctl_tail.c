/*
 * ctl_tail.c - the commands that show what is said in a room, and what was.
 *
 * A message is what anybody in the room wrote, so it is shown escaped unless --raw asks for its bytes.
 * What is missing is told on standard error: a pipe gets messages alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "ctl/ask.h"
#include "ctl/fields.h"
#include "ctl/trouble.h"
#include "ctl/units.h"
#include "ctl/visible.h"

struct following {
	const struct arguments *arguments;
	const char *wrong; /* the key of a value of a wrong kind */
};

/* The text may have NULs, behind which it goes on. */
static void print_text(const json_t *text)
{
	const char *p = json_string_value(text), *end = p + json_string_length(text);

	for (; p <= end; p += strlen(p) + 1) {
		visible_text(stdout, p);
		if (p + strlen(p) < end)
			fputs("\\x00", stdout);
	}
}

/* What a message has. */
struct content {
	const json_t *text; /* or, if it is NULL: */
	const char *base64;
	char *bytes; /* the same decoded, to be freed */
	long len;
};

/* Returns the key of what is wrong, or NULL. */
static const char *read_content(struct fields *f, struct content *c)
{
	*c = (struct content){ .text = json_object_get(f->object, "data"),
			       .base64 = fields_text(f, "base64") };
	if (c->text)
		return json_is_string(c->text) ? NULL : "data";
	if (!c->base64)
		return "base64";
	c->bytes = trouble_if_null(strdup(c->base64));
	c->len = base64_decode(c->bytes, strlen(c->bytes));
	return c->len < 0 ? "base64" : NULL;
}

static void print_message(struct fields *f, const struct content *c)
{
	char time[UNITS_SIZE];

	units_clock(time, fields_number(f, "time"));
	printf("%s ", time);
	if (c->text)
		print_text(c->text);
	else
		printf("binary, %ld byte%s: %s", c->len, c->len == 1 ? "" : "s", c->base64);
}

static void print_bytes(const struct content *c)
{
	if (c->text)
		fwrite(json_string_value(c->text), 1, json_string_length(c->text), stdout);
	else
		fwrite(c->bytes, 1, (size_t)c->len, stdout);
}

static const char *show_message(struct fields *f, bool raw)
{
	struct content c;
	const char *wrong = read_content(f, &c);

	if (!wrong) {
		if (raw)
			print_bytes(&c);
		else
			print_message(f, &c);
		putchar('\n');
	}
	free(c.bytes);
	return wrong ? wrong : f->wrong;
}

static void tell_lost(const json_t *lost)
{
	fflush(stdout);
	if (json_is_integer(lost))
		trouble("%" JSON_INTEGER_FORMAT " messages are missing here",
			json_integer_value(lost));
	else
		trouble("messages are missing here; how many is not known");
}

/* Returns the key of what is wrong, or NULL. */
static const char *show(const json_t *line, bool raw)
{
	struct fields f = { .object = line };
	const json_t *lost = json_object_get(line, "lost");

	if (!lost)
		return show_message(&f, raw);
	tell_lost(lost);
	return NULL;
}

static bool take(const json_t *line, void *arg)
{
	struct following *f = arg;

	if (f->arguments->option[OPTION_JSON])
		ask_print_line(line);
	else
		f->wrong = show(line, f->arguments->option[OPTION_RAW] != NULL);
	return !f->wrong && fflush(stdout) == 0;
}

int command_tail(struct asker *d, const struct arguments *a)
{
	struct following f = { .arguments = a };
	const struct question q = { .path = "/tail",
				    .below = a->words[0],
				    .query = { { "since", a->option[OPTION_SINCE] } } };
	struct answer answer;
	int status;

	if (!ask_is_path(a->words[0]))
		return CTL_USAGE;
	ask_follow(d, &q, take, &f, &answer);
	if (f.wrong)
		answer_is_strange(&answer, f.wrong, "/tail");
	status = answer_ended(&answer);
	answer_free(&answer);
	return status;
}

/* Returns the key of what is wrong, or NULL. */
static const char *show_all(const json_t *answer, struct following *f)
{
	const json_t *messages = json_object_get(answer, "messages"), *recovered;
	size_t count = json_array_size(messages);

	if (!json_is_array(messages))
		return "messages";
	recovered = json_object_get(answer, "recovered");
	if (recovered && !json_is_true(recovered))
		trouble("messages are missing behind that position");
	for (size_t i = 0; i < count; i++)
		if (!take(json_array_get(messages, i), f))
			break;
	return f->wrong;
}

int command_history(struct asker *d, const struct arguments *a)
{
	struct following f = { .arguments = a };
	const struct question q = { .path = "/history",
				    .below = a->words[0],
				    .query = { { "limit", "1000" },
					       { "since", a->option[OPTION_SINCE] } } };
	struct answer answer;
	int status = CTL_DONE;

	if (!ask_is_path(a->words[0]))
		return CTL_USAGE;
	ask(d, &q, &answer);
	if (answer.outcome == ANSWER_GOOD) {
		const char *wrong = show_all(answer.json, &f);

		if (wrong)
			answer_is_strange(&answer, wrong, "/history");
	}
	if (answer.outcome != ANSWER_GOOD)
		status = answer_trouble(&answer);
	answer_free(&answer);
	return status;
}
