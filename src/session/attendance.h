/*
 * attendance.h - who is in a room, as members of the format "json" are told.
 */
#ifndef SESSION_ATTENDANCE_H
#define SESSION_ATTENDANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/bus.h"

struct buffer;
struct config_room;

/* Zeroed: nothing is known. */
struct attendance {
	uint64_t members; /* how many there are */
	bool listed; /* who they are is known and told, too */
	uint64_t *ids; /* then, of their connections, in order */
	size_t count;
	size_t size; /* of ids, the array */
	uint64_t mark; /* what two have in common alone if they say the same; never 0 */
	uint32_t changes; /* of the room as it was read (bus_changes) */
};

/*
 * Reads that of a room with the presence that its endpoint has, which is not "none". False: some of
 * it is being changed, or there is no memory: the number is as good as it can be had, and it is to
 * be read again soon. Charges the turn.
 */
bool attendance_read(struct attendance *a, struct bus_room room,
		     const struct config_room *settings);
void attendance_free(struct attendance *a);

/*
 * Appends `,"members":N,"who":["ID",...]` of a, the latter if it is listed; the second the same of
 * other ids, of some of these members. False: no memory.
 */
bool attendance_append(struct buffer *out, const struct attendance *a);
bool attendance_append_some(struct buffer *out, uint64_t members, const uint64_t *ids,
			    size_t count);

/* Finds who is in `now` and not in `before`, both listed. out: for now->count ids. Returns how many. */
size_t attendance_more(const struct attendance *now, const struct attendance *before,
		       uint64_t *out);

#endif
