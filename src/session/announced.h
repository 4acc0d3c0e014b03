/*
 * announced.h - what the members of a room were told of who is present, and how far.
 *
 * A room has it whose endpoint has presence, from the first member of the format "json" on that was
 * told, to the last one. Those who came later, or have asked, may have been told another state than
 * the others: they are apart up to the next event.
 */
#ifndef SESSION_ANNOUNCED_H
#define SESSION_ANNOUNCED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "session/attendance.h"
#include "session/rendition.h"

struct room;

/* Of a member that was told. Zeroed: it was not. */
struct announced_to {
	uint64_t knows; /* if it is apart: the mark of what it was told; 0: nothing */
	uint32_t event; /* number of the last one that it has, or need not have */
	bool apart;
};

/* Frames of an event, a batch of their own. Zeroed: there are none. */
enum { ANNOUNCEMENT_FRAMES = 2 };
struct announcement {
	struct batch batch;
	struct batched frames[ANNOUNCEMENT_FRAMES];
	struct renditions renditions;
};

struct announced {
	TAILQ_ENTRY(announced) entry; /* among those of all rooms */
	struct room *room;
	struct attendance told; /* to all members that are not apart and have the last event */
	bool again; /* it is to be looked at, even if nothing changes */
	bool some_apart;
	uint32_t next; /* tick: no event before it */
	uint32_t event; /* the number of the last one, from 1 on: 1 is no event */
	/* Of an event that is under way: places ahead of this one have it, and what the others get, */
	size_t reached;
	struct announcement changed, whole; /* those that are not apart, and those that are */
};

TAILQ_HEAD(announced_list, announced);

/*
 * Those of all rooms. To be read by all, and written by announced.c, but for due, which who looks at
 * them takes back.
 */
struct announced_all {
	struct announced_list list;
	size_t rooms;
	bool due; /* one is to be looked at `again` */
	struct announced *telling; /* the one of which an event is under way; NULL: none */
};
extern struct announced_all announced_all;

/* The one whose turn it is, which is then behind the others. NULL: there is none. */
struct announced *announced_next(void);

/*
 * A member was told *a (as to->knows: nothing yet, if a is NULL). sure: it is what it says, else it is
 * to be looked at soon. False: no memory.
 */
bool announced_told(struct announced **of, struct room *r, struct announced_to *to,
		    const struct attendance *a, bool sure);

/* It has another event, for those that are not told yet; none other is under way. */
void announced_begin_event(struct announced *x);
/* A member is not to be told of it now, but all that is so with another event, which there will be. */
void announced_put_off(struct announced *x, struct announced_to *to);
/* All have the event that was under way, or none was begun. */
void announced_end_event(struct announced *x);

/* Nobody is to be told any more; *of may be NULL, and is then. */
void announced_forget(struct announced **of);

#endif
