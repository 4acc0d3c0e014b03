/*
 * bus.h - the shared-memory log that carries rooms between workers.
 *
 * One ring of bytes in a sealed memfd, made by the master and inherited by
 * every worker, in which each published message is one entry, in one order for
 * all. A worker appends under a robust mutex and reads without it; it delivers
 * to its members only from the log, its own messages too. Entries of a room are
 * numbered and linked backwards. No libevent, no sockets; wake-ups are writes
 * to eventfds that the caller made.
 */
#ifndef BUS_BUS_H
#define BUS_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/slots.h"

enum { BUS_ROOM_NAME_MAX = 1024 };

/* Lengths and check words of the ring have 32 bits. */
#define BUS_SIZE_MAX ((size_t)1 << 32)

struct bus;

struct bus_limits {
	size_t size; /* bytes of the ring, to BUS_SIZE_MAX; made a power of two >= 64 KiB */
	size_t lag; /* bytes a room's slowest reader may be behind; at most size / 4 */
	/*
	 * That the directory can hold, at most 2^24: 64 bytes each; those that are ever used a name
	 * and what they keep (64 bytes), too, and 8 bytes for each slot that was ever in one.
	 */
	uint32_t max_rooms;
	/* That each slot can list (presence.h): 17 bytes for each that ever was, 128 for its user. */
	uint32_t members;
};

enum bus_result {
	BUS_OK,
	BUS_EMPTY, /* of a read: there is nothing more yet */
	BUS_FULL, /* back-pressure: try again when woken (bus_want_space) */
	BUS_TOO_BIG, /* the entry is over a quarter of the ring, or the room's name too long */
	BUS_ROOMS_FULL, /* the directory has max_rooms rooms, and each of them readers */
	BUS_GONE, /* a room without readers was given up: open it again */
	BUS_REPEATED, /* of bus_append_once: it was published before, and this is the answer */
	BUS_CONFLICT, /* the same: its key was given before, for something else */
	BUS_KEYS_FULL, /* the same: no key that is kept is old enough to go */
	BUS_CORRUPT, /* an entry or the lock cannot be true: end the process */
};

/* A room as a process knows it; filled in by bus_join or bus_open. */
struct bus_room {
	uint64_t id; /* never used again for another room */
	uint32_t index; /* its place in the directory */
};

/* What an entry is, beside its frame; as its publisher says. */
struct bus_meta {
	uint64_t sender; /* id of the connection that published it; 0: none */
	int64_t time; /* milliseconds since the epoch of Unix */
	uint16_t kind; /* BUS_KIND_MESSAGE; who does not know another passes over it */
	bool not_to_sender;
	bool json; /* a text that is one whole JSON value, which its publisher has checked */
};

/* One entry, lent: valid until the cursor is moved past it (bus_advance). */
struct bus_entry {
	struct bus_room room;
	uint64_t sequence; /* in its room, from 1; of one that was gone, from a larger one */
	struct bus_meta meta;
	const uint8_t *frame; /* a whole unmasked WebSocket frame */
	size_t frame_len;
	uint64_t end; /* the position behind it, for bus_advance */
};

/*
 * BUS_KIND_KEPT: not new, but an older entry of its room, whatever its kind, that is in the log
 * again for the sake of history. All other numbers are for who publishes.
 */
enum { BUS_KIND_MESSAGE = 1, BUS_KIND_KEPT = UINT16_MAX };

/*
 * What a room keeps of what is said from then on: its newest entries, as many as all of these
 * allow. They stay in the log however much is written, until the daemon ends or, for the sake of
 * others, what all rooms keep is over a quarter of the ring (see bus_group).
 */
struct bus_keep {
	uint32_t messages; /* entries, of any kind; 0: none, and what was kept is not any more */
	uint32_t bytes; /* that these have in the ring, 64 to 71 beside the frame each; 0: none */
	uint32_t ttl; /* seconds that each of them is kept; 0: for ever */
	uint16_t group; /* of rooms for which bus_group counts, and which have to share */
};

