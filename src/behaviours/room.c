/*
 * room.c - a broadcast room: what one member sends goes to all, in every
 * worker, in one order; text behind a prefix, binary unchanged.
 */
#include "session/membership.h"

#include "behaviour.h"
#include "config/key.h"
#include "proto/json.h"
#include "session/conn.h"
#include "session/verdict.h"

struct room_opts {
	struct config_template prefix;
	bool include_sender;
};

static const struct config_key room_keys[] = {
	{ .name = "prefix",
	  .type = CONFIG_TEMPLATE,
	  .offset = offsetof(struct room_opts, prefix),
	  .preset = "",
	  .max = 4096 },
	{ .name = "include_sender",
	  .type = CONFIG_BOOL,
	  .offset = offsetof(struct room_opts, include_sender),
	  .preset = "true" },
	{ 0 },
};

static bool room_open(struct conn *c, const void *opts, void *state, struct verdict *v)
{
	(void)opts;
	(void)state;
	return room_join(c, v);
}

static bool room_message(struct conn *c, const void *opts, void *state, const struct ws_message *m,
			 struct verdict *v)
{
	const struct room_opts *o = opts;
	const struct config_text prefix = conn_text(c, &o->prefix);
	const size_t len = m->opcode == WS_TEXT ? prefix.len : 0;

	(void)state;
	return room_publish(c, m->opcode, prefix.data, len, m->data, m->len, !o->include_sender, v);
}

/* Where messages have to be JSON. */
static bool room_json(struct conn *c, const void *opts, void *state, const struct ws_message *m,
		      const struct json_scan *found, struct verdict *v)
{
	if (found->error.text)
		return verdict_close_json(v, &found->error);
	return room_message(c, opts, state, m, v);
}

const struct behaviour behaviour_room = {
	.name = "room",
	.has_room = true,
	.keys = room_keys,
	.opts_size = sizeof(struct room_opts),
	.open = room_open,
	.message = room_message,
	.json = room_json,
};
