/*
 * turn.h - how much of a turn of the loop is left.
 *
 * No turn is longer than 5 ms, whatever one client, one room or one reload asks for. Who does work
 * that others can ask for without end charges what it costs, and stops where the turn is over;
 * what is left waits for the next one. Charging is a subtraction: the clock is read once in
 * TURN_STEP of work that was charged, so that a turn with little to do never reads it, and a
 * wrong guess of what something costs is put right by it.
 *
 * A turn has parts, one after the other. Each may use what those before it have left over, and
 * has a share that none of them can take.
 */
#ifndef SESSION_TURN_H
#define SESSION_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "session/turn_counters.h"

/* In nanoseconds, on the slowest machine that is thought of: it is only to be of the right size. */
enum turn_cost {
	TURN_STEP = 200000, /* how much is done without a look at the clock */

	TURN_CALL = 4000, /* a read or a write of a socket */
	TURN_LOOK = 200, /* at a connection: at its timers, at its settings */
	TURN_SORT = 1500, /* one into its place among many thousand, or out of it */
	TURN_MESSAGE = 100, /* a short one, decoded or put together */
	TURN_PASS = 20, /* by what is not for us */
	TURN_OPENING = 10000, /* a step of it */
	TURN_END = 10000, /* of a connection: memory, descriptor */
	TURN_COMPRESSOR = 20000, /* one that is cold begins with a message */

	/* for each KiB */
	TURN_COPY = 100,
	TURN_KEEP = 4000, /* into memory that is touched for the first time, where that is slow */
	TURN_UNMAP = 2000, /* where page operations are slow */
	TURN_SEND = 2000, /* of what is long: into the kernel's memory, the same */
	TURN_CHECK = 300, /* UTF-8 */
	TURN_JSON = 5000,
	TURN_TREE = 50000, /* JSON that a tree is made of */
	TURN_PUBLISH =
		10000, /* what others have to do about it, too; itself 1 MiB is less than a step */
	TURN_ENCRYPT = 500,
	TURN_INFLATE = 5000,
	TURN_DEFLATE = 30000,
};

enum turn_part {
	TURN_EVENTS, /* what sockets ask for */
	TURN_INPUT, /* what was read and is not dealt with */
	TURN_DELIVERY, /* from the log to members */
	TURN_BACKLOG, /* and to those that are still to get what is out of it */
	TURN_WAITING, /* messages that waited for space in the log */
	TURN_CHORES, /* timers, a reload, a stop, the end of connections */
	TURN_PARTS,
};

enum { TURN_LEAST = 240 }; /* microseconds that all parts but the first have together, or more */

/* Not to be touched but by what is here. */
extern struct turn {
	int64_t credit; /* nanoseconds of work up to the next look at the clock */
	uint32_t share; /* microseconds that the parts up to this one have together */
	int64_t began; /* microseconds of the monotonic clock; 0: it was not looked at yet */
	int64_t looked, given; /* when it was, the last time, and what credit there was then */
	int64_t time; /* of turn_time; 0: nobody has asked */
	int64_t seen; /* microseconds: libevent looked, or soon behind that; 0: it is about to */
} this_turn;

/* A turn begins, with its first part; the one before it is counted. */
void turn_begin(void);

/*
 * That turns may end within events, too, by this function, so that libevent goes on with the others that it
 * has found to be ready; NULL: they do not. here: ends one so, where so many are ready; false: it is time that
 * libevent looks again, or turns do not end here.
 */
typedef void turn_end_fn(void);
void turn_within_events(turn_end_fn *end);
bool turn_end_here(size_t ready);

/* With every tick of the session: what was counted of turns is told (metrics.def). */
void turn_tick(void);

/*
 * When this turn was, in nanoseconds of the monotonic clock: what many messages need, and is known
 * from the first of them on.
 */
int64_t turn_time(void);

/* For turn_go_on: somebody has looked at the clock, or will at once. */
void turn_go_on_long(enum turn_part part);

/* Its next part begins. */
static inline void turn_go_on(enum turn_part part)
{
	turn_counters_go_on(part);
	if (this_turn.began == 0 && this_turn.credit > 0)
		this_turn.share = TURN_LEAST;
	else
		turn_go_on_long(part);
}

/* Charges work of so many nanoseconds (at most some milliseconds of them), done or about to be. */
static inline void turn_spend(uint32_t cost)
{
	turn_counters_spend(cost);
	this_turn.credit -= cost;
}

/* What so many bytes cost, of which each KiB does so much: not more than one look puts right. */
static inline uint32_t turn_cost_of(uint64_t bytes, enum turn_cost per_kib)
{
	uint64_t cost = bytes * per_kib / 1024;

	return cost < TURN_STEP ? (uint32_t)cost : TURN_STEP;
}

static inline void turn_spend_on(uint64_t bytes, enum turn_cost per_kib)
{
	turn_counters_spend(bytes * per_kib / 1024);
	this_turn.credit -= turn_cost_of(bytes, per_kib);
}

/* So many, each of which costs that. */
static inline void turn_spend_on_each(uint64_t count, enum turn_cost each)
{
	const uint64_t cost = count * each;

	turn_counters_spend(cost);
	this_turn.credit -= cost < TURN_STEP ? (uint32_t)cost : TURN_STEP;
}

/* Looks at the clock. True: this part is over. */
bool turn_look(void);

/* Whether this part of the turn is over: what is left has to wait. */
static inline bool turn_is_over(void)
{
	return this_turn.credit <= 0 && turn_look();
}

#endif
