/*
 * registry.h - the rooms that this worker is in, and who their members are here.
 *
 * A worker is a reader of a room (bus_join) from its first member to its last. Members are added
 * and removed outside of delivery only.
 */
#ifndef SESSION_REGISTRY_H
#define SESSION_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/reason.h"
#include "bus/bus.h"
#include "session/announced.h"
#include "session/backlog.h"
#include "session/envelope.h"
#include "session/rendition.h"

struct config_endpoint;
struct conn;
struct conn_parked;

/* A connection's membership. Zeroed: in no room. */
struct room_member {
	struct room *room;
	size_t index; /* of its place there */
	bool json; /* its messages come in envelopes */
	uint32_t listed; /* its place in the list of who is there, 0: none (bus_come) */
	struct announced_to told; /* of who is there */
};

/* What delivery looks at of each member. */
struct place {
	struct conn *conn;
	struct room_member *member;
	uint64_t after; /* sequence number of the last message before it joined */
};

TAILQ_HEAD(parked_list, conn_parked);

struct room {
	char *name;
	struct room *next_by_name; /* of those that share its place in the table */
	struct bus_room bus;
	uint64_t generation; /* of the settings that it has */
	uint64_t newest_after; /* of all members */
	size_t count, size;
	size_t in_json; /* members whose messages come in envelopes, */
	struct envelope envelope; /* and what these begin with; made for the first of them */
	struct announced *announced; /* what these were told of who is there; NULL: nothing */
	struct place *places;
	struct chunk_shelf shelf; /* what its slow members wait for */
	size_t reached; /* places that have the batch which is being delivered; 0: none is */
	struct backlog backlog;
	bool behind; /* publishers have been told to wait for it */
	uint32_t rested_at; /* the look at which a batch of its backlog ended, see delivery.c */
	struct batch batch; /* of what this turn takes from the log; else empty */
	struct room *next_touched; /* by that */
	struct parked_list waiting; /* publishers, for space in the bus (park.c) */
	TAILQ_ENTRY(room) with_waiting; /* unless that is empty */
};

/* max_rooms: of the bus's directory. -1: no memory. */
int registry_init(size_t max_rooms);
void registry_fini(void);

/*
 * The room of that name at an endpoint, of which this worker is a reader from now on. NULL: *why says
 * why not.
 */
struct room *registry_enter(const struct config_endpoint *e, const char *name, enum reason *why);
/* It is of that endpoint now, by a reload, and counts among its rooms, however many there are. */
void registry_move(struct room *r, const struct config_endpoint *e);
/* The same of a member, whose endpoint it is from now on: whether it is listed, and is told. */
void registry_move_member(struct conn *c, const struct config_endpoint *e);
/* The room that an entry names. NULL: this worker is not in it. */
struct room *registry_at(struct bus_room room);
/* Whether this worker is in no room at all. */
bool registry_is_empty(void);

/* Makes c a member, from the next message on. False: no memory; an empty room is left. */
bool registry_add(struct room *r, struct conn *c, struct room_member *m);
/*
 * The same unless the room had more than `most` members then, in all workers: false also then, and
 * *full says so. Of two workers that take the last place at the same moment one, or neither, gets it.
 */
bool registry_add_within(struct room *r, struct conn *c, struct room_member *m, uint64_t most,
			 bool *full);
/* The opposite; of the last member it leaves the room. Nothing happens if m is in none. */
void registry_remove(struct room_member *m);

#endif
