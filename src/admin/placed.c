/*
 * placed.c - see placed.h.
 */
#include "admin/placed.h"

#include <string.h>

#include "admin/admin_internal.h"
#include "admin/request.h"
#include "config/config.h"
#include "session/session.h"

const struct config_endpoint *placed_endpoint(struct request *r)
{
	const struct config_endpoint *e = config_route_name(admin.config, r->rest);

	if (e && e->has_room)
		return e;
	answer_error(r, 404, "no-such-room", "no endpoint with a room has this path");
	return NULL;
}

bool placed_is_ok(struct request *r, enum bus_result result)
{
	switch (result) {
	case BUS_OK:
		return true;
	case BUS_CORRUPT:
		session_bus_corrupt();
	case BUS_FULL:
		answer_error(r, 503, "busy", "the log is busy; try again in a moment");
		return false;
	default:
		answer_error(r, 404, "no-such-room",
			     "nobody is in a room of this path, nor is a message of it in the log");
		return false;
	}
}

bool placed_find(struct request *r, struct bus_room *room)
{
	return placed_endpoint(r) &&
	       placed_is_ok(r, bus_find(admin.bus, r->rest, strlen(r->rest), room));
}
