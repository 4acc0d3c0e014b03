/*
 * board.h - what the master tells of the daemon to whoever may read it.
 *
 * A segment that the master alone writes, and that outlives its children. Each value is whole at
 * any moment; two of them may be of two moments.
 */
#ifndef BASE_BOARD_H
#define BASE_BOARD_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/segment.h"
#include "base/slots.h"

enum board_phase { BOARD_STARTING, BOARD_READY, BOARD_STOPPING, BOARD_PHASES };
enum board_state {
	BOARD_UNUSED,
	BOARD_CHILD_STARTING,
	BOARD_CHILD_RUNNING,
	BOARD_CHILD_RETIRING,
	BOARD_CHILD_RESTARTING, /* there is none, and will be */
	BOARD_STATES
};

/* Their words, as administrators read them. Of what is none: "unknown". */
const char *board_phase_name(int phase);
const char *board_state_name(int state);

struct board_child {
	_Atomic int32_t pid; /* 0: none */
	_Atomic int32_t state; /* enum board_state */
	_Atomic uint64_t generation; /* of the configuration that it has in force */
	_Atomic uint64_t still; /* milliseconds since it last moved */
	_Atomic uint64_t deaths; /* that were not in order, since the start of the daemon */
};

enum { BOARD_TEXT_MAX = 768, BOARD_PATH_MAX = 1024 };

/* The last drain. Times are milliseconds since the epoch of Unix. */
struct board_drain {
	int64_t since; /* 0: there was none, or what it did is undone */
	int64_t until, ended; /* ended 0: it goes on */
	uint64_t let_go, late; /* late: of those that were let go, when the time was over */
	uint64_t share; /* millionths; 0: all, and no new ones */
	char endpoint[BOARD_PATH_MAX + 8]; /* path, "": all of them */
};

struct board {
	struct segment_header header;
	_Atomic int32_t master; /* pid */
	_Atomic int32_t phase; /* enum board_phase */
	_Atomic int64_t started; /* milliseconds since the epoch of Unix */
	_Atomic uint64_t generation;
	struct {
		_Atomic uint64_t edition; /* odd while the rest is being written */
		_Atomic int64_t at; /* milliseconds since the epoch of Unix; 0: there was none */
		_Atomic int32_t applied;
		_Atomic char text[BOARD_TEXT_MAX]; /* ended by a NUL */
	} reload; /* what came of the last one */
	struct {
		_Atomic uint64_t edition; /* odd while the rest is being written */
		_Atomic uint64_t words[sizeof(struct board_drain) / sizeof(uint64_t)];
	} drain; /* a struct board_drain */
	struct board_child children[SLOTS];
};

/* Makes a zeroed one, by which the caller frees it. NULL: errno is set. */
struct board *board_new(struct segment *s);

/* The master: what came of a reload, now. text is cut to what there is space for. */
void board_note_reload(struct board *b, int64_t at, bool applied, const char *text);

/* The master: how the drain is; and who wants to know. */
void board_note_drain(struct board *b, const struct board_drain *d);
void board_read_drain(const struct board *b, struct board_drain *d);

/*
 * Copies what came of the last reload. Returns when that was, 0: there was none, or what is there
 * is not whole, for the master was ended in the midst of it.
 */
int64_t board_last_reload(const struct board *b, bool *applied, char text[BOARD_TEXT_MAX]);

#endif
