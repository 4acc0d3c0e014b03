/*
 * ctl_top.c - the command that shows what goes on, as long as one looks.
 *
 * It asks for status and for endpoints or rooms, again and again; a rate is what a counter grew
 * between two answers. What there is no answer to stays on the screen as a sentence, for a daemon
 * that restarts comes back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/ask.h"
#include "ctl/listing.h"
#include "ctl/rates.h"
#include "ctl/screen.h"
#include "ctl/status_text.h"
#include "ctl/trouble.h"
#include "ctl/units.h"
#include "ctl/visible.h"

enum { COLUMNS_MAX = 8, RATES_MAX = 4, ROWS_ASKED = 10000 };

/* A list that may be looked at. */
struct view {
	struct list list;
	const char *name; /* the key that a row goes by */
	struct column columns[COLUMNS_MAX]; /* up to the first without a title */
	struct rate rates[RATES_MAX];
	int sorted; /* the column that is first to be sorted by */
};

static const struct view views[] = {
	{
		.list = { .path = "/endpoints", .key = "endpoints", .most = ROWS_ASKED },
		.name = "endpoint",
		.columns = { { "ENDPOINT", "endpoint", KIND_TEXT },
			     { "BEHAVIOUR", "behaviour", KIND_TEXT },
			     { "OPEN", "connections", KIND_COUNT },
			     { "IN", "messages in", KIND_RATE },
			     { "OUT", "messages out", KIND_RATE },
			     { "SENT", "bytes_sent", KIND_BYTES },
			     { "DROPPED", "dropped", KIND_COUNT } },
		.rates = { { "messages in", "messages_received" },
			   { "messages out", "messages_sent" } },
		.sorted = 4,
	},
	{
		.list = { .path = "/rooms", .key = "rooms", .most = ROWS_ASKED },
		.name = "room",
		.columns = { { "ROOM", "room", KIND_TEXT },
			     { "MEMBERS", "members", KIND_COUNT },
			     { "MESSAGES", "messages", KIND_RATE },
			     { "POSITION", "position", KIND_TEXT } },
		.rates = { { "messages", "number" } },
		.sorted = 2,
	},
};

enum { VIEWS = sizeof(views) / sizeof(*views) };

struct top {
	struct asker *asker;
	double interval;
	int view;
	int sorted[VIEWS];
	struct rates rates; /* of the view */
	/* What was answered last, one of them NULL: the sentence tells why. */
	json_t *status, *rows;
	char *why;
};

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int column_count(const struct view *v)
{
	int n = 0;

	while (n < COLUMNS_MAX && v->columns[n].title)
		n++;
	return n;
}

static void forget(struct top *t)
{
	json_decref(t->status);
	json_decref(t->rows);
	free(t->why);
	t->status = t->rows = NULL;
	t->why = NULL;
}

/* Keeps the sentence of an answer that was not good, and frees the answer. */
static void keep_why(struct top *t, struct answer *answer)
{
	if (answer->outcome != ANSWER_GOOD && !t->why) {
		t->why = answer->why;
		answer->why = NULL;
	}
	answer_free(answer);
}

/*
 * A position is a text that nothing is promised of. The daemon that this program comes with ends it
 * with a number that each message raises; where it does not there is no rate.
 */
static void add_number(json_t *row)
{
	const char *position = json_string_value(json_object_get(row, "position"));
	const char *digits = position ? strrchr(position, '.') : NULL;

	if (digits && digits[1] >= '0' && digits[1] <= '9')
		json_object_set_new(row, "number", json_real(strtod(digits + 1, NULL)));
}

static const char *keep_row(json_t *row, void *rows)
{
	add_number(row);
	json_array_append(rows, row);
	return NULL;
}

static void look(struct top *t)
{
	const struct view *v = &views[t->view];
	const struct question q = { .path = "/status" };
	struct answer answer;

	forget(t);
	ask(t->asker, &q, &answer);
	if (answer.outcome == ANSWER_GOOD)
		t->status = json_incref(json_object_get(answer.json, "status"));
	keep_why(t, &answer);
	t->rows = trouble_if_null(json_array());
	listing_each(t->asker, &v->list, keep_row, t->rows, &answer);
	keep_why(t, &answer);
	rates_add(&t->rates, t->rows, v->name, v->rates, seconds_now());
}

