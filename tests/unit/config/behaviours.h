/*
 * behaviours.h - behaviours for the tests of config/: the keys of the real
 * ones, and nothing behind them.
 */
#ifndef TESTS_CONFIG_BEHAVIOURS_H
#define TESTS_CONFIG_BEHAVIOURS_H

#include <stdint.h>

#include "behaviour.h"
#include "config/key.h"

struct test_opts {
	struct config_template prefix, message;
	struct config_text reason;
	bool include_sender, log;
	int64_t code;
	char *member;
	int on_invalid;
};

/* versions of clang-format differ about braces alone in a macro */
// clang-format off
#define KEY(key, field, ...) \
	{ .name = key, .offset = offsetof(struct test_opts, field), __VA_ARGS__ }
// clang-format on

static const char *const on_invalid_words[] = { "close", "error", NULL };

static const struct config_key echo_keys[] = {
	KEY("prefix", prefix, .type = CONFIG_TEMPLATE, .preset = "", .max = 16),
	{ 0 },
};
static const struct config_key room_keys[] = {
	KEY("prefix", prefix, .type = CONFIG_TEMPLATE, .preset = "", .max = 16),
	KEY("include_sender", include_sender, .type = CONFIG_BOOL, .preset = "true"),
	{ 0 },
};
static const struct config_key oneshot_keys[] = {
	KEY("message", message, .type = CONFIG_MESSAGE, .required = true),
	KEY("code", code, .type = CONFIG_INT, .preset = "1000", .min = 1000, .max = 4999),
	KEY("reason", reason, .type = CONFIG_TEXT, .preset = "", .max = 123),
	{ 0 },
};
static const struct config_key notify_keys[] = {
	KEY("message", message, .type = CONFIG_JSON, .required = true),
	KEY("log", member, .type = CONFIG_STRING, .preset = "content", .min = 1),
	KEY("on_invalid", on_invalid, .type = CONFIG_CHOICE, .preset = "close",
	    .choices = on_invalid_words),
	{ 0 },
};
static const struct config_key sink_keys[] = {
	KEY("log", log, .type = CONFIG_BOOL, .preset = "true"),
	{ 0 },
};

/* What no row can say: 1004 to 1006 are never sent. */
static void oneshot_check(void *opts, struct config_report *r)
{
	const struct test_opts *o = opts;

	if (o->code >= 1004 && o->code <= 1006)
		config_report_error(r, "code", "cannot be %d", (int)o->code);
}

static bool some_message(struct conn *c, const void *opts, void *state, const struct ws_message *m,
			 struct verdict *v)
{
	(void)v;
	(void)c;
	(void)opts;
	(void)state;
	(void)m;
	return true;
}

static const struct behaviour echo = { .name = "echo",
				       .keys = echo_keys,
				       .opts_size = sizeof(struct test_opts),
				       .message = some_message };
static const struct behaviour room = {
	.name = "room", .has_room = true, .keys = room_keys, .opts_size = sizeof(struct test_opts)
};
static const struct behaviour oneshot = { .name = "oneshot",
					  .keys = oneshot_keys,
					  .opts_size = sizeof(struct test_opts),
					  .check_opts = oneshot_check };
static const struct behaviour notify = { .name = "notify",
					 .has_room = true,
					 .keys = notify_keys,
					 .opts_size = sizeof(struct test_opts) };
static const struct behaviour sink = { .name = "sink",
				       .keys = sink_keys,
				       .opts_size = sizeof(struct test_opts) };
/* one without settings */
static const struct behaviour plain = { .name = "plain" };

static const struct behaviour *const test_behaviours[] = { &echo, &room,  &oneshot, &notify,
							   &sink, &plain, NULL };

#endif
