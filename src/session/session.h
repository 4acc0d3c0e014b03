/*
 * session.h - what the connections of one worker share, and its life as the
 * worker sees it.
 */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/metrics.h"
#include "base/reason.h"

struct bus;
struct chronicle;
struct config;
struct event_base;
struct meters;
struct orders;
struct net_peer;
struct tally;

/* The clock of connections: one tick is this many milliseconds. */
enum { SESSION_TICK = 100 };

/* How a worker exits that found the bus damaged. */
enum { SESSION_EXIT_BUS_CORRUPT = 70 };

/*
 * One per process. Set up by session_init; read by the whole layer; changed
 * only by the functions below.
 */
struct session {
	struct event_base *base;
	struct bus *bus;
	struct metrics *metrics; /* all rows, to count connections over all workers */
	struct metrics_row *row; /* this worker's */
	struct tally *tally; /* of connections, over all workers */
	struct meters *meters; /* of addresses that ask, the same */
	struct orders *orders; /* of each worker to each */
	int slot; /* this worker's */
	struct chronicle *chronicle; /* of all workers, too */
	struct config *config; /* the running snapshot; one reference */
	uint64_t next_conn; /* the id of the next connection */
	uint32_t now; /* ticks since session_init */
	int64_t ticked; /* when the last of them was, in milliseconds since the epoch of Unix, */
	uint32_t ticked_at; /* and by the monotonic clock, modulo 49 days */
	bool stopping; /* no new connections */
	bool cutting; /* those that there are end without an answer */
	const char *drained; /* path of the endpoint that takes no new ones, "": all; NULL: none */
	bool chores; /* something beside bytes is to be done at the end of a turn */
	size_t conns; /* all there are, in whatever state */
};

extern struct session session;

/* The monotonic clock, in milliseconds and in microseconds. */
int64_t session_clock(void);
int64_t session_clock_us(void);
/* When the loop last woke, in milliseconds since the epoch: what needs no clock is stamped so. */
int64_t session_time(void);

/* The id of the first connection of a worker that begins now: above all that its slot had before. */
uint64_t session_first_conn(int slot);

/* The worker cannot go on: the log in shared memory is damaged. */
_Noreturn void session_bus_corrupt(void);

/* What all workers have together. */
struct session_shared {
	struct bus *bus;
	struct metrics *metrics;
	struct tally *tally;
	struct meters *meters;
	struct orders *orders;
	struct chronicle *chronicle;
};

/* slot: below SLOTS_WORKERS; config: a reference is taken; max_rooms: of the bus. -1: no memory. */
int session_init(struct event_base *base, const struct session_shared *shared, int slot,
		 struct config *config, size_t max_rooms);
void session_fini(void);

/* Whether one more may be accepted, for it has a place among the openings: an acceptor_may_fn. */
bool session_may_accept(void);

/* Takes over an accepted descriptor; an acceptor_fn whose argument is a struct listener. */
bool session_accept(int fd, const struct net_peer *peer, void *listener);

/*
 * The end of a loop turn: reads the bus and delivers, goes on with those who
 * waited for space, looks at those whose time has come, frees what ended, wakes
 * other workers. Returns true if there is more to do at once, so that the loop
 * must not sleep.
 */
bool session_turn_end(void);

/* Whether turns may end within events, too (turn_end_here). At first they do not. */
void session_turns_here(bool here);

/* Once per SESSION_TICK; what is due now is done at the end of the turn. */
void session_tick(void);

/*
 * Swaps the snapshot, for all that come from here on. Open connections move to
 * their path's new settings in the next turns, and keep the old ones so long;
 * where the endpoint is gone or has another behaviour they get 1012. Then, or
 * when the next reload or the stop comes before, told is called once with how
 * many of each there were.
 */
typedef void session_reloaded_fn(unsigned moved, unsigned closed);
void session_reload(struct config *config, session_reloaded_fn *told);

/*
 * From here on nobody is let in. In the next turns what was published before is
 * delivered, for which there are so many milliseconds at most; then all
 * connections are closed with 1001, up to `over` ms from now at a pace (see
 * drain.h), and those still in the handshake get 503.
 */
void session_stop(int64_t patience, int64_t over);

/* Has all connections go with 1012, at the pace of drain_time; those that come then as well. */
void session_retire(void);
/* Those that there are stay. */
void session_stay(void);

/* What an administrator has asked for. */
struct session_drain {
	bool refuse; /* new ones get 503 up to session_undrain, and open ones 1001; else 1012 */
	int order; /* enum leaving_order */
	uint32_t most; /* so many are let go */
	int64_t over; /* ms; 0: at once */
	const char *endpoint; /* path, lent: only its connections; NULL: all */
};

/* How many went, and of these: how many only when the time was over. */
struct session_drained {
	uint32_t let_go, late;
};

/*
 * Lets connections go at a pace, in place of a drain that is under way. told is called once in a
 * later turn, unless another takes its place.
 */
typedef void session_drained_fn(const struct session_drained *d);
void session_drain(const struct session_drain *d, session_drained_fn *told);
/* New ones are let in again, and those that there are stay. */
void session_undrain(void);
/* New ones get 503: for a worker that begins so. */
void session_refuse(const char *endpoint);

/* Ends what is left without waiting. Returns how many connections that were. */
size_t session_abort(void);

#endif
