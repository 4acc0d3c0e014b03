/*
 * connections.h - asking all workers for the connections that they have.
 */
#ifndef ADMIN_CONNECTIONS_H
#define ADMIN_CONNECTIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request;
struct survey_question;

/* What has come of it, all of it lent. */
struct connections_found {
	const struct survey_question *question; /* as it was asked, but for `after` */
	size_t limit;
	json_t *connections; /* as GET /connections has them */
	json_t *silent; /* numbers of workers that did not answer */
};

/*
 * Looks for those that are open and match, at most limit, and has them answered: at once or later,
 * but not if whoever has asked is gone by then. What that gets has no path and no parameters.
 */
void connections_find(struct request *r, const struct survey_question *q, size_t limit,
		      void (*answer)(struct request *r, const struct connections_found *f));

/* Reads the id of one. false: it is none, and that is answered. */
bool connections_read_id(struct request *r, const char *text, uint64_t *id);

/* Adds the silent ones to an answer (NULL: there is no memory), if there are any. */
void connections_add_silent(json_t *body, json_t *silent);

#endif
