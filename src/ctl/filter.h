/*
 * filter.h - which connections are meant, by the options that say so.
 */
#ifndef CTL_FILTER_H
#define CTL_FILTER_H

#include <stdbool.h>

#include "ctl/arguments.h"
#include "ctl/ask.h"

enum { FILTER_QUERIES = 6, FILTER_NUMBER_SIZE = 32 };

/* Whether any of them is given. */
bool filter_given(const struct arguments *a);

/*
 * Writes them to query[0..FILTER_QUERIES-1]; number is memory for one of their values, and lives as
 * long as they do. False: one is wrong, which has been said.
 */
bool filter_queries(const struct arguments *a, struct query *query, char number[FILTER_NUMBER_SIZE])
	__attribute__((warn_unused_result));

#endif
