/*
 * chronicle.h - what has happened to connections and to the daemon, for those who ask later.
 *
 * Rings of entries in memory that all processes share and that outlives each of them. Who has
 * something to tell writes it over the oldest entry of a ring; nobody waits for anybody, and who
 * reads takes nothing out. Ends and refusals have a ring each, so that no scanner washes out why a
 * client was cut off.
 */
#ifndef BASE_CHRONICLE_H
#define BASE_CHRONICLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/segment.h"

struct chronicle;

enum chronicle_ring {
	CHRONICLE_ENDS, /* of open connections */
	CHRONICLE_REFUSALS,
	CHRONICLE_OPENS,
	CHRONICLE_DAEMON, /* reloads, and children that died */
	CHRONICLE_RINGS
};

/* How many entries each of them has; the manual says so. */
enum {
	CHRONICLE_ENDS_SIZE = 64 * 1024,
	CHRONICLE_REFUSALS_SIZE = 16 * 1024,
	CHRONICLE_OPENS_SIZE = 2 * 1024,
	CHRONICLE_DAEMON_SIZE = 256,
};

enum { CHRONICLE_TEXT_MAX = 96, CHRONICLE_NAME_MAX = 40 };

/* What is of no meaning for an event is zero. The texts lie one behind the other, without a NUL. */
struct chronicle_entry {
	int64_t time; /* milliseconds since the epoch of Unix */
	uint64_t
		conn; /* its id; of a worker that died: above those that it had, up to the slot's next */
	uint64_t messages_in, bytes_in, messages_out, bytes_out;
	uint32_t duration; /* milliseconds that it was open */
	uint32_t lost; /* connections, with a worker that died */
	int32_t pid; /* of who died */
	uint16_t code; /* close code or HTTP status */
	uint16_t port; /* of the peer */
	uint8_t address[16], family; /* as a struct net_peer has them */
	uint8_t event; /* enum log_event */
	uint8_t reason; /* enum reason */
	uint8_t what; /* bytes of the first text: an endpoint's path or a sentence */
	uint8_t name; /* bytes of the second: the client's, by its certificate */
	uint8_t user; /* bytes of the third: the user's name, or its beginning */
	uint8_t room; /* bytes of the fourth: the room's, or its beginning */
	bool asked; /* the first text is the path that was asked for, of which there is no endpoint */
	char text[CHRONICLE_TEXT_MAX];
};

/* Makes an empty one, by which the caller frees it; its memory is touched as it is used. NULL: errno is set. */
struct chronicle *chronicle_new(struct segment *s);

/* Puts the texts into an entry, cut where there is no space; NULL: there is none. */
void chronicle_put_texts(struct chronicle_entry *e, const char *what, const char *name);

/* Puts the name of a user behind them, and of a room behind that, as much as there is space for. */
void chronicle_put_user(struct chronicle_entry *e, const char *user);
void chronicle_put_room(struct chronicle_entry *e, const char *room);

/* Writes an entry, from any process; it may be ended at any moment of it. */
void chronicle_write(struct chronicle *c, enum chronicle_ring ring,
		     const struct chronicle_entry *e);

/* The number of the next entry of a ring. */
uint64_t chronicle_next(const struct chronicle *c, enum chronicle_ring ring);

/*
 * Numbers of the oldest entry that may be there and of the next one, both as they are at one moment:
 * between them there are no more than the ring has, whatever some process has made of them.
 */
struct chronicle_span {
	uint64_t oldest, next;
};
struct chronicle_span chronicle_span(const struct chronicle *c, enum chronicle_ring ring);

enum chronicle_found {
	CHRONICLE_WHOLE,
	CHRONICLE_TORN, /* it is being written, or its writer was ended in the midst of it */
	CHRONICLE_GONE, /* others were written over it */
};

/*
 * Copies the entry of a number below chronicle_next. What is whole has an event, a reason and
 * lengths that there are, whoever wrote it; its texts may be of any bytes.
 */
enum chronicle_found chronicle_read(const struct chronicle *c, enum chronicle_ring ring, uint64_t n,
				    struct chronicle_entry *e);

/* What is looked for: a connection, or a peer where conn is 0. */
struct chronicle_key {
	uint64_t conn;
	uint8_t address[16], family;
	uint16_t port; /* 0: any */
	bool any_address; /* the family alone counts */
};

/* Whether an entry is of it. */
bool chronicle_is_of(const struct chronicle_entry *e, const struct chronicle_key *k);

/* Whether its first text may be the beginning of a longer one. */
bool chronicle_is_cut(const struct chronicle_entry *e);

/*
 * Goes back from *n, exclusive, to the last entry before it that is of the key. False: there is none.
 * It looks at two words of each, and at no more of them than a ring has, whatever *n is: that takes
 * about a millisecond.
 */
bool chronicle_search(const struct chronicle *c, enum chronicle_ring ring,
		      const struct chronicle_key *k, uint64_t *n, struct chronicle_entry *e);

#endif
