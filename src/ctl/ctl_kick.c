/*
 * ctl_kick.c - the command that closes connections: one by its id, or those of a filter.
 *
 * Never all of them: a filter that was forgotten must not empty the house.
 */
#include <stdio.h>
#include <string.h>

#include "ctl/ask.h"
#include "ctl/fields.h"
#include "ctl/filter.h"
#include "ctl/listing.h"
#include "ctl/trouble.h"

/* How many there were, from the answer. */
static int tell_closed(struct answer *answer)
{
	struct fields f = { .object = answer->json };
	double closed = fields_number(&f, "closed");

	if (f.wrong) {
		answer_is_strange(answer, f.wrong, "/connections");
		return answer_trouble(answer);
	}
	printf("%.0f closed\n", closed);
	return listing_silent(json_object_get(answer->json, "silent"));
}

static int kick(struct asker *d, const struct arguments *a, struct question *q, size_t queries)
{
	struct answer answer;
	int status;

	q->method = "DELETE";
	q->query[queries] = (struct query){ "code", a->option[OPTION_CODE] };
	q->query[queries + 1] = (struct query){ "reason", a->option[OPTION_REASON] };
	status = ask_object(d, a, q, &answer);
	if (status == CTL_DONE && !a->option[OPTION_JSON])
		status = tell_closed(&answer);
	answer_free(&answer);
	return status;
}

int command_kick(struct asker *d, const struct arguments *a)
{
	struct question one = { .path = "/connections/" }, many = { .path = "/connections" };
	char number[FILTER_NUMBER_SIZE];

	if (a->count == 1 && !filter_given(a) && *a->words[0]) {
		one.below = a->words[0];
		return kick(d, a, &one, 0);
	}
	if (a->count == 1 || !filter_given(a)) {
		trouble("kick takes the ID of a connection, or options that say which ones");
		return CTL_USAGE;
	}
	if (!filter_queries(a, many.query, number))
		return CTL_USAGE;
	return kick(d, a, &many, FILTER_QUERIES);
}
