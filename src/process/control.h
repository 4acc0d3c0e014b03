/*
 * control.h - what the master and its children tell each other.
 *
 * Frames over a stream socketpair per slot, which outlives workers: a header, a body that is a
 * struct of its type, descriptors. A frame waits in a queue for the other side to read; nobody is
 * ended for that. Whoever waits for an answer has a deadline of his own.
 *
 * The other side is another process, which may be broken: what it sends is checked against the
 * table in control.c.
 */
#ifndef PROCESS_CONTROL_H
#define PROCESS_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

struct event;
struct event_base;

/* The numbers say who reads it; each direction has places for 64. */
enum control_type {
	CONTROL_TO_WORKER = 0x00,
	CONTROL_PREPARE, /* fds: the packed source of a configuration */
	CONTROL_COMMIT, /* it is in force; fds: the worker's sockets, by listener */
	CONTROL_ABORT, /* it will not be */
	CONTROL_ADOPT, /* fds: sockets of another slot, to accept for it */
	CONTROL_RELEASE,
	CONTROL_STOP,
	CONTROL_ADMIN_RELOAD, /* to the admin process; fds: the packed source, all its sockets */
	CONTROL_LOG_LEVEL, /* up to the next reload */
	CONTROL_DRAIN, /* connections are let go; or, they stay, and new ones come */
	CONTROL_ANSWER, /* to the admin process: answers ASK_RELOAD, ASK_DRAIN; fds: a file with JSON text */

	CONTROL_TO_MASTER = 0x40,
	CONTROL_READY, /* the worker accepts */
	CONTROL_ASK_LOG_LEVEL, /* by the admin process: LOG_LEVEL for all */
	CONTROL_ASK_RELOAD, /* by the admin process; answered when the outcome is there */
	CONTROL_ASK_DRAIN, /* by the admin process; answered when it is begun */
	CONTROL_DRAINED, /* answers DRAIN: it has ended */
	CONTROL_PREPARED, /* answers PREPARE: whether it can be in force */
	CONTROL_RELOADED, /* answers COMMIT: it is in force */

	CONTROL_TYPES = 0x80,
	CONTROL_DIRECTION = 0x40 /* the bit that tells one from the other */
};

struct control_prepare {
	uint64_t generation;
	uint64_t retire; /* 1: accept nothing more, end with the last connection; no sockets */
};

/* Of COMMIT and ABORT: which of those that were prepared. */
struct control_decision {
	uint64_t generation;
};

struct control_adopt {
	uint64_t slot;
	uint64_t listeners; /* a bit for each of the configuration's that has a socket */
};

struct control_release {
	uint32_t slot;
	/* 0: it accepts for itself again; 1: it is not wanted any more, who waits is accepted first */
	uint32_t give_up;
};

struct control_stop {
	int64_t grace; /* milliseconds until what is left is cut */
	uint64_t keep_waiting; /* 1: who is not accepted yet is left in the queue */
};

struct control_admin_reload {
	uint64_t generation;
	uint32_t all, read; /* groups, as struct admin_groups has them */
};

struct control_log_level {
	uint64_t level; /* LOG_ERR .. LOG_DEBUG */
};

/* Of ASK_DRAIN and DRAIN: which connections. */
struct control_which {
	uint64_t generation; /* of the configuration by which endpoint is counted */
	uint64_t endpoint; /* its number + 1; 0: all of them */
};

struct control_ask_drain {
	struct control_which which;
	uint64_t on; /* 1: a drain begins; 0: new connections come again, the rest means nothing */
	int64_t over; /* ms, -1: as configured */
	uint32_t order; /* enum leaving_order */
	uint32_t share; /* millionths, new ones come; 0: all, and no new ones */
};

struct control_drain {
	struct control_which which;
	int64_t over; /* ms */
	uint32_t on; /* as of ASK_DRAIN */
	uint32_t refuse; /* 1: no new ones */
	uint32_t order; /* enum leaving_order */
	uint32_t most; /* connections of this worker */
};

struct control_answer {
	uint64_t well; /* 1: the configuration is in force, or could be; 0: it is refused */
};

struct control_ask_reload {
	uint64_t dry_run; /* 1: what it would do, and nothing is done */
};

struct control_ready {
	uint64_t generation; /* that it has in force */
};

struct control_drained {
	uint32_t let_go, late;
};

enum { CONTROL_WHY_MAX = 200 };

