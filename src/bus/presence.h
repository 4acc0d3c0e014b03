/*
 * presence.h - who is in a room, over all workers.
 *
 * A worker lists the members that it has in a room by the ids of their connections, and by the names of
 * their users where these are known, and any process can read them, without a lock. How many there are
 * is known of every room, listed or not.
 */
#ifndef BUS_PRESENCE_H
#define BUS_PRESENCE_H

#include <stddef.h>
#include <stdint.h>

#include "bus/bus.h"

enum { BUS_USER_MAX = 128 }; /* bytes of the name of a user, a multiple of 8 */

/*
 * Worker: it has a member more in a room of which it is a reader: so many now. id: what the member is
 * listed by; 0: it is not. user: whose connection it is, text that is all printable (printable.h), of at
 * most BUS_USER_MAX bytes; of what is longer, and NULL, nobody is known. The first returns its place
 * in the list, for the second, which says that it has gone; 0: it has none, for there is no space. Both
 * may be said with the number that there is: of a member that is there, and is to be listed from now
 * on, or not any more.
 */
uint32_t bus_come(struct bus *b, struct bus_room room, uint32_t members, uint64_t id,
		  const char *user);
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
	BUS_PRESENT_MANY, /* there are more than `most`, or more members than `size` */
	BUS_PRESENT_SOME, /* not all of them have a place in the list */
	BUS_PRESENT_BUSY, /* a worker is changing it, or has died in that: look again */
};

/* Whom a list tells: a connection, or a user, who may have any number of them. */
struct bus_who {
	uint64_t
		key; /* the id of the connection; of a user a hash of the name, the same in all processes */
	const char *user; /* the name, without a NUL; NULL: it is a connection */
	uint32_t user_len;
	uint32_t gone; /* the caller's; 0 */
};

/* Who is in a room; nobody also: it is gone. */
struct bus_present {
	struct bus_who
		*who; /* the caller's, for so many members: each that is there is put there */
	char *names; /* the caller's, BUS_USER_MAX bytes for each of them: of their users */
	size_t size;
	size_t most; /* so many are told: users, and connections of nobody who is known */
	size_t count; /* how many there are then, in order, each once; 0 unless all are, */
	size_t users; /* and how many of these are users: the last */
	size_t looked,
		connections; /* members that were looked at for that, and those without a user */
	uint64_t members; /* how many there are */
};

/*
 * Reads it, in a time that grows with `size`, and with nothing that stands in shared memory: of members
 * without users not more are looked at than `most`. Those of each worker are as they were at one
 * moment. What stands in place of a name and cannot be one is none.
 */
enum bus_presence bus_present(const struct bus *b, struct bus_room room, struct bus_present *p)
	__attribute__((warn_unused_result));

/*
 * The order of two struct bus_who: connections, then users. 0: they are the same; of users that is
 * if they have the same name, whatever their hashes are.
 */
int bus_who_compare(const void *a, const void *b);

#endif
