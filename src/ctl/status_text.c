/*
 * status_text.c - see status_text.h.
 */
#include "ctl/status_text.h"

#include <math.h>
#include <stdint.h>

#include "ctl/columns.h"
#include "ctl/fields.h"
#include "ctl/visible.h"
#include "ctl/trouble.h"
#include "ctl/units.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void print_escaped(FILE *out, const char *text, const char *otherwise)
{
	visible_text(out, text ? text : otherwise);
}

static void print_head(FILE *out, struct fields *f, const char *end)
{
	char text[UNITS_SIZE];

	fputs("ignyxd ", out);
	print_escaped(out, fields_text(f, "version"), "of an unknown version");
	fputs(" is ", out);
	print_escaped(out, fields_text(f, "phase"), "in an unknown phase");
	units_duration(text, fields_number(f, "uptime"));
	fprintf(out, ", up %s, pid %.0f%s", text, fields_number(f, "pid"), end);
	fputs("file         ", out);
	print_escaped(out, fields_text(f, "file"), "-");
	fprintf(out, ", generation %.0f%s", fields_number(f, "generation"), end);
	fprintf(out, "connections  %.0f open, %.0f in handshake%s", fields_number(f, "connections"),
		fields_number(f, "handshakes"), end);
}

/* Returns the key of a wrong value. */
static const char *print_log(FILE *out, const json_t *log, const char *end)
{
	struct fields f = { .object = log };
	char used[UNITS_SIZE], size[UNITS_SIZE], age[UNITS_SIZE];

	if (!log)
		return NULL;
	units_bytes(used, fields_number(&f, "used"));
	units_bytes(size, fields_number(&f, "size"));
	fprintf(out, "log          %s of %s used, ", used, size);
	if (fields_number(&f, "age") > 0) {
		units_duration(age, fields_number(&f, "age"));
		fprintf(out, "the oldest message %s old, ", age);
	}
	fprintf(out, "%.0f of %.0f rooms%s", fields_number(&f, "rooms"),
		fields_number(&f, "max_rooms"), end);
	return f.wrong;
}

static const char *print_reload(FILE *out, const json_t *reload, const char *end)
{
	struct fields f = { .object = reload };
	char ago[UNITS_SIZE];

	if (!reload)
		return NULL;
	units_duration(ago, fmax(columns_now() - fields_number(&f, "time"), 0));
	fprintf(out,
		"last reload  %s, %s ago: ", fields_true(&f, "applied") ? "applied" : "refused",
		ago);
	print_escaped(out, fields_text(&f, "summary"), "");
	fputs(end, out);
	return f.wrong;
}

static const char *print_drain(FILE *out, const json_t *drain, const char *end)
{
	struct fields f = { .object = drain };
	const char *endpoint = fields_text(&f, "endpoint");
	char left[UNITS_SIZE];

	if (!drain)
		return NULL;
	fputs("drain        ", out);
	print_escaped(out, endpoint, "all endpoints");
	units_duration(left, fmax(fields_number(&f, "until") - columns_now(), 0));
	if (json_is_number(json_object_get(drain, "ended")))
		fprintf(out, ", ended: %.0f let go, %.0f at the deadline",
			fields_number(&f, "let_go"), fields_number(&f, "late"));
	else
		fprintf(out, ", %.0f to go within %s", fields_number(&f, "left"), left);
	fprintf(out, "; new ones are %s%s", fields_true(&f, "refuses") ? "refused" : "taken", end);
	return f.wrong;
}

static const char *print_workers(FILE *out, const json_t *workers, int width, bool bold,
				 const char *end)
{
	static const struct column columns[] = {
		{ "WORKER", "worker", KIND_COUNT },    { "PID", "pid", KIND_COUNT },
		{ "STATE", "state", KIND_TEXT },       { "GENERATION", "generation", KIND_COUNT },
		{ "OPEN", "connections", KIND_COUNT }, { "HANDSHAKES", "handshakes", KIND_COUNT },
		{ "DEATHS", "deaths", KIND_COUNT },    { "STILL FOR", "still", KIND_DURATION },
		{ "DOING", "doing", KIND_TEXT },
	};
	struct table *t = table_new(columns, COUNT(columns));
	const char *wrong = NULL;
	json_t *worker;
	size_t i;

	json_array_foreach(workers, i, worker) if (!wrong) wrong = table_add(t, worker);
	if (!wrong && table_rows(t) > 0) {
		fputs(end, out);
		table_print(t, out, width, bold, SIZE_MAX, end);
	}
	table_free(t);
	return wrong;
}

const char *status_print(FILE *out, const json_t *status, int width, bool bold, const char *end)
{
	struct fields f = { .object = status };
	const json_t *log, *reload, *drain, *workers;
	const char *wrong;

	if (!json_is_object(status))
		return "status";
	print_head(out, &f, end);
	log = fields_object(&f, "log");
	reload = fields_object(&f, "reload");
	drain = fields_object(&f, "drain");
	workers = fields_array(&f, "workers");
	wrong = print_log(out, log, end);
	if (!wrong)
		wrong = print_reload(out, reload, end);
	if (!wrong)
		wrong = print_drain(out, drain, end);
	if (!wrong)
		wrong = print_workers(out, workers, width, bold, end);
	return f.wrong ? f.wrong : wrong;
}