/*
 * Master: makes a new, empty log with a random epoch. wakeups: one non-blocking eventfd per slot,
 * lent for the life of the bus; each write is to be taken as an edge (EPOLLET), and what is in them
 * is not read. NULL: errno is set; EINVAL for limits that cannot be, ENOTSUP for
 * a C library whose locks do not name their owner.
 */
struct bus *bus_new(const struct bus_limits *l, const int wakeups[SLOTS]);
void bus_free(struct bus *b);

/* Touches all memory ahead of use. -1: errno is set (there is not enough). Idempotent. */
int bus_populate(struct bus *b);

/* Worker: says which slot this process is. Once, after the fork. */
void bus_set_slot(struct bus *b, int slot);

/*
 * Worker: makes this worker a reader of the room (name: bytes, at most
 * BUS_ROOM_NAME_MAX), creating it if need be, and notes in *sequence the last
 * message that is not for new members. keep: what the room keeps from now on; NULL: what it did
 * before, a new one nothing; bytes are at most a quarter of lag. With the worker's first room its cursor
 * is registered at the tail; bus_leave with its last drops the cursor. One join
 * and one leave per worker and room: counting members is the caller's. Join may
 * be BUS_FULL when the lock is held for over 200 ms; a leave only clears bits.
 */
enum bus_result bus_join(struct bus *b, const char *name, size_t len, const struct bus_keep *keep,
			 struct bus_room *room, uint64_t *sequence)
	__attribute__((warn_unused_result));
void bus_leave(struct bus *b, struct bus_room room);

/*
 * Finds the room of that name, or makes it, without becoming its reader: what is appended to it
 * goes to those who are. A room that has none stays as long as it keeps something, or its last
 * entry is in the ring; then it may be gone. In a full directory it may be before: the one that was
 * quiet longest goes first (of the next thousand places or so). Results and keep as of bus_join.
 */
enum bus_result bus_open(struct bus *b, const char *name, size_t len, const struct bus_keep *keep,
			 struct bus_room *room) __attribute__((warn_unused_result));

/*
 * What a room keeps from now on, as of bus_join; of what it keeps already, no more. BUS_OK;
 * BUS_GONE: there is no such room; BUS_FULL, BUS_CORRUPT: as of bus_open.
 */
enum bus_result bus_set_keep(struct bus *b, struct bus_room room, const struct bus_keep *keep)
	__attribute__((warn_unused_result));

/* What a room keeps it keeps no more; what is said from now on, it does. Results as of bus_set_keep. */
enum bus_result bus_forget(struct bus *b, struct bus_room room) __attribute__((warn_unused_result));

/*
 * The name of a room, out of memory that all processes share. Returns its length, or -1: the room
 * is gone, or about to be.
 */
ssize_t bus_name(const struct bus *b, struct bus_room room, char out[BUS_ROOM_NAME_MAX]);

/*
 * Worker: it has more of a room, of which it is a reader, than it can pass on. What is appended to
 * that room is BUS_FULL until it says that this is over, or leaves.
 */
void bus_fall_behind(struct bus *b, struct bus_room room);
void bus_catch_up(struct bus *b, struct bus_room room);

/*
 * Worker: a room, of which it is a reader, counts for an owner (not 0) from now on, as long as it has
 * any reader, and once whoever they are. An owner has at most `most` rooms; those that count already
 * are not looked at again. BUS_OK; BUS_ROOMS_FULL: it has as many, or BUS_OWNERS others have rooms, and
 * the room counts for nobody; BUS_GONE: there is no such room; BUS_FULL, BUS_CORRUPT: as of bus_join.
 */
enum { BUS_OWNERS = 1024 };
enum bus_result bus_count_for(struct bus *b, struct bus_room room, uint64_t owner, uint32_t most)
	__attribute__((warn_unused_result));

