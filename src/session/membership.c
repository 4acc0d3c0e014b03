/*
 * membership.c - what a behaviour does with rooms, see membership.h.
 */
#include "session/membership.h"

#include "base/metrics.h"
#include "config/config.h"
#include "session/conn_internal.h"
#include "session/jwt_holder.h"
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
		joined_send(c);
	replay_send(c);
	return true;
}

/* Bytes of a message on their way into the log. */
struct publication {
	struct room *room;
	struct bus_meta meta;
	struct bus_part parts[3];
};

/* owes: as of park_message. */
static bool wait(struct conn *c, const struct publication *p, bool owes, struct verdict *v)
{
	return park_message(c, p->room, &p->meta, p->parts, 3, owes) == 0 ||
	       verdict_close_word(v, WS_CLOSE_INTERNAL, REASON_NO_MEMORY);
}

/* Whether it is one too many in the room now. Where they wait those who came first are first. */
static bool is_too_many(const struct conn *c, struct room *room)
{
	const struct rate_size *size = &c->endpoint->room_rate;

	if (size->every == 0)
		return false;
	if (c->endpoint->limits.over_rate == OVER_RATE_DELAY && !TAILQ_EMPTY(&room->waiting))
		return true;
	return bus_take_token(session.bus, room->bus, size, turn_time()) > 0;
}

static bool over_rate(struct conn *c, const struct publication *p, struct verdict *v)
{
	switch (c->endpoint->limits.over_rate) {
	case OVER_RATE_DELAY:
		metrics_add(&c->endpoint->cell->rate_limited, 1);
		return wait(c, p, true, v);
	case OVER_RATE_DROP:
		unheard_message(c, REASON_RATE_LIMITED);
		return true;
	default:
		metrics_add(&c->endpoint->cell->rate_limited, 1);
		return verdict_close_word(v, WS_CLOSE_POLICY, REASON_RATE_LIMITED);
	}
}

static bool publish(struct conn *c, const struct publication *p, size_t len, struct verdict *v)
{
	switch (bus_append(session.bus, p->room->bus, &p->meta, p->parts, 3)) {
	case BUS_OK:
		metrics_add(&session.row->publishes, 1);
		turn_spend(turn_cost_of(len, TURN_PUBLISH));
		return true;
	case BUS_FULL:
		metrics_add(&session.row->bus_full, 1);
		metrics_add(&session.row->bus_waits, 1);
		return wait(c, p, false, v);
	case BUS_TOO_BIG:
		return verdict_close_word(v, WS_CLOSE_TOO_BIG, REASON_MESSAGE_TOO_BIG);
	default:
		session_bus_corrupt();
	}
}

bool room_publish(struct conn *c, enum ws_opcode opcode, const void *prefix, size_t prefix_len,
		  const void *data, size_t len, bool leave_out_sender, struct verdict *v)
{
	const bool json = c->endpoint->room.data == DATA_JSON;
	uint8_t header[WS_HEADER_MAX];
	const struct publication p = {
		.room = c->admission->member.room,
		.meta = { .sender = c->id,
			  .time = session_time(),
			  .kind = BUS_KIND_MESSAGE,
			  .not_to_sender = leave_out_sender,
			  .json = json },
		.parts = { { header, ws_encode_header(header, opcode, prefix_len + len) },
			   { prefix, prefix_len },
			   { data, len } },
	};

	if (c->endpoint->room.publish != PUBLISH_MEMBERS || !jwt_publishes(c)) {
		unheard_message(c, REASON_NOT_ALLOWED);
		return true;
	}
	if (json && opcode == WS_BINARY)
		return verdict_close_word(v, WS_CLOSE_UNSUPPORTED, REASON_UNSUPPORTED_DATA);
	if (is_too_many(c, p.room))
		return over_rate(c, &p, v);
	return publish(c, &p, prefix_len + len, v);
}
