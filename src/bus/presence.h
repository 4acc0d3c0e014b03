/*
 * presence.h - who is in a room, over all workers.
 *
 * A worker lists the members that it has in a room by the ids of their connections, and any process
 * can read them, without a lock. How many there are is known of every room, listed or not.
 */
#ifndef BUS_PRESENCE_H
#define BUS_PRESENCE_H

#include <stddef.h>
#include <stdint.h>

#include "bus/bus.h"

/*
 * Worker: it has a member more in a room of which it is a reader: so many now. id: what the member is
 * listed by; 0: it is not. The first returns its place in the list, for the second, which says that it
 * has gone; 0: it has none, for there is no space. Both may be said with the number that there is:
 * of a member that is there, and is to be listed from now on, or not any more.
 */
uint32_t bus_come(struct bus *b, struct bus_room room, uint32_t members, uint64_t id);
void bus_go(struct bus *b, struct bus_room room, uint32_t members, uint32_t place);

/*
 * A number that becomes another behind each change of who is in a room, or of how many are, whoever
 * makes it, and behind the death of a worker that had some. Of who then reads those who are present
 * nothing is lost. The second: of all rooms together.
 */
uint32_t bus_changes(const struct bus *b, struct bus_room room);
uint64_t bus_all_changes(const struct bus *b);

enum bus_presence {
	BUS_PRESENT_ALL, /* all of them are listed */
	BUS_PRESENT_MANY, /* there are more than `most` */
	BUS_PRESENT_SOME, /* not all of them have a place in the list */
	BUS_PRESENT_BUSY, /* a worker is changing it, or has died in that: look again */
};

/* Who is in a room; nobody also: it is gone. */
struct bus_present {
	uint64_t *ids; /* the caller's, for so many */
	size_t most;
	size_t count; /* how many are there then, in order; 0 unless all are */
	uint64_t members; /* how many there are */
};

/*
 * Reads it, in a time that grows with `most`, and with nothing that stands in shared memory. Those of
 * each worker are as they were at one moment.
 */
enum bus_presence bus_present(const struct bus *b, struct bus_room room, struct bus_present *p)
	__attribute__((warn_unused_result));

#endif