/*
 * Takes a token of the room's bucket, which all workers share (rate_take): 0, or nanoseconds until there
 * is one. now: of the clock of all others who do. bus_give_token gives one back. A room that is gone
 * has no limit.
 */
struct rate_size;
int64_t bus_take_token(const struct bus *b, struct bus_room room, const struct rate_size *size,
		       int64_t now);
void bus_give_token(const struct bus *b, struct bus_room room, const struct rate_size *size);

/* The last sequence number given in a room (none: as of bus_beginning); 0 also: it is gone. */
uint64_t bus_sequence(const struct bus *b, struct bus_room room);

/*
 * The numbers of a room are above this one: 0, or for a room that takes the place of one that is
 * gone, a number that no such room ever came to. 0 also: it is gone.
 */
uint64_t bus_beginning(const struct bus *b, struct bus_room room);

/*
 * Appends one message to a room that was joined or opened: the parts (head: the
 * frame's header and prefix; body: the rest) together are the frame. Never
 * waits beyond a short bound (2 ms). BUS_FULL as long as one of the room's readers is more than lag
 * behind and has not read the room's last message, or has fallen behind (bus_fall_behind); as long as any cursor at all is more than
 * three quarters of the ring behind; when the lock could not be had; or when too much has to be
 * carried out of its way that rooms keep: it is then at the next try, or the one after it.
 */
struct bus_part {
	const void *p;
	size_t len;
};
enum bus_result bus_append(struct bus *b, struct bus_room room, const struct bus_meta *meta,
			   const struct bus_part *parts, int count)
	__attribute__((warn_unused_result));

/*
 * Appends several messages, to one or more rooms, all or none: nobody ever reads some of them
 * and not the others, whoever dies meanwhile. They are in the order of items, with nothing between
 * them. On BUS_OK each item has its number, and how many members its room had shortly before.
 *
 * BUS_TOO_BIG: a frame is larger than bus_append takes, or (of more than one) all of them together,
 * with 64 to 71 bytes for each, are over lag. BUS_FULL: one of the rooms is, as of bus_append; wait
 * as behind that. BUS_GONE: one of the rooms is.
 */
struct bus_item {
	struct bus_room room;
	struct bus_meta meta;
	const struct bus_part *parts;
	int count;

	uint64_t sequence; /* of the message */
	uint64_t members;

	uint64_t position; /* these are the bus's own */
	size_t frame_len;
};
enum bus_result bus_append_all(struct bus *b, struct bus_item *items, size_t count)
	__attribute__((warn_unused_result));

/*
 * The same, once for each key: who does not know whether it was published, for the one who was to
 * say so died, asks again. The key is kept for BUS_KEY_MS, with the numbers and members that the
 * items got, from the same moment on as the messages: there is not one without the other.
 *
 *	BUS_OK		published
 *	BUS_REPEATED	it was before, with this key; the items have the numbers and members of then
 *	BUS_CONFLICT	something else was, with this key
 *	BUS_KEYS_FULL	there is no place for a key: BUS_KEYS of them are kept, or BUS_KEY_ANSWERS
 *			items with them, and none is older than BUS_KEY_MS; try again later
 *	BUS_TOO_BIG	also: there are more than BUS_KEY_ITEMS items
 *
 * All other results as of bus_append_all, and with them no key is kept.
 */
enum {
	BUS_KEY_MS = 5 * 60 * 1000,
	BUS_KEYS = 1 << 16,
	BUS_KEY_ANSWERS = 1 << 18,
	BUS_KEY_ITEMS = 256,
};
struct bus_digest {
	uint64_t half[2];
};
struct bus_once {
	struct bus_digest key; /* of the key, and of who gives it */
	struct bus_digest request; /* of all that is to be published */
	int64_t now; /* milliseconds, by a clock that all processes share and that never goes back */
};
enum bus_result bus_append_once(struct bus *b, struct bus_item *items, size_t count,
				const struct bus_once *once) __attribute__((warn_unused_result));

