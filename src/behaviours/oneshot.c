/*
 * oneshot.c - one message, then the end. What the client sends is ignored.
 */
#include "behaviour.h"
#include "config/key.h"
#include "proto/frame.h"
#include "session/conn.h"
#include "session/verdict.h"

struct oneshot_opts {
	struct config_template message;
	int64_t code;
	struct config_text reason;
};

static const struct config_key oneshot_keys[] = {
	{ .name = "message",
	  .type = CONFIG_MESSAGE,
	  .offset = offsetof(struct oneshot_opts, message),
	  .required = true },
	{ .name = "code",
	  .type = CONFIG_INT,
	  .offset = offsetof(struct oneshot_opts, code),
	  .preset = "1000",
	  .min = 1000,
	  .max = 4999 },
	{ .name = "reason",
	  .type = CONFIG_TEXT,
	  .offset = offsetof(struct oneshot_opts, reason),
	  .preset = "",
	  .max = WS_CLOSE_REASON_MAX },
	{ 0 },
};

static void oneshot_check(void *opts, struct config_report *r)
{
	const struct oneshot_opts *o = opts;

	if (!ws_close_code_valid((uint16_t)o->code))
		config_report_error(r, "code",
				    "%lld is not a code that a close frame may carry; use 1000 to "
				    "1003, 1007 to 1014 or 3000 to 4999",
				    (long long)o->code);
}

static bool oneshot_open(struct conn *c, const void *opts, void *state, struct verdict *v)
{
	const struct oneshot_opts *o = opts;

	(void)state;
	conn_tell(c, &o->message);
	return verdict_close(v, (int)o->code, REASON_DONE, o->reason.data, o->reason.len);
}

const struct behaviour behaviour_oneshot = {
	.name = "oneshot",
	.keys = oneshot_keys,
	.opts_size = sizeof(struct oneshot_opts),
	.check_opts = oneshot_check,
	.open = oneshot_open,
};
