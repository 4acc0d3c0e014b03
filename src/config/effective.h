/*
 * effective.h - each setting that is in force: its value, and where that comes from.
 */
#ifndef CONFIG_EFFECTIVE_H
#define CONFIG_EFFECTIVE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct config;
struct config_key;

enum { EFFECTIVE_KEY_MAX = 256 };

/* Lent for the call. */
struct effective {
	size_t number; /* from 0, as long as the configuration is the same */
	char key[EFFECTIVE_KEY_MAX]; /* "admin.mode", "endpoints[2].max_message" */
	const char *file; /* where it is set; NULL: nowhere, it is the default */
	int line;
	bool reload; /* whether a change comes into force with a reload */
	const struct config_key *row;
	const void *object;
	bool absent; /* a group, or a list of them, that is not there */
};

/*
 * Calls fn with each row of each table, from that number on, until it returns false, which is then
 * returned. c is in force; what needs a restart is told of started, the configuration of the start.
 * Lists are in the order of the text, numbered from 0. An absent group, or an empty list of groups,
 * is told itself; of another one what is in it.
 */
bool effective_each(const struct config *c, const struct config *started, size_t from,
		    bool (*fn)(const struct effective *e, void *arg), void *arg);

/*
 * Its value, as shown.h shows it. *written: the same where what is written stands for another, such
 * as 0 for "as many as there are"; else NULL. The caller has the references.
 */
json_t *effective_value(const struct effective *e, json_t **written);

#endif