/*
 * The digest of several parts, of which it matters where one ends. Nobody outside of the daemon
 * can find two that have the same.
 */
struct bus_digest bus_digest_of(const struct bus *b, const struct bus_part *parts, int count);

/*
 * Reads the entry at position (start with bus_cursor) without moving the
 * cursor. BUS_OK: *e is filled, go on at e->end. BUS_EMPTY: nothing more yet.
 * All entries come by, those of rooms this worker is not in too: compare the
 * room's id. Without a room, bus_cursor is the tail.
 */
uint64_t bus_cursor(const struct bus *b);
enum bus_result bus_read(const struct bus *b, uint64_t position, struct bus_entry *e)
	__attribute__((warn_unused_result));

/*
 * Copies the last entries of a room, those of every kind, back from the one numbered newest (all
 * there are: UINT64_MAX) and without the lock. Each entry above newest costs one step. Whole
 * entries alone are copied, and none is left out between two:
 *
 *	BUS_OK		as many as were asked for, or all above `after`
 *	BUS_EMPTY	some above `after` are gone, or not kept any more, that were before them
 *	BUS_TOO_BIG	there is no more space for the next
 *	BUS_GONE	there is no such room, and no entry
 *
 * With BUS_CORRUPT the entries are worth nothing.
 */
struct bus_past {
	struct bus_entry
		*entries; /* the caller's array of this many; on return the last of it ... */
	size_t most;
	size_t first; /* ... from here on are filled, the oldest first */
	uint8_t *space; /* the caller's, for frames; on return they are its last bytes, in order */
	size_t size;
	size_t used; /* bytes of it */
	uint64_t after; /* no entry with this number, nor one below it; 0: from the room's first */
	/*
	 * Wall time in milliseconds: of what the room keeps (struct bus_keep), and of nothing
	 * else. 0: of all that is still in the log, whether it is kept or not.
	 */
	int64_t now;
};
enum bus_result bus_history(const struct bus *b, struct bus_room room, uint64_t newest,
			    struct bus_past *past) __attribute__((warn_unused_result));

/*
 * Worker, once a tick: one of all that call it, the one in the lowest slot or the next after it was
 * silent for a second, carries what rooms keep ahead of being overwritten, and lets go what was kept
 * for its time; a bounded step. now: wall time; clock: one that all processes share and that never
 * goes back; both in milliseconds. BUS_OK, also: it is another's to do; BUS_FULL: not now;
 * BUS_CORRUPT. Nothing depends on it but how long an append takes, and bus_look's figures.
 */
enum bus_result bus_carry(struct bus *b, int64_t now, int64_t clock)
	__attribute__((warn_unused_result));

/*
 * Gives up everything before position; wakes others who wait for that. Nothing happens when the
 * cursor is gone or already further on.
 */
void bus_advance(struct bus *b, uint64_t position);

/*
 * Once per loop turn, outside the lock: wakes the other workers with members in
 * rooms that this one wrote to since the last call, and those that hold it up.
 * Also after a turn in which every append was BUS_FULL.
 */
void bus_wake_readers(struct bus *b);

/*
 * Before sleeping: announces it. Returns true if there is something to read
 * after all, in which case the caller must not sleep. bus_awake ends it.
 */
bool bus_sleep(struct bus *b);
void bus_awake(struct bus *b);

/* Whether there is something to read. */
bool bus_has_news(const struct bus *b);

/*
 * Behind bus_wake_readers in each turn that had a BUS_FULL, and in the one after these: all appends
 * that were BUS_FULL since the last call, or since bus_want_nothing, wait for space, and no others
 * do any more. Returns true if there may be some already: try again at once. Otherwise one
 * write comes to this worker's own eventfd when whoever holds up one of them most has gone on. Try
 * then again for each room. A write may also come for nothing, or be lost with a worker that dies:
 * the master then writes to all.
 */
