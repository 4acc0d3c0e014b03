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
#include "session/session.h"

enum { FIXED_MAX = 256 };

void joined_send(struct conn *c, const char *type)
{
	const struct room_member *m = &c->admission->member;
	const struct room *r = m->room;
	char position[BUS_POSITION_SIZE], text[FIXED_MAX];
	static struct buffer out;
	int n;

	bus_position_format(
		(struct bus_position){ r->envelope.epoch, bus_sequence(session.bus, r->bus) },
		position);
	out.len = 0;
	n = snprintf(text, sizeof(text), "{\"type\":\"%s\",\"room\":\"", type);
	if (!buffer_append(&out, text, (size_t)n) ||
	    !buffer_append(&out, r->envelope.room, r->envelope.room_len)) {
		link_fail(&c->link, ENOMEM);
		return;
	}
	n = snprintf(text, sizeof(text), "\",\"position\":\"%s\",\"members\":%" PRIu64 "}",
		     position, bus_members(session.bus, r->bus));
	if (buffer_append(&out, text, (size_t)n))
		conn_send(c, WS_TEXT, NULL, 0, out.p, out.len);
	else
		link_fail(&c->link, ENOMEM);
}
