/*
 * filter.c - see filter.h.
 */
#include "ctl/filter.h"

#include <math.h>
#include <stdio.h>

#include "ctl/trouble.h"
#include "ctl/units.h"

static const enum ctl_option filters[FILTER_QUERIES] = {
	OPTION_ENDPOINT, OPTION_PEER, OPTION_ROOM, OPTION_OLDER, OPTION_SLOW, OPTION_USER
};

bool filter_given(const struct arguments *a)
{
	for (int i = 0; i < FILTER_QUERIES; i++)
		if (a->option[filters[i]])
			return true;
	return false;
}

bool filter_queries(const struct arguments *a, struct query *query, char number[FILTER_NUMBER_SIZE])
{
	const char *older = a->option[OPTION_OLDER];
	double seconds;

	for (int i = 0; i < FILTER_QUERIES; i++)
		query[i] = (struct query){ option_rows[filters[i]].name, a->option[filters[i]] };
	/* it takes no value, and the daemon wants one */
	if (a->option[OPTION_SLOW])
		query[4].value = "1";
	if (!older)
		return true;
	if (!units_parse_duration(older, &seconds)) {
		trouble("--older takes a duration such as 30s, 5m, 1h or 2d, not \"%s\"", older);
		return false;
	}
	/* the daemon counts in whole ones */
	snprintf(number, FILTER_NUMBER_SIZE, "%.0f", ceil(seconds));
	query[3].value = number;
	return true;
}
