/*
 * echo.c - every message comes back: text behind a prefix, binary unchanged.
 */
#include "behaviour.h"
#include "config/key.h"
#include "session/conn.h"

struct echo_opts {
	struct config_template prefix;
};

static const struct config_key echo_keys[] = {
	{ .name = "prefix",
	  .type = CONFIG_TEMPLATE,
	  .offset = offsetof(struct echo_opts, prefix),
	  .preset = "",
	  .max = 4096 },
	{ 0 },
};

static bool echo_message(struct conn *c, const void *opts, void *state, const struct ws_message *m,
			 struct verdict *v)
{
	const struct echo_opts *o = opts;
	const struct config_text prefix = conn_text(c, &o->prefix);

	(void)state;
	(void)v;
	if (m->opcode == WS_TEXT && prefix.len > 0)
		conn_send(c, WS_TEXT, prefix.data, prefix.len, m->data, m->len);
	else
		conn_send_back(c, m);
	return true;
}

const struct behaviour behaviour_echo = {
	.name = "echo",
	.keys = echo_keys,
	.opts_size = sizeof(struct echo_opts),
	.message = echo_message,
};
