/*
 * listing.h - lists of the daemon, which come page by page.
 */
#ifndef CTL_LISTING_H
#define CTL_LISTING_H

#include "ctl/arguments.h"
#include "ctl/ask.h"
#include "ctl/columns.h"

enum {
	LISTING_PAGE = 1000, /* members of a page that are asked for */
	LISTING_MAX = 4 << 20, /* no daemon has that many of anything */
};

struct list {
	const char *path, *key; /* "/rooms" and "rooms" */
	struct query query[ASK_QUERIES - 2]; /* up to the first without a name */
	size_t most; /* no more than so many are asked for; 0: all */
};

/*
 * Calls member for each of them, in order, lent; it returns NULL, or the key of a value that is of a
 * wrong kind. Returns whether all went well; *last, which is to be freed by answer_free, tells what
 * did not.
 */
bool listing_each(struct asker *d, const struct list *l,
		  const char *(*member)(json_t *object, void *arg), void *arg, struct answer *last);

/*
 * CTL_DONE if silent is NULL or empty; else says of each of these workers that it did not answer,
 * and returns CTL_FAILED.
 */
int listing_silent(const json_t *silent);

/*
 * Prints all of a list: a table, or with --json one object of all pages, a line for each member.
 * Returns an exit status, after saying what went wrong.
 */
int listing_print(struct asker *d, const struct arguments *a, const struct list *l,
		  const struct column *columns, size_t count);

#endif
