/*
 * request_text.h - what a client asks for in band, as its text says it: {"ignyx":NAME, ...}.
 *
 * Names, arguments and words of errors are a public contract: ignyxd-protocol(7).
 */
#ifndef SESSION_REQUEST_TEXT_H
#define SESSION_REQUEST_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "session/replay.h"

enum { REQUEST_TEXT_MAX = 4096 }; /* bytes */

enum request_name { REQUEST_POSITION, REQUEST_PRESENCE, REQUEST_HISTORY };

struct request {
	enum request_name name;
	struct replay_wish wish; /* of one for history */
};

/* Static texts, as told_error takes them. */
struct request_error {
	const char *word, *text;
};

/* Reads one. False: *why says what is wrong. */
bool request_read(const uint8_t *text, size_t len, struct request *r, struct request_error *why);

#endif
