/*
 * room.c - a broadcast room: what one member sends goes to all, in every
 * worker, in one order; text behind a prefix, binary unchanged.
 */
#include "session/room.h"

#include "behaviour.h"
#include "config/key.h"
#include "session/conn.h"

struct room_opts {
	struct config_text prefix;
	bool include_sender;
};

static const struct config_key room_keys[] = {
	{ .name = "prefix",
	  .type = CONFIG_TEXT,
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
	return room_join(c, state, v);
}

static bool room_message(struct conn *c, const void *opts, void *state, const struct ws_message *m,
			 struct verdict *v)
{
	const struct room_opts *o = opts;

	return room_publish(c, state, m->opcode, o->prefix.data,
			    m->opcode == WS_TEXT ? o->prefix.len : 0, m->data, m->len,
			    !o->include_sender, v);
}

static void room_close(struct conn *c, const void *opts, void *state, int code)
{
	(void)c;
	(void)opts;
	(void)code;
	room_leave(state);
}

const struct behaviour behaviour_room = {
	.name = "room",
	.state_size = sizeof(struct room_member),
	.uses_bus = true,
	.keys = room_keys,
	.opts_size = sizeof(struct room_opts),
	.open = room_open,
	.message = room_message,
	.close = room_close,
};
