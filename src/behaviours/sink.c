/*
 * sink.c - messages are received and dropped; the end of the connection, clean
 * or not, is one line in the log with its reason.
 */
#include "behaviour.h"
#include "config/key.h"
#include "session/conn.h"

struct sink_opts {
	bool log;
};

static const struct config_key sink_keys[] = {
	{ .name = "log",
	  .type = CONFIG_BOOL,
	  .offset = offsetof(struct sink_opts, log),
	  .preset = "true" },
	{ 0 },
};

static void sink_close(struct conn *c, const void *opts, void *state, int code)
{
	const struct sink_opts *o = opts;

	(void)state;
	if (o->log)
		conn_log(c, "Client disconnected: %s (code %d, %s)",
			 reason_text(conn_close_reason(c)), code,
			 reason_word(conn_close_reason(c)));
}

const struct behaviour behaviour_sink = {
	.name = "sink",
	.keys = sink_keys,
	.opts_size = sizeof(struct sink_opts),
	.close = sink_close,
};
