/*
 * level.c - what is logged, up to the next reload.
 *
 * The level of this process is that of all: it was forked from the master with it, and changes it
 * for all alone.
 */
#include <errno.h>
#include <string.h>

#include "admin/admin_internal.h"
#include "admin/body.h"
#include "admin/request.h"
#include "admin/resources.h"
#include "admin/values.h"
#include "base/log.h"
#include "proto/json_memory.h"

static void answer_level(struct request *r)
{
	answer_json(r, 200, json_pack("{s:s}", "level", level_word(log_level_now())));
}

void log_level_get(struct request *r)
{
	answer_level(r);
}

/* -1: it is none. */
static int level_of(const char *word)
{
	for (int i = LOG_ERR; word && i <= LOG_DEBUG; i++)
		if (strcmp(word, level_word(i)) == 0)
			return i;
	return -1;
}

/* False: there is no memory to read it. */
static bool read_level(struct request *r, int *level)
{
	size_t len;
	const uint8_t *bytes = body_of(r, &len);
	json_t *body = json_memory_read(bytes, len, 0, NULL);
	const bool read = body || errno != ENOMEM;

	*level = level_of(json_string_value(json_object_get(body, "level")));
	json_decref(body);
	return read;
}

void log_level_put(struct request *r)
{
	int level;

	if (!read_level(r, &level)) {
		answer_error(r, 503, "no-memory", "there is no memory to read it");
	} else if (level < 0) {
		answer_error(r, 400, "bad-request",
			     "has to be {\"level\": \"error\"}, warning, notice, info or debug");
	} else if (admin.log_level(level) < 0) {
		answer_error(r, 503, "busy", "the master cannot be asked; try again in a moment");
	} else {
		log_set_level(level);
		answer_level(r);
	}
}
