/*
 * rooms.c - the rooms that there are.
 *
 * They are listed by their places in the directory, of which a page goes over as many as it takes
 * to fill it, and no more than PLACES: so one that was there all the time is listed once, whatever comes and goes meanwhile.
 */
#include <stdlib.h>
#include <string.h>

#include "admin/admin_internal.h"
#include "admin/paging.h"
#include "admin/placed.h"
#include "admin/request.h"
#include "admin/resources.h"
#include "admin/values.h"
#include "base/clock.h"
#include "bus/bus.h"

enum { PLACES = 4096 }; /* of the directory, that one page goes over */

/* What it keeps. Which messages went early is known of all rooms of its endpoint together. */
static json_t *json_of_kept(const struct bus_listed *l)
{
	const int64_t age = clock_wall_ms() - l->kept_since;

	return json_pack("{s:I, s:I, s:o, s:I}", "messages", (json_int_t)l->kept, "bytes",
			 (json_int_t)l->kept_bytes, "age",
			 l->kept_since ? json_real(seconds_of(age > 0 ? age : 0)) : json_null(),
			 "evicted", (json_int_t)bus_look_at_group(admin.bus, l->group).evicted);
}

static json_t *json_of_room(const struct bus_listed *l)
{
	return json_pack("{s:o, s:I, s:o, s:o*}", "room", json_of_text(l->name, l->name_len),
			 "members", (json_int_t)l->members, "position",
			 json_of_position(l->sequence), "kept", l->kept ? json_of_kept(l) : NULL);
}

static bool begins_with(const struct bus_listed *l, const char *prefix)
{
	size_t n = strlen(prefix);

	return l->name_len >= n && memcmp(l->name, prefix, n) == 0;
}

/* A page with a prefix ends where nothing was found for long, so that it takes no time. */
static void list(struct request *r)
{
	const char *prefix = request_parameter(r, "prefix");
	uint64_t places = bus_places(admin.bus), end;
	static struct bus_listed room;
	struct page page;

	if (!page_begin(r, &page))
		return;
	end = page.at < places && places - page.at > PLACES ? page.at + PLACES : places;
	for (; page.at < end && page_has_place(&page); page.at++)
		if (bus_list(admin.bus, (uint32_t)page.at, &room) &&
		    (!prefix || begins_with(&room, prefix)))
			page_add(&page, json_of_room(&room));
	page_answer(r, &page, "rooms", page.at < places);
}

static void one(struct request *r)
{
	static struct bus_listed l;
	struct bus_room room;
	enum bus_result result = bus_find(admin.bus, r->rest, strlen(r->rest), &room);

	if (result == BUS_OK && !(bus_list(admin.bus, room.index, &l) && l.room.id == room.id))
		result = BUS_GONE;
	if (placed_is_ok(r, result))
		answer_json(r, 200, json_of_room(&l));
}

void rooms_get(struct request *r)
{
	if (*r->rest)
		one(r);
	else
		list(r);
}
