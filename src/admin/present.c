/*
 * present.c - who is in a room.
 */
#include <string.h>

#include "admin/admin_internal.h"
#include "admin/placed.h"
#include "admin/request.h"
#include "admin/resources.h"
#include "admin/values.h"
#include "bus/presence.h"
#include "config/config.h"

static json_t *json_of_who(const struct bus_who *who, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, who[i].user ? json_of_text(who[i].user, who[i].user_len)
							: json_of_id(who[i].key));
	return list;
}

/* listed: all of them are. */
static void tell(struct request *r, const struct bus_present *p, bool listed)
{
	json_t *body = json_pack("{s:o, s:I}", "room", json_of_text(r->rest, strlen(r->rest)),
				 "members", (json_int_t)p->members);

	if (listed && body)
		json_object_set_new(body, "who", json_of_who(p->who, p->count));
	if (listed && p->users > 0 && body)
		json_object_set_new(body, "users", json_integer((json_int_t)p->users));
	answer_json(r, 200, body);
}

static void look(struct request *r, const struct config_room *settings, struct bus_room room)
{
	static struct bus_who who[CONFIG_PRESENCE_MAX];
	static char names[CONFIG_PRESENCE_MAX * BUS_USER_MAX];
	struct bus_present p = { .who = who,
				 .names = names,
				 .size = CONFIG_PRESENCE_MAX,
				 .most = (size_t)settings->presence_max };

	if (settings->presence == PRESENCE_COUNT) {
		p.members = bus_members(admin.bus, room);
		tell(r, &p, false);
		return;
	}
	switch (bus_present(admin.bus, room, &p)) {
	case BUS_PRESENT_ALL:
		tell(r, &p, true);
		return;
	case BUS_PRESENT_BUSY:
		answer_error(r, 503, "busy", "a worker is changing it; try again in a moment");
		return;
	default:
		tell(r, &p, false);
	}
}

/* A room that there is not, or not any more, is one that nobody is in. */
void presence_get(struct request *r)
{
	const struct config_endpoint *e = placed_endpoint(r);
	struct bus_room room = { 0 };
	enum bus_result result;

	if (!e)
		return;
	if (e->room.presence == PRESENCE_NONE) {
		answer_error(r, 409, "no-presence",
			     "the endpoint of this path has \"presence\" set to \"none\"");
		return;
	}
	result = bus_find(admin.bus, r->rest, strlen(r->rest), &room);
	if (result == BUS_GONE || placed_is_ok(r, result))
		look(r, &e->room, room);
}
