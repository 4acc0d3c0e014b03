/*
 * membership.c - what a behaviour does with rooms, see membership.h.
 */
#include "session/membership.h"

#include "base/metrics.h"
#include "config/config.h"
#include "session/conn_internal.h"
#include "session/joined.h"
#include "session/registry.h"
#include "session/replay.h"
#include "session/session.h"
#include "session/turn.h"
#include "session/unheard.h"
#include "session/verdict.h"

bool room_join(struct conn *c, struct verdict *v)
{
	enum reason why = REASON_NO_MEMORY;
	struct room_member *m = &c->admission->member;
	/* from the door on (admit.c) */
	struct room *r = m->room ? m->room : registry_enter(c->endpoint, c->admission->name, &why);

	if (!r || (!m->room && !registry_add(r, c, m)))
		return verdict_close_word(v, WS_CLOSE_TRY_AGAIN, r ? REASON_NO_MEMORY : why);
	if (m->json)
		joined_send(c, "joined");
	replay_send(c);
	return true;
}

bool room_publish(struct conn *c, enum ws_opcode opcode, const void *prefix, size_t prefix_len,
		  const void *data, size_t len, bool leave_out_sender, struct verdict *v)
{
	uint8_t header[WS_HEADER_MAX];
	struct bus_part parts[] = {
		{ header, ws_encode_header(header, opcode, prefix_len + len) },
		{ prefix, prefix_len },
		{ data, len },
	};
	struct room *room = c->admission->member.room;
	const struct bus_meta meta = {
		.sender = c->id,
		.time = session_time(),
		.kind = BUS_KIND_MESSAGE,
		.not_to_sender = leave_out_sender,
	};

	if (c->endpoint->room.publish != PUBLISH_MEMBERS) {
		unheard_message(c, REASON_NOT_ALLOWED);
		return true;
	}
	switch (bus_append(session.bus, room->bus, &meta, parts, 3)) {
	case BUS_OK:
		metrics_add(&session.row->publishes, 1);
		turn_spend(turn_cost_of(prefix_len + len, TURN_PUBLISH));
		return true;
	case BUS_FULL:
		metrics_add(&session.row->bus_full, 1);
		if (park_message(c, room, &meta, parts, 3) == 0) {
			metrics_add(&session.row->bus_waits, 1);
			return true;
		}
		return verdict_close_word(v, WS_CLOSE_INTERNAL, REASON_NO_MEMORY);
	case BUS_TOO_BIG:
		return verdict_close_word(v, WS_CLOSE_TOO_BIG, REASON_MESSAGE_TOO_BIG);
	default:
		session_bus_corrupt();
	}
}
