/*
 * survey.h - which connections there are, for an administrator, and the end of some.
 *
 * A worker looks at all of its connections, over as many turns of the loop as that takes, and then
 * tells of those with the lowest ids: so whoever asks again behind the last of them gets to know
 * of each that was there all the time, once, whatever comes and goes meanwhile.
 */
#ifndef SESSION_SURVEY_H
#define SESSION_SURVEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "net/peer.h"
#include "proto/frame.h"
#include "proto/upgrade.h"

/* What crosses from one process to another; an empty text: whatever it is. */
struct survey_question {
	uint64_t after; /* only ids above it */
	uint64_t id; /* only this one, 0: any */
	uint32_t limit; /* at most so many are told of */
	uint32_t older; /* only those that are open for so many seconds */
	uint32_t slow; /* 1: only those for which something waits to be sent */
	uint32_t details; /* 1: the limits of each are told, too */
	uint32_t code; /* each of them is closed with this code, 0: none is; one that may be sent */
	char endpoint[UPGRADE_PATH_MAX + 1]; /* path */
	char room[UPGRADE_PATH_MAX + 1];
	char peer[NET_PEER_TEXT_MAX]; /* an address, perhaps with its port */
	char user[CONFIG_USER_MAX + 1];
	char reason[WS_CLOSE_REASON_MAX + 1]; /* of the close frame, "": the word for it */
};

struct survey_answer {
	uint64_t last; /* the id up to which all are told of */
	uint32_t closed; /* how many */
	bool more; /* there may be some above last */
	const char *
		json; /* an array with an object for each, none where they are closed; len bytes, lent */
	size_t len;
};

/* Bytes of JSON in one answer; then there is more. */
enum { SURVEY_TEXT_MAX = 96 * 1024 };

/* Whether a question that came from another process can be one. */
bool survey_is_sound(const struct survey_question *q);

/* Begins one, in place of one that is under way. told: is called behind a later turn. */
typedef void survey_told_fn(const struct survey_answer *a);
void survey_begin(const struct survey_question *q, survey_told_fn *told);

/* A chore: goes on with it. Returns whether it is not through. */
bool survey_go_on(void);

#endif
