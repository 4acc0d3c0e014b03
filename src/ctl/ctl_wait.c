/*
 * ctl_wait.c - the command that waits until something is true of the daemon.
 *
 * It asks again and again. A daemon that cannot be asked may be about to start, so that is waited
 * for as well; only what asking once more will not change is an end.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/ask.h"
#include "ctl/fields.h"
#include "ctl/trouble.h"
#include "ctl/units.h"
#include "ctl/waiting.h"

/* SILENCE: seconds; what has answered before, and will again, does so sooner. */
enum { PAUSE_MS = 200, SILENCE = 10 };

/* What an answer says of the condition. */
enum truth { TRUE, NOT_YET, NEVER };

struct condition {
	const char *name;
	int words; /* that follow it */
	const char *path; /* what is asked for */
	double silence; /* seconds without any answer that are waited for; 0: without end */
	enum truth (*look)(struct answer *answer, double n);
};

/* What /status says, where all of it is as it should be. */
struct numbers {
	const char *phase;
	double connections;
};

static bool read_numbers(struct answer *answer, struct numbers *n)
{
	struct fields f = { .object = json_object_get(answer->json, "status") };

	n->phase = fields_text(&f, "phase");
	n->connections = fields_number(&f, "connections");
	if (n->phase && !f.wrong && json_object_get(f.object, "connections"))
		return true;
	answer_is_strange(answer, f.wrong, "/status");
	return false;
}

static enum truth look_ready(struct answer *answer, double n)
{
	(void)n;
	return answer->outcome == ANSWER_GOOD ? TRUE : answer->status == 503 ? NOT_YET : NEVER;
}

static enum truth look_below(struct answer *answer, double n)
{
	struct numbers now;

	if (answer->outcome != ANSWER_GOOD || !read_numbers(answer, &now))
		return NEVER;
	return now.connections < n ? TRUE : NOT_YET;
}

/* Of the drain that there is: NULL, there is none. */
static enum truth look_at_drain(struct answer *answer, const json_t **drain)
{
	struct fields f = { .object = json_object_get(answer->json, "status") };

	*drain = NULL;
	if (answer->outcome != ANSWER_GOOD)
		return NEVER;
	*drain = fields_object(&f, "drain");
	if (f.wrong) {
		answer_is_strange(answer, f.wrong, "/status");
		return NEVER;
	}
	return json_is_number(json_object_get(*drain, "ended")) ? TRUE : NOT_YET;
}

static enum truth look_drained(struct answer *answer, double n)
{
	const json_t *drain;

	(void)n;
	return look_at_drain(answer, &drain);
}

/* One that was begun, and is there no more, was taken back. */
static enum truth look_begun(struct answer *answer, double n)
{
	const json_t *drain;
	enum truth truth = look_at_drain(answer, &drain);

	(void)n;
	if (truth != NOT_YET || drain)
		return truth;
	answer->outcome = ANSWER_REFUSED;
	free(answer->why);
	answer->why = trouble_if_null(strdup("the drain was taken back"));
	return NEVER;
}

static const struct condition conditions[] = {
	{ "drained", 0, "/status", 0, look_drained },
	{ "ready", 0, "/ready", 0, look_ready },
	{ "connections-below", 1, "/status", 0, look_below },
};

static const struct condition *find_condition(const struct arguments *a)
{
	for (size_t i = 0; i < sizeof(conditions) / sizeof(*conditions); i++)
		if (strcmp(conditions[i].name, a->words[0]) == 0 &&
		    conditions[i].words == a->count - 1)
			return &conditions[i];
	trouble("wait takes one of these: ready, drained, connections-below N");
	return NULL;
}

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* heard: when there was an answer, the last time. */
static enum truth look(const struct condition *c, struct answer *answer, double n, double heard)
{
	switch (answer->outcome) {
	case ANSWER_NONE:
		return c->silence > 0 && seconds_now() - heard > c->silence ? NEVER : NOT_YET;
	case ANSWER_FORBIDDEN:
		return NEVER;
	default:
		return c->look(answer, n);
	}
}

static void pause_for(double seconds)
{
	struct timespec t = { .tv_nsec = (long)(fmin(fmax(seconds, 0), PAUSE_MS / 1e3) * 1e9) };

	nanosleep(&t, NULL);
}

static int give_up(const struct condition *c, const struct answer *last)
{
	trouble("it did not come in time: %s%s%s", c->name, last->why ? "; at last: " : "",
		last->why ? last->why : "");
	return CTL_FAILED;
}

/* end: when it has lasted long enough, as seconds_now tells. */
static int wait_for(struct asker *d, const struct condition *c, double n, double end)
{
	const struct question q = { .path = c->path };
	double heard = seconds_now();

	for (;;) {
		struct answer answer;
		enum truth truth;
		int status = CTL_DONE;
		bool late;

		asker_set_timeout(d, fmin(fmax(end - seconds_now(), 0.1), 100));
		ask(d, &q, &answer);
		truth = look(c, &answer, n, heard);
		if (answer.outcome != ANSWER_NONE)
			heard = seconds_now();
		late = seconds_now() >= end;
		if (truth == NEVER)
			status = answer_trouble(&answer);
		else if (truth == NOT_YET && late)
			status = give_up(c, &answer);
		answer_free(&answer);
		if (truth != NOT_YET || late)
			return status;
		pause_for(end - seconds_now());
	}
}

int wait_until_drained(struct asker *d)
{
	static const struct condition begun = { "drained", 0, "/status", SILENCE, look_begun };

	return wait_for(d, &begun, 0, INFINITY);
}

/* How many: digits alone. False: it is no such number. */
static bool parse_number(const char *text, double *n)
{
	*n = (double)strtoull(text, NULL, 10);
	return *text && text[strspn(text, "0123456789")] == '\0';
}

int command_wait(struct asker *d, const struct arguments *a)
{
	const struct condition *c = find_condition(a);
	const char *timeout = a->option[OPTION_TIMEOUT];
	double seconds = INFINITY, n = 0;

	if (!c)
		return CTL_USAGE;
	if (c->words > 0 && !parse_number(a->words[1], &n)) {
		trouble("%s takes a number, not \"%s\"", c->name, a->words[1]);
		return CTL_USAGE;
	}
	if (timeout && !units_parse_duration(timeout, &seconds)) {
		trouble("--timeout takes a duration such as 30s or 5m, not \"%s\"", timeout);
		return CTL_USAGE;
	}
	return wait_for(d, c, n, seconds_now() + seconds);
}
