/*
 * request_text.c - see request_text.h.
 *
 * A text is small, or it is no request: what reads it makes a tree of it, of which nobody is to set
 * the size.
 */
#include "session/request_text.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "bus/position.h"
#include "config/config.h"
#include "proto/json_memory.h"

static const char *const names[] = {
	[REQUEST_POSITION] = "position",
	[REQUEST_PRESENCE] = "presence",
	[REQUEST_HISTORY] = "history",
};

static bool refuse(struct request_error *why, const char *word, const char *text)
{
	*why = (struct request_error){ word, text };
	return false;
}

static bool read_name(const json_t *asked, enum request_name *name)
{
	const char *text = json_string_value(json_object_get(asked, "ignyx"));

	for (size_t i = 0; text && i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(names[i], text) == 0) {
			*name = (enum request_name)i;
			return true;
		}
	}
	return false;
}

static bool read_since(const json_t *since, struct replay_wish *w)
{
	w->since = since != NULL;
	return !since || (json_is_string(since) &&
			  bus_position_parse(json_string_value(since), json_string_length(since),
					     &w->position));
}

static bool read_limit(const json_t *limit, struct replay_wish *w)
{
	const json_int_t n = limit ? json_integer_value(limit) : CONFIG_HISTORY_MAX;

	w->counts = true;
	w->count = (uint32_t)(n < CONFIG_HISTORY_MAX ? n : CONFIG_HISTORY_MAX);
	return !limit || (json_is_integer(limit) && n >= 0);
}

static bool read_tree(const json_t *asked, struct request *r, struct request_error *why)
{
	*r = (struct request){ .wish = { 0 } };
	if (!read_name(asked, &r->name))
		return refuse(why, "unknown-request",
			      "there is no such request: see ignyxd-protocol(7)");
	if (r->name != REQUEST_HISTORY)
		return true;
	if (!read_since(json_object_get(asked, "since"), &r->wish))
		return refuse(why, "bad-since",
			      "since is to be the position of a message, as a string");
	if (!read_limit(json_object_get(asked, "limit"), &r->wish))
		return refuse(why, "bad-limit", "limit is to be a number of messages");
	return true;
}

bool request_read(const uint8_t *text, size_t len, struct request *r, struct request_error *why)
{
	json_t *asked;
	bool read;

	if (len > REQUEST_TEXT_MAX)
		return refuse(why, "request-too-long", "a request has at most 4096 bytes");
	asked = json_memory_read(text, len, JSON_REJECT_DUPLICATES, NULL);
	if (!asked && errno == ENOMEM)
		return refuse(why, "no-memory", "the server is out of memory; ask again later");
	read = asked ? read_tree(asked, r, why)
		     : refuse(why, "invalid-json", "a request is one JSON object");
	json_decref(asked);
	return read;
}
