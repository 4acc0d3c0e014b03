/*
 * notify.c - a welcome in JSON, then whatever is published to the endpoint's
 * room; of each JSON text the client sends, one member is logged.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour.h"
#include "config/key.h"
#include "proto/frame.h"
#include "session/conn.h"
#include "session/room.h"

enum on_invalid { ON_INVALID_CLOSE, ON_INVALID_ERROR };

struct notify_opts {
	struct config_text message;
	char *log;
	int on_invalid;
};

static const char *const on_invalid_words[] = { "close", "error", NULL };

static const struct config_key notify_keys[] = {
	{ .name = "message",
	  .type = CONFIG_JSON,
	  .offset = offsetof(struct notify_opts, message),
	  .required = true },
	{ .name = "log",
	  .type = CONFIG_STRING,
	  .offset = offsetof(struct notify_opts, log),
	  .preset = "content" },
	{ .name = "on_invalid",
	  .type = CONFIG_CHOICE,
	  .offset = offsetof(struct notify_opts, on_invalid),
	  .preset = "close",
	  .choices = on_invalid_words },
	{ 0 },
};

static int notify_open(struct conn *c, const void *opts, void *state)
{
	const struct notify_opts *o = opts;

	conn_send(c, WS_TEXT, NULL, 0, o->message.data, o->message.len);
	return room_join(c, state);
}

static bool is_plain(const json_t *value)
{
	return json_is_string(value) &&
	       strlen(json_string_value(value)) == json_string_length(value);
}

/* Strings as they are, everything else - and what a NUL would cut short - as JSON. */
static void log_member(struct conn *c, const json_t *value)
{
	char *text;

	if (is_plain(value)) {
		conn_log(c, "Received JSON: %s", json_string_value(value));
		return;
	}
	text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
	conn_log(c, "Received JSON: %s", text ? text : "null");
	free(text);
}

static void answer_error(struct conn *c, const json_error_t *error)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:i, s:i}", "type", "error", "error", "invalid-json",
			      "message", error->text, "line", error->line, "column", error->column);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

	if (text)
		conn_send(c, WS_TEXT, NULL, 0, text, strlen(text));
	free(text);
	json_decref(o);
}

static int refuse(struct conn *c, const struct notify_opts *o, const json_error_t *error)
{
	char text[WS_CLOSE_REASON_MAX + 1];

	if (o->on_invalid == ON_INVALID_ERROR) {
		answer_error(c, error);
		return 0;
	}
	snprintf(text, sizeof(text), "invalid-json: line %d column %d", error->line, error->column);
	conn_explain(c, REASON_INVALID_JSON, text, strlen(text));
	return WS_CLOSE_INVALID_DATA;
}

static int notify_message(struct conn *c, const void *opts, void *state, const struct ws_message *m)
{
	const struct notify_opts *o = opts;
	json_error_t error;
	json_t *json;

	(void)state;
	if (m->opcode != WS_TEXT) {
		conn_explain(c, REASON_UNSUPPORTED_DATA, NULL, 0);
		return WS_CLOSE_UNSUPPORTED;
	}
	json = json_loadb((const char *)m->data, m->len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	if (!json)
		return refuse(c, o, &error);
	log_member(c, json_object_get(json, o->log));
	json_decref(json);
	return 0;
}

static void notify_close(struct conn *c, const void *opts, void *state, int code)
{
	(void)c;
	(void)opts;
	(void)code;
	room_leave(state);
}

const struct behaviour behaviour_notify = {
	.name = "notify",
	.state_size = sizeof(struct room_member),
	.uses_bus = true,
	.keys = notify_keys,
	.opts_size = sizeof(struct notify_opts),
	.open = notify_open,
	.message = notify_message,
	.close = notify_close,
};
