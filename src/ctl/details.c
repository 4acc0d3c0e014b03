/*
 * details.c - see details.h.
 *
 * A daemon that is newer than this program tells more: it is shown too, so nothing here lists what
 * there may be, but for numbers that are no plain counts.
 */
#include "ctl/details.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/columns.h"
#include "ctl/visible.h"
#include "ctl/trouble.h"

enum { DEPTH_MAX = 16, INDENT = 2 };

static const struct {
	const char *key;
	enum kind kind;
} kinds[] = {
	{ "since", KIND_SINCE },
	{ "started", KIND_SINCE },
	{ "time", KIND_SINCE },
	{ "uptime", KIND_DURATION },
	{ "age", KIND_DURATION },
	{ "idle", KIND_DURATION },
	{ "round_trip", KIND_DURATION },
	{ "waits", KIND_DURATION },
	{ "pending", KIND_BYTES },
	{ "received_bytes", KIND_BYTES },
	{ "size", KIND_BYTES },
	{ "sent_bytes", KIND_BYTES },
	{ "lag", KIND_BYTES },
	{ "duration", KIND_DURATION },
	{ "last_pong", KIND_DURATION },
	{ "pong_awaited", KIND_DURATION },
	{ "max_message", KIND_BYTES },
	{ "max_pending", KIND_BYTES },
	{ "ping_interval", KIND_DURATION },
	{ "ping_timeout", KIND_DURATION },
	{ "idle_timeout", KIND_DURATION },
	{ "message_timeout", KIND_DURATION },
	{ "stall_timeout", KIND_DURATION },
	{ "close_timeout", KIND_DURATION },
};

static enum kind kind_of(const char *key, const json_t *value)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (json_is_number(value) && strcmp(kinds[i].key, key) == 0)
			return kinds[i].kind;
	return KIND_ANY;
}

static bool has_members(const json_t *value)
{
	return json_object_size(value) > 0 || json_array_size(value) > 0;
}

static void print_members(FILE *out, const json_t *value, int depth);

static void print_value(FILE *out, const json_t *value, enum kind kind)
{
	char *text = trouble_if_null(column_text(value, kind, columns_now()));

	fprintf(out, "%s%s\n", text, kind == KIND_SINCE ? " ago" : "");
	free(text);
}

/* key: NULL for a member of an array. width: of the keys beside it. */
static void print_member(FILE *out, const char *key, const json_t *value, int depth, int width)
{
	fprintf(out, "%*s", depth * INDENT, "");
	visible_text(out, key ? key : "-");
	if (has_members(value) && depth < DEPTH_MAX) {
		fputc('\n', out);
		print_members(out, value, depth + 1);
		return;
	}
	fprintf(out, "%*s", key ? width - (int)strlen(key) + 2 : 1, "");
	print_value(out, value, kind_of(key ? key : "", value));
}

static void print_members(FILE *out, const json_t *value, int depth)
{
	const char *key;
	json_t *member;
	int width = 0;
	size_t i;

	json_object_foreach((json_t *)value, key, member) if ((int)strlen(key) > width) width =
		(int)strlen(key);
	json_object_foreach((json_t *)value, key, member)
		print_member(out, key, member, depth, width);
	json_array_foreach(value, i, member) print_member(out, NULL, member, depth, 0);
}

void details_print(FILE *out, const json_t *object)
{
	print_members(out, object, 0);
}
