/*
 * notify.c - a welcome in JSON, then whatever is published to the endpoint's
 * room; of each JSON text the client sends, one member is logged.
 */
#include <stdio.h>

#include "base/log.h"
#include "behaviour.h"
#include "config/key.h"
#include "proto/frame.h"
#include "proto/json.h"
#include "session/conn.h"
#include "session/membership.h"
#include "session/verdict.h"

enum on_invalid { ON_INVALID_CLOSE, ON_INVALID_ERROR };

struct notify_opts {
	struct config_template message;
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

static bool notify_open(struct conn *c, const void *opts, void *state, struct verdict *v)
{
	const struct notify_opts *o = opts;

	(void)state;
	conn_tell(c, &o->message);
	return room_join(c, v);
}

/* A line has not room for more; what is cut here is cut between two characters. */
static void log_member(struct conn *c, const struct json_value *value)
{
	char text[2000];

	if (!log_enabled(LOG_INFO))
		return;
	json_show(value, text, sizeof(text));
	conn_log(c, "Received JSON: %s", text);
}

static void answer_error(struct conn *c, const struct json_error *error)
{
	char text[256];
	int len = snprintf(text, sizeof(text),
			   "{\"type\":\"error\",\"error\":\"invalid-json\",\"message\":\"%s\","
			   "\"line\":%u,\"column\":%u}",
			   error->text, error->line, error->column);

	conn_send(c, WS_TEXT, NULL, 0, text, (size_t)len);
}

static bool refuse(struct conn *c, const struct notify_opts *o, const struct json_error *error,
		   struct verdict *v)
{
	if (o->on_invalid != ON_INVALID_ERROR)
		return verdict_close_json(v, error);
	answer_error(c, error);
	return true;
}

static const char *notify_member(const void *opts)
{
	const struct notify_opts *o = opts;

	return o->log;
}

static bool notify_json(struct conn *c, const void *opts, void *state, const struct ws_message *m,
			const struct json_scan *found, struct verdict *v)
{
	(void)state;
	(void)m;
	if (found->error.text)
		return refuse(c, opts, &found->error, v);
	log_member(c, &found->value);
	return true;
}

/* All that is no text. */
static bool notify_message(struct conn *c, const void *opts, void *state,
			   const struct ws_message *m, struct verdict *v)
{
	(void)c;
	(void)opts;
	(void)state;
	(void)m;
	return verdict_close_word(v, WS_CLOSE_UNSUPPORTED, REASON_UNSUPPORTED_DATA);
}

const struct behaviour behaviour_notify = {
	.name = "notify",
	.has_room = true,
	.json_rooms = true,
	.keys = notify_keys,
	.opts_size = sizeof(struct notify_opts),
	.open = notify_open,
	.message = notify_message,
	.json_member = notify_member,
	.json = notify_json,
};