bool bus_want_space(struct bus *b);

/* All that was BUS_FULL is forgotten, for it is about to be tried again. */
void bus_want_nothing(struct bus *b);

/* Master: atomic stores only, never the lock. The slot's worker is reaped and none is forked. */
void bus_clear_slot(struct bus *b, int slot);

/*
 * Master: the process that holds the lock (0: none), whatever instruction it stands at, and how
 * often the lock was taken, for supervision.
 */
pid_t bus_lock_owner(const struct bus *b, uint64_t *acquisitions);

/* Any process: ends the sleep of the worker in that slot, or the next one. */
void bus_wake(const struct bus *b, int slot);

/* Master: a bit for each slot that somebody waits for (bus_want_space) who wants space in the log. */
uint64_t bus_awaited(const struct bus *b);

/* Random, never 0; a position is epoch and sequence. */
uint64_t bus_epoch(const struct bus *b);

/*
 * What any process sees of the bus without the lock; all of it was true a moment ago.
 */

/* How many members the room has, in all workers; 0 also: it is gone. */
uint64_t bus_members(const struct bus *b, struct bus_room room);

/* A room that is in use: it has readers, it keeps something, or its last entry is in the log. */
struct bus_listed {
	struct bus_room room;
	uint64_t sequence; /* as of bus_sequence */
	uint64_t members; /* as of bus_members */
	uint64_t kept; /* messages, and */
	uint64_t kept_bytes; /* how much of the log they take */
	int64_t kept_since; /* bus_meta's time of the oldest of them; 0: it is not known */
	uint16_t group; /* for which they count */
	size_t name_len;
	char name[BUS_ROOM_NAME_MAX];
};

/*
 * The directory has places 0 to bus_places - 1; more with time, and never fewer. bus_list looks at
 * one of them, in constant time, and returns false if no room is in use there. A room stays in its
 * place: who looks at all of them sees each one that was there all the time, and sees it once.
 */
uint32_t bus_places(const struct bus *b);
bool bus_list(const struct bus *b, uint32_t place, struct bus_listed *r);

/*
 * Finds a room that is in use by its name, with the lock, and makes none. BUS_GONE: there is none.
 * BUS_FULL, BUS_CORRUPT: as of bus_open.
 */
enum bus_result bus_find(struct bus *b, const char *name, size_t len, struct bus_room *room)
	__attribute__((warn_unused_result));

struct bus_figures {
	size_t size, lag; /* bytes; as of struct bus_limits, with the size as it was made */
	uint64_t used; /* bytes that some reader has still to read */
	uint64_t behind[SLOTS]; /* the same of each slot's reader; 0 also: it is none */
	uint64_t kept; /* bytes of what all rooms keep */
	int64_t oldest; /* bus_meta's time of what is still in the log, see below; 0: nothing is */
	uint32_t rooms, max_rooms; /* in use, and possible */
};

/*
 * Fills in all of it. The oldest message is told by one that is at most a 64th of the log, and one
 * batch (bus_append_all), behind it. Goes over all places of the directory, 64 bytes each, to count rooms.
 */
void bus_look(const struct bus *b, struct bus_figures *f);

/*
 * What the rooms of a group keep. When all rooms keep over a quarter of the ring and it is needed,
 * the group that keeps most loses its oldest: they are evicted. So are those of a room that gives
 * way in a full directory.
 */
struct bus_group {
	uint64_t kept; /* bytes */
	uint64_t evicted; /* entries, ever */
};
struct bus_group bus_look_at_group(const struct bus *b, uint16_t group);

/* What this process has evicted since it was last asked: how many, and of which group the last was. */
struct bus_evicted {
	uint64_t entries;
	uint16_t group;
};
struct bus_evicted bus_take_evicted(struct bus *b);

#endif
