/*
 * attendance.h - who is in a room, as members of the format "json" are told.
 *
 * A user who has gone is told to be there for presence_grace, by each worker that has told it before.
 */
#ifndef SESSION_ATTENDANCE_H
#define SESSION_ATTENDANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/presence.h"

struct buffer;
struct config_room;

/* Zeroed: nothing is known. */
struct attendance {
	uint64_t members; /* how many there are: connections */
	bool listed; /* who they are is known and told, too */
	struct bus_who *who; /* then, in order; one piece of memory with the names behind them */
	size_t count;
	uint32_t gone; /* of who in it has gone, the tick behind that of the first; 0: nobody has */
	uint64_t mark; /* what two have in common alone if they say the same; never 0 */
	uint32_t changes; /* of the room as it was read (bus_changes) */
};

/*
 * Reads that of a room with the presence that its endpoint has, which is not "none". told: what members
 * know already: users in it who are there no more are still listed for presence_grace; NULL: they know
 * nothing. False: some of it is being changed, or there is no memory: the number is as good as it can be
 * had, and it is to be read again soon. Charges the turn.
 */
bool attendance_read(struct attendance *a, struct bus_room room, const struct config_room *settings,
		     const struct attendance *told);

/* Whether somebody who has gone is not to be listed any more. */
bool attendance_is_over(const struct attendance *a, const struct config_room *settings);

/* False: no memory, and `to` is as it was. */
bool attendance_copy(struct attendance *to, const struct attendance *from);
void attendance_free(struct attendance *a);

/*
 * Appends `,"members":N,"who":["ID","USER",...],"users":N` of a: who if it is listed, and users, how
 * many of who these are, if there are any. The second: the same of some who came or went, in order.
 * False: no memory.
 */
bool attendance_append(struct buffer *out, const struct attendance *a);
bool attendance_append_some(struct buffer *out, uint64_t members, const struct bus_who *who,
			    size_t count);

/* Finds who is in `now` and not in `before`, both listed. out: for now->count. Returns how many. */
size_t attendance_more(const struct attendance *now, const struct attendance *before,
		       struct bus_who *out);

/* Frees what it reads with. */
void attendance_fini(void);

#endif
