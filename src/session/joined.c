/*
 * joined.c - see joined.h.
 *
 * Who is told who is present, at another time than the others, knows something else than they: that is
 * noted, so that what it is told next is right (announcing.c). Of those who have just gone it is told the
 * same as they, or it would hear of them when they are back as of nobody who was there.
 */
#include "session/joined.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "bus/position.h"
#include "config/config.h"
#include "session/attendance.h"
#include "session/conn_internal.h"
#include "session/registry.h"
#include "session/replay.h"
#include "session/session.h"

enum { FIXED_MAX = 320, KEPT = 64 * 1024 };

static struct buffer out;

static bool begin(const struct room *r, const char *type)
{
	buffer_reset(&out, KEPT);
	return envelope_begin(&r->envelope, type, &out);
}

/*
 * Where the room is. With a replay it is told what comes, and what does not; who asked for that alone
 * is told how many messages they are.
 */
static bool append_position(const struct conn *c, const struct room *r)
{
	struct replay p = { .newest = bus_sequence(session.bus, r->bus) };
	bool replays = replay_of(c, &p);
	char position[BUS_POSITION_SIZE], from[BUS_POSITION_SIZE], text[FIXED_MAX];
	uint64_t epoch = bus_epoch(session.bus);
	int n;

	bus_position_format((struct bus_position){ epoch, p.newest }, position);
	bus_position_format((struct bus_position){ epoch, p.from }, from);
	n = snprintf(text, sizeof(text), ",\"position\":\"%s\"", position);
	if (p.asked)
		n += snprintf(text + n, sizeof(text) - (size_t)n, ",\"recovered\":%s",
			      p.recovered ? "true" : "false");
	if (replays)
		n += snprintf(text + n, sizeof(text) - (size_t)n, ",\"from\":\"%s\"", from);
	if (p.answer)
		n += snprintf(text + n, sizeof(text) - (size_t)n, ",\"messages\":%" PRIu32,
			      p.messages);
	return buffer_append(&out, text, (size_t)n);
}

static bool append_members(const struct room *r)
{
	const struct attendance a = { .members = bus_members(session.bus, r->bus) };

	return attendance_append(&out, &a);
}

/* The same with who they are, as the endpoint has it; that c was told so is noted. */
static bool append_present(struct conn *c, struct room *r)
{
	static struct attendance now;
	const struct config_room *settings = &c->endpoint->room;
	bool sure;

	if (settings->presence == PRESENCE_NONE)
		return append_members(r);
	sure = attendance_read(&now, r->bus, settings, r->announced ? &r->announced->told : NULL);
	return attendance_append(&out, &now) &&
	       announced_told(&r->announced, r, &c->admission->member.told, &now, sure);
}

/* made: all that is before the end of it. */
static void finish(struct conn *c, bool made)
{
	if (made && buffer_append(&out, "}", 1))
		output_text(c, link_mark(0, LINK_TOLD), out.p, out.len);
	else
		link_fail(&c->link, ENOMEM);
}

void joined_send(struct conn *c)
{
	struct room *r = c->admission->member.room;

	finish(c, begin(r, "joined") && append_position(c, r) && append_present(c, r));
}

void joined_send_position(struct conn *c)
{
	const struct room *r = c->admission->member.room;

	finish(c, begin(r, "position") && append_position(c, r) && append_members(r));
}

void joined_send_history(struct conn *c)
{
	const struct room *r = c->admission->member.room;

	finish(c, begin(r, "history") && append_position(c, r));
}

void joined_send_presence(struct conn *c)
{
	struct room *r = c->admission->member.room;

	finish(c, begin(r, "presence") && append_present(c, r));
}
