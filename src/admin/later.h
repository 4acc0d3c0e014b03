/*
 * later.h - requests that are answered when somebody else has answered us.
 *
 * Until then whoever has asked may leave, and the request goes with him.
 */
#ifndef ADMIN_LATER_H
#define ADMIN_LATER_H

#include <stdbool.h>

struct evhttp_request;
struct request;

/* Part of what is kept meanwhile, and where that is as long. */
struct later {
	struct evhttp_request *http; /* NULL: nobody waits for the answer any more */
};

void later_begin(struct later *l, const struct request *r);

/* Fills *r to be answered at once. false: nobody waits. */
bool later_end(struct later *l, struct request *r);

#endif