/* The table of the view, in so many lines. */
static void write_rows(const struct top *t, FILE *out, int lines, int columns)
{
	const struct view *v = &views[t->view];
	struct table *table = table_new(v->columns, (size_t)column_count(v));
	const char *wrong = NULL;
	json_t *row;
	size_t i;

	rates_sort(t->rows, v->columns[t->sorted[t->view]].key);
	json_array_foreach(t->rows, i, row)
	{
		/* no more than can be seen: there may be thousands */
		if ((int)i >= lines || (wrong = table_add(table, row)) != NULL)
			break;
	}
	if (wrong)
		fprintf(out, "what the daemon answers is of another kind than expected: %s\n",
			wrong);
	table_print(table, out, columns, visible_colours(), (size_t)lines, "\n");
	table_free(table);
}

/* How many lines of a text there are. */
static int count_lines(const char *text)
{
	int n = 0;

	while ((text = strchr(text, '\n')) != NULL) {
		n++;
		text++;
	}
	return n;
}

/* The first part of the screen: how the daemon is; the caller's to free. */
static char *head_text(const struct top *t, int columns)
{
	char *text = NULL;
	size_t len;
	FILE *out = trouble_if_null(open_memstream(&text, &len));
	const char *wrong = NULL;

	if (t->why)
		fprintf(out, "%s\n", t->why);
	if (t->status)
		wrong = status_print(out, t->status, columns, visible_colours(), "\n");
	if (wrong)
		fprintf(out, "what the daemon answers is of another kind than expected: %s\n",
			wrong);
	fclose(out);
	return trouble_if_null(text);
}

/* No more than so many lines of it. */
static void cut_lines(char *text, int lines)
{
	for (; lines > 0 && *text; lines--) {
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	*text = '\0';
}

static void draw(struct top *t)
{
	const struct view *v = &views[t->view];
	char *text = NULL, *head;
	size_t len;
	FILE *out = trouble_if_null(open_memstream(&text, &len));
	int rows, columns, room;

	screen_size(&rows, &columns);
	head = head_text(t, columns);
	cut_lines(head, rows / 2);
	fprintf(out, "%s\n", head);
	/* an empty line, the titles, an empty line, the keys */
	room = rows - count_lines(head) - 4;
	write_rows(t, out, room > 0 ? room : 0, columns);
	fprintf(out, "\nby %s   < > by another   Tab endpoints, rooms   q quit",
		v->columns[t->sorted[t->view]].title);
	fclose(out);
	free(head);
	screen_show(trouble_if_null(text));
	free(text);
}

/* False: it is the end. */
static bool take_key(struct top *t, char key)
{
	int *sorted = &t->sorted[t->view], n = column_count(&views[t->view]);

	switch (key) {
	case 'q':
	case 'Q':
		return false;
	case '\t':
		t->view = (t->view + 1) % VIEWS;
		rates_free(&t->rates);
		look(t);
		break;
	case '>':
		*sorted = (*sorted + 1) % n;
		break;
	case '<':
		*sorted = (*sorted + n - 1) % n;
		break;
	default:
		return true;
	}
	draw(t);
	return true;
}

static void run(struct top *t)
{
	double next = 0;

	for (;;) {
		char key = 0;

		if (seconds_now() >= next) {
			look(t);
			next = seconds_now() + t->interval;
			draw(t);
		}
		switch (screen_wait(next > seconds_now() ? next - seconds_now() : 0, &key)) {
		case SCREEN_END:
			return;
		case SCREEN_KEY:
			if (!take_key(t, key))
				return;
			break;
		case SCREEN_DRAW:
			draw(t);
			break;
		case SCREEN_TIME:
			break;
		}
	}
}

int command_top(struct asker *d, const struct arguments *a)
{
	struct top t = { .asker = d, .interval = 2 };
	const char *interval = a->option[OPTION_INTERVAL];

	if (interval && (!units_parse_duration(interval, &t.interval) || t.interval < 0.1 ||
			 t.interval > 3600)) {
		trouble("--interval takes a duration from 100ms to 1h, not \"%s\"", interval);
		return CTL_USAGE;
	}
	if (screen_open() < 0)
		return CTL_USAGE;
	for (int v = 0; v < VIEWS; v++)
		t.sorted[v] = views[v].sorted;
	asker_set_timeout(d, 5);
	asker_set_break(d, screen_ended);
	run(&t);
	forget(&t);
	rates_free(&t.rates);
	screen_end_by_signal();
	return CTL_DONE;
}
