/*
 * The buckets of rooms: one for each place of the directory, for all workers together.
 *
 * No lock: a token is taken by one exchange, and who dies has taken it, or has not. Memory is not
 * touched before a room has a rate, or is made in a place whose bucket was used.
 */
#include "bus/bus_internal.h"

int64_t bus_take_token(const struct bus *b, struct bus_room room, const struct rate_size *size,
		       int64_t now)
{
	return bus_room_at(b, room) ? rate_take(&b->rates[room.index], size, now) : 0;
}

void bus_give_token(const struct bus *b, struct bus_room room, const struct rate_size *size)
{
	if (bus_room_at(b, room))
		rate_give(&b->rates[room.index], size);
}
