/*
 * changes.h - what a reload changes, in words and as JSON.
 */
#ifndef PROCESS_CHANGES_H
#define PROCESS_CHANGES_H

#include <jansson.h>

struct plan;

enum {
	CHANGES_MAX = 1024, /* bytes of a summary */
	CHANGES_LINES = 50, /* that the log gets, besides how many more there are */
};

/*
 * Fills in how many connections each endpoint has that is changed or removed, as they are counted at
 * this moment. Of one that is not counted by itself (base/metrics.h) it stays unknown.
 */
void changes_count(struct plan *p);

/*
 * In one line: how many endpoints in any case, then listeners, certificates and the names of
 * settings at the top, where there is something to say. What needs a restart is not in it.
 */
void changes_summarize(const struct plan *p, char out[CHANGES_MAX]);

/* Puts a line for each of them in the log. */
void changes_log(const struct plan *p);

/* All of them, as ignyxd-api(7) describes a plan. The caller has the reference. */
json_t *changes_json(const struct plan *p);

#endif
