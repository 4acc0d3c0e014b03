/*
 * kept.c - what a room keeps: to be read, and to be thrown away.
 */
#include <string.h>

#include "admin/admin_internal.h"
#include "admin/message.h"
#include "admin/numbers.h"
#include "admin/placed.h"
#include "admin/request.h"
#include "admin/resources.h"
#include "admin/values.h"
#include "base/clock.h"
#include "bus/bus.h"
#include "bus/position.h"

enum { USUAL = 100, MOST = 1000, BYTES_MOST = 1024 * 1024 };

/* What of a room's history is asked for. */
struct part {
	struct bus_room room;
	uint64_t newest, since;
	uint64_t limit;
	bool asked, known; /* for a position; and it is one of the room as it is */
};

/* False: that is answered. */
static bool read_part(struct request *r, struct part *p)
{
	const char *since = request_parameter(r, "since");
	struct bus_position position;

	p->limit = USUAL;
	p->newest = bus_sequence(admin.bus, p->room);
	p->asked = since != NULL;
	if (!number_parameter(r, "limit", 1, MOST, &p->limit))
		return false;
	if (!since)
		return true;
	if (!bus_position_parse(since, strlen(since), &position)) {
		answer_error(r, 400, "bad-parameter", "since has to be the position of a message");
		return false;
	}
	p->known = bus_position_is_of(admin.bus, p->room, p->newest, position);
	p->since = p->known ? position.sequence : 0;
	return true;
}

static json_t *json_of_messages(const struct bus_past *past)
{
	json_t *list = json_array();

	for (size_t i = past->first; i < past->most; i++) {
		const struct bus_entry *e = &past->entries[i];

		if (e->meta.kind == BUS_KIND_MESSAGE)
			json_array_append_new(list, json_of_message(e));
	}
	return list;
}

static void tell(struct request *r, const struct part *p, const struct bus_past *past, bool whole)
{
	uint64_t from =
		past->first < past->most ? past->entries[past->first].sequence - 1 : p->newest;
	json_t *body = json_pack("{s:o, s:o, s:o}", "position", json_of_position(p->newest), "from",
				 json_of_position(from), "messages", json_of_messages(past));

	if (p->asked && body)
		json_object_set_new(body, "recovered",
				    json_boolean(whole && p->known && from <= p->since));
	answer_json(r, 200, body);
}

/* The newest ones of those that there are, the oldest of these first. */
void history_get(struct request *r)
{
	static struct bus_entry entries[MOST];
	static uint8_t space[BYTES_MOST];
	struct part p = { .since = 0 };
	struct bus_past past = { .entries = entries, .space = space, .size = sizeof(space) };
	enum bus_result result;

	if (!placed_find(r, &p.room) || !read_part(r, &p))
		return;
	past.most = (size_t)p.limit;
	past.now = clock_wall_ms();
	past.after = p.since;
	result = bus_history(admin.bus, p.room, p.newest, &past);
	if (result != BUS_EMPTY && result != BUS_TOO_BIG && !placed_is_ok(r, result))
		return;
	tell(r, &p, &past, result == BUS_OK);
}

void history_delete(struct request *r)
{
	struct bus_room room;

	if (!placed_find(r, &room) || !placed_is_ok(r, bus_forget(admin.bus, room)))
		return;
	answer_json(
		r, 200,
		json_pack("{s:o}", "position", json_of_position(bus_sequence(admin.bus, room))));
}
