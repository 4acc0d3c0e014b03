/*
 * joined.c - see joined.h.
 */
#include "session/joined.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "bus/position.h"
#include "session/conn_internal.h"
#include "session/registry.h"
#include "session/replay.h"
#include "session/session.h"

enum { FIXED_MAX = 320 };

/* Behind the name of the room. With a replay it is told what comes, and what does not. */
static int write_rest(const struct conn *c, const struct room *r, char out[FIXED_MAX])
{
	struct replay p = { .newest = bus_sequence(session.bus, r->bus) };
	bool replays = replay_of(c, &p);
	char position[BUS_POSITION_SIZE], from[BUS_POSITION_SIZE];
	uint64_t epoch = bus_epoch(session.bus), members = bus_members(session.bus, r->bus);
	int n;

	bus_position_format((struct bus_position){ epoch, p.newest }, position);
	bus_position_format((struct bus_position){ epoch, p.from }, from);
	n = snprintf(out, FIXED_MAX, "\",\"position\":\"%s\"", position);
	if (p.asked)
		n += snprintf(out + n, FIXED_MAX - (size_t)n, ",\"recovered\":%s",
			      p.recovered ? "true" : "false");
	if (replays)
		n += snprintf(out + n, FIXED_MAX - (size_t)n, ",\"from\":\"%s\"", from);
	return n + snprintf(out + n, FIXED_MAX - (size_t)n, ",\"members\":%" PRIu64 "}", members);
}

void joined_send(struct conn *c, const char *type)
{
	const struct room *r = c->admission->member.room;
	static struct buffer out;
	char text[FIXED_MAX];
	int n;

	out.len = 0;
	n = snprintf(text, sizeof(text), "{\"type\":\"%s\",\"room\":\"", type);
	if (!buffer_append(&out, text, (size_t)n) ||
	    !buffer_append(&out, r->envelope.room, r->envelope.room_len)) {
		link_fail(&c->link, ENOMEM);
		return;
	}
	n = write_rest(c, r, text);
	if (buffer_append(&out, text, (size_t)n))
		conn_send(c, WS_TEXT, NULL, 0, out.p, out.len);
	else
		link_fail(&c->link, ENOMEM);
}