struct control_prepared {
	uint64_t generation;
	uint64_t able; /* 0: no, and why says why not: ended by a NUL, whatever was sent */
	char why[CONTROL_WHY_MAX];
};

struct control_reloaded {
	uint64_t generation;
	uint32_t moved, closed; /* connections */
};

enum {
	CONTROL_FDS_MAX = 1 + CONFIG_LISTENERS_MAX,
	CONTROL_BODY_MAX = 256, /* bytes; of the largest there may be */

	/*
	 * Frames that may wait for a worker: a PREPARE, what was decided of the one before it and of
	 * itself, and a STOP, for there is one of each at a time; for each slot an ADOPT and a RELEASE,
	 * and the same again with the reload. A worker sends no more than it is sent. What an
	 * administrator asks for, DRAIN and LOG_LEVEL, may come at any time: of each the newest waits,
	 * beside one of them that is on its way in part.
	 */
	CONTROL_QUEUE_MAX = 7 + 4 * CONFIG_WORKERS_MAX,

	/* Frames that are read in a turn of the loop: who never stops sending holds up nobody. */
	CONTROL_A_TURN = 64
};

/* The first bytes of a frame. */
struct control_header {
	uint32_t type; /* enum control_type */
	uint32_t id; /* chosen by who asks, repeated by who answers; else 0 */
	uint32_t length; /* of the body, bytes */
	uint32_t fd_count;
};

/* A frame that has come, lent until the next call for the same end. */
struct control_frame {
	uint32_t type, id;
	const void *body; /* aligned for any struct; as long as the table says */
	int *fds; /* who keeps one puts -1 in its place; the others are closed */
	size_t fd_count;
};

struct control_waiting;

/* One end. */
struct control {
	int fd; /* stays the caller's */
	uint32_t reads; /* CONTROL_TO_WORKER or CONTROL_TO_MASTER */
	bool unknown_told; /* that the other side sends what is not known here */
	struct control_header head; /* of the frame that is coming, */
	size_t got; /* of its bytes, those of the header among them, */
	uint64_t body[CONTROL_BODY_MAX / sizeof(uint64_t)];
	int fds[CONTROL_FDS_MAX]; /* and what came with it */
	size_t fd_count;
	struct control_waiting *first, **last; /* to be sent */
	size_t waiting; /* number of them */
	struct control_waiting *spare; /* memory for some; of one that is watched */
	struct event *readable, *writable; /* NULL: it is not watched */
	void (*on_readable)(void *arg);
	void *arg;
};

enum control_verdict {
	CONTROL_FRAME, /* here it is */
	CONTROL_MORE, /* not now */
	CONTROL_ENDED, /* the other side is gone */
	CONTROL_BAD, /* it sent what cannot be, or half a frame: nothing more can be read */
};

/* fds[0] is the master's end. Both are non-blocking. -1: errno is set. */
int control_pair(int fds[2]);

void control_init(struct control *c, int fd, uint32_t reads);

/* In the loop from now on: readable is called with arg when there is something to read. */
int control_watch(struct control *c, struct event_base *base, void (*readable)(void *arg),
		  void *arg) __attribute__((warn_unused_result));

/* Has readable called again, or no more. */
void control_listen(struct control *c, bool on);

/*
 * Sends a frame, or keeps it until it can be sent; body is the struct of its type, fds stay the
 * caller's. A DRAIN or LOG_LEVEL that waits is taken back for the next of its type, which does not fail at
 * an end that is watched, unless the other side is gone. -1: errno is set, and nothing of it will be sent: ENOBUFS when CONTROL_QUEUE_MAX wait;
 * no memory, no descriptors; the other side is gone.
 */
int control_send(struct control *c, enum control_type type, uint32_t id, const void *body,
		 const int *fds, size_t fd_count) __attribute__((warn_unused_result));

/* Sends what waits, as far as it goes: for what nothing tells of, such as too many descriptors. */
void control_flush(struct control *c);

/*
 * Takes the next frame that is known here; passes over others, CONTROL_A_TURN at most, with one
 * line in the log.
 */
enum control_verdict control_read(struct control *c, struct control_frame *f)
	__attribute__((warn_unused_result));

/* Forgets what waits to be sent, what has come in part, and all that fd and other hold unread. */
void control_reset(struct control *c, int other);

/* Gives back what control_watch and control_send took. */
void control_fini(struct control *c);

#endif
