/*
 * publish.c - messages that come from outside.
 *
 * A message goes into the log as those of members do, and from there to all of them; it gets no
 * prefix, and has no sender. Several are one append, so that nobody hears some of them alone. What
 * is answered is true when it is answered: they are in the log.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin_internal.h"
#include "admin/body.h"
#include "admin/key.h"
#include "admin/request.h"
#include "admin/resources.h"
#include "admin/values.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "bus/bus.h"
#include "config/config.h"
#include "proto/frame.h"
#include "proto/json.h"
#include "proto/json_memory.h"
#include "proto/utf8.h"
#include "session/session.h"

enum { MESSAGES_MAX = 4096, TRIES = 2, RETRY_AFTER = 1, KEY_RETRY_AFTER = 10 };

struct message {
	const char *room;
	const struct config_endpoint *endpoint;
	enum ws_opcode opcode;
	const void *data;
	size_t len;
	uint8_t header[WS_HEADER_MAX];
	struct bus_part parts[2];
};

/* With what it is published once. */
struct key {
	bool given;
	struct bus_once once;
};

/* Why something is not published. */
struct objection {
	int status;
	unsigned retry_after; /* seconds; 0: that is of no use */
	const char *word;
	char text[256];
};

/* Returns false, for who fails with it. */
static bool object(struct objection *o, int status, const char *word, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static bool object(struct objection *o, int status, const char *word, const char *fmt, ...)
{
	va_list args;

	o->status = status;
	o->retry_after = status == 503 ? RETRY_AFTER : 0;
	o->word = word;
	va_start(args, fmt);
	vsnprintf(o->text, sizeof(o->text), fmt, args);
	va_end(args);
	return false;
}

static void answer_objection(struct request *r, const struct objection *o)
{
	char seconds[16];

	snprintf(seconds, sizeof(seconds), "%u", o->retry_after);
	if (o->retry_after)
		evhttp_add_header(evhttp_request_get_output_headers(r->http), "Retry-After",
				  seconds);
	answer_error(r, o->status, o->word, "%s", o->text);
}

/* --- one message --- */

/* path is the name of the room, if it is one. */
static bool find_room(const char *path, struct message *m, struct objection *o)
{
	const struct config_endpoint *e = config_route_name(admin.config, path);

	m->room = path;
	m->endpoint = e;
	if (!e || !e->has_room)
		return object(o, 404, "no-such-room", "no endpoint with a room has this path");
	if (e->room.publish == PUBLISH_NONE)
		return object(o, 403, "not-allowed", "publish there is \"none\": nobody may");
	if (m->len > (size_t)e->limits.max_message)
		return object(o, 413, "message-too-big",
			      "it has %zu bytes, and max_message there is %lld", m->len,
			      (long long)e->limits.max_message);
	return true;
}

static bool check_text(const struct message *m, struct objection *o)
{
	return utf8_valid(m->data, m->len) || object(o, 400, "bad-utf8", "it is not UTF-8");
}

static bool check_json(const struct message *m, struct objection *o)
{
	struct json_value value;
	struct json_error error;

	return json_find(m->data, m->len, "", &value, &error) ||
	       object(o, 400, "invalid-json", "line %u column %u: %s", error.line, error.column,
		      error.text);
}

/* As a text it is UTF-8; json: and one JSON value, as all are where `data` is "json". */
static bool check_data(const struct message *m, bool json, struct objection *o)
{
	json |= m->endpoint->room.data == DATA_JSON;
	if (m->opcode == WS_BINARY)
		return !json || object(o, 400, "unsupported-data",
				       "data there is \"json\": a message is text, one JSON value");
	return check_text(m, o) && (!json || check_json(m, o));
}

/* --- all of them --- */

static bool object_to_bus(struct objection *o, enum bus_result result)
{
	switch (result) {
	case BUS_TOO_BIG:
		return object(o, 413, "message-too-big",
			      "together they are more than the log takes at once, see bus_lag");
	case BUS_CONFLICT:
		return object(o, 422, "key-conflict",
			      "something else was published with this Idempotency-Key");
	case BUS_KEYS_FULL:
		object(o, 503, "keys-full",
		       "no more can be published with an Idempotency-Key for now");
		o->retry_after = KEY_RETRY_AFTER;
		return false;
	case BUS_ROOMS_FULL:
		return object(o, 503, "rooms-full", "there are max_rooms rooms already");
	case BUS_CORRUPT:
		session_bus_corrupt();
	default:
		metrics_add(&metrics_own->bus_full, 1);
		return object(o, 503, "bus-full",
			      "a worker is behind in the log; try again in a moment");
	}
}

static enum bus_result open_room(const struct message *m, struct bus_room *room)
{
	const struct bus_keep keep = config_keep(m->endpoint);

	return bus_open(admin.bus, m->room, strlen(m->room), &keep, room);
}

static enum bus_result open_rooms(const struct message *m, struct bus_item *items, size_t count)
{
	enum bus_result result = BUS_OK;

	for (size_t i = 0; i < count && result == BUS_OK; i++) {
		if (i > 0 && strcmp(m[i].room, m[i - 1].room) == 0)
			items[i].room = items[i - 1].room;
		else
			result = open_room(&m[i], &items[i].room);
	}
	return result;
}

static void give_tokens(const struct message *m, const struct bus_item *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		bus_give_token(admin.bus, items[i].room, &m[i].endpoint->room_rate);
}

/* One for each message, or none. */
static bool take_tokens(const struct message *m, const struct bus_item *items, size_t count,
			struct objection *o)
{
	const int64_t now = session_clock_us() * 1000;

	for (size_t i = 0; i < count; i++) {
		int64_t ns =
			bus_take_token(admin.bus, items[i].room, &m[i].endpoint->room_rate, now);

		if (ns == 0)
			continue;
		give_tokens(m, items, i);
		object(o, 429, "rate-limited", "more than room_rate of %s allows",
		       m[i].endpoint->path);
		o->retry_after = (unsigned)(ns / 1000000000) + 1;
		return false;
	}
	return true;
}

static void make_item(struct message *m, struct bus_item *item)
{
	m->parts[0] =
		(struct bus_part){ m->header, ws_encode_header(m->header, m->opcode, m->len) };
	m->parts[1] = (struct bus_part){ m->data, m->len };
	*item = (struct bus_item){
		.meta = { .time = clock_wall_ms(),
			  .kind = BUS_KIND_MESSAGE,
			  .json = m->endpoint->room.data == DATA_JSON },
		.parts = m->parts,
		.count = 2,
	};
}

static bool read_key(struct request *r, struct key *key, struct objection *o)
{
	enum key_given given = key_read(r, &key->once);

	key->given = given == KEY_GOOD;
	return given != KEY_BAD ||
	       object(o, 400, "bad-key",
		      "Idempotency-Key has to be 1 to %d printable characters of ASCII", KEY_MAX);
}

/*
 * A room that is empty may be given up between finding it and writing to it. With a key that was
 * given before nothing is written, and the items are as they were then.
 */
static bool append(struct message *m, struct bus_item *items, size_t count, const struct key *key,
		   struct objection *o)
{
	enum bus_result result = BUS_GONE;

	for (size_t i = 0; i < count; i++)
		make_item(&m[i], &items[i]);
	for (int i = 0; i < TRIES && result == BUS_GONE; i++) {
		result = open_rooms(m, items, count);
		if (result != BUS_OK)
			break;
		if (!take_tokens(m, items, count, o))
			return false;
		result = key->given ? bus_append_once(admin.bus, items, count, &key->once)
				    : bus_append_all(admin.bus, items, count);
		if (result != BUS_OK)
			give_tokens(m, items, count);
	}
	bus_wake_readers(admin.bus);
	if (result == BUS_REPEATED)
		return true;
	if (result != BUS_OK)
		return object_to_bus(o, result);
	metrics_add(&metrics_own->publishes, count);
	return true;
}

static json_t *told(const struct message *m, const struct bus_item *item)
{
	return json_pack("{s:o, s:o, s:I}", "room", json_of_text(m->room, strlen(m->room)),
			 "position", json_of_position(item->sequence), "members",
			 (json_int_t)item->members);
}

/* --- POST /publish/PATH --- */

static bool read_type(const struct request *r, struct message *m, struct objection *o)
{
	const bool json = body_is(r, "application/json");

	m->opcode = json || body_is(r, "text/plain") ? WS_TEXT : WS_BINARY;
	if (m->opcode == WS_TEXT || body_is(r, "application/octet-stream"))
		return check_data(m, json, o);
	return object(o, 415, "unsupported-type",
		      "Content-Type has to be text/plain or application/json, for a text message, "
		      "or application/octet-stream, for a binary one");
}

static void publish_one(struct request *r)
{
	struct objection o;
	struct bus_item item;
	struct message m;
	struct key key;

	m.data = body_of(r, &m.len);
	if (read_key(r, &key, &o) && find_room(r->rest, &m, &o) && read_type(r, &m, &o) &&
	    append(&m, &item, 1, &key, &o))
		answer_json(r, 200, told(&m, &item));
	else
		answer_objection(r, &o);
}

/* --- POST /publish --- */

/* The string is changed in place, for it is nobody's but ours. */
static bool decode(struct message *m, struct objection *o)
{
	long n = base64_decode((char *)m->data, m->len);

	if (n < 0)
		return object(o, 400, "invalid-base64", "\"base64\" is not base64");
	m->len = (size_t)n;
	m->opcode = WS_BINARY;
	return true;
}

static bool read_message(json_t *given, struct message *m, struct objection *o)
{
	const char *path = json_string_value(json_object_get(given, "path"));
	json_t *text = json_object_get(given, "data"), *binary = json_object_get(given, "base64");
	json_t *data = text ? text : binary;

	if (!path || !json_is_string(data) || (text && binary) || json_object_size(given) != 2)
		return object(o, 400, "bad-request",
			      "has to be {\"path\": \"...\", \"data\": \"...\"} or {\"path\": "
			      "\"...\", \"base64\": \"...\"}");
	m->data = json_string_value(data);
	m->len = json_string_length(data);
	m->opcode = WS_TEXT;
	return (text || decode(m, o)) && find_room(path, m, o) && check_data(m, false, o);
}

static bool read_messages(json_t *list, struct message *m, struct objection *o)
{
	json_t *given;
	size_t i;

	json_array_foreach(list, i, given)
	{
		struct objection one;

		if (!read_message(given, &m[i], &one))
			return object(o, one.status, one.word, "message %zu: %s", i + 1, one.text);
	}
	return true;
}

static void answer_all(struct request *r, const struct message *m, const struct bus_item *items,
		       size_t count)
{
	json_t *results = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(results, told(&m[i], &items[i]));
	answer_json(r, 200, json_pack("{s:o}", "results", results));
}

static void publish_list(struct request *r, json_t *list, const struct key *key)
{
	size_t count = json_array_size(list);
	struct message *m = calloc(count + 1, sizeof(*m));
	struct bus_item *items = calloc(count + 1, sizeof(*items));
	struct objection o;

	if (!m || !items)
		answer_error(r, 503, "no-memory", "there is no memory for %zu messages", count);
	else if (read_messages(list, m, &o) && append(m, items, count, key, &o))
		answer_all(r, m, items, count);
	else
		answer_objection(r, &o);
	free(items);
	free(m);
}

static bool check_list(const json_t *list, const json_error_t *error, const struct key *key,
		       struct objection *o)
{
	size_t most = key->given ? BUS_KEY_ITEMS : MESSAGES_MAX;

	if (!list)
		return object(o, 400, "invalid-json", "line %d column %d: %s", error->line,
			      error->column, error->text);
	if (!json_is_array(list) || json_array_size(list) == 0)
		return object(o, 400, "bad-request",
			      "the body has to be an array of messages, or the path of one room "
			      "has to follow: /publish/PATH");
	if (json_array_size(list) > most)
		return object(o, 413, "too-many-messages", "at most %zu are possible at once%s",
			      most, key->given ? " with an Idempotency-Key" : "");
	return true;
}

static void publish_many(struct request *r)
{
	json_error_t error;
	struct objection o;
	struct key key;
	size_t len;
	const uint8_t *bytes = body_of(r, &len);
	json_t *list;

	if (!body_is(r, "application/json")) {
		answer_error(r, 415, "unsupported-type",
			     "Content-Type has to be application/json, for an array of messages");
		return;
	}
	list = json_memory_read(bytes, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	if (!list && errno == ENOMEM) {
		answer_error(r, 503, "no-memory", "there is no memory for these messages");
		return;
	}
	if (read_key(r, &key, &o) && check_list(list, &error, &key, &o))
		publish_list(r, list, &key);
	else
		answer_objection(r, &o);
	json_decref(list);
}

void publish_post(struct request *r)
{
	if (*r->rest)
		publish_one(r);
	else
		publish_many(r);
}
