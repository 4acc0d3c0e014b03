/*
 * master_internal.h - the master as its files share it.
 *
 * master.c: start and end. slot.c: the life of a worker's place. reload.c: a new configuration in a
 * running daemon. supervise.c: what is looked at with every tick. What one of them alone needs is
 * static there.
 */
#ifndef PROCESS_MASTER_INTERNAL_H
#define PROCESS_MASTER_INTERNAL_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/metrics.h"
#include "bus/bus.h"
#include "config/config.h"
#include "net/tickets.h"
#include "process/backoff.h"
#include "process/control.h"
#include "process/master.h"
#include "process/sockets.h"
#include "process/ticks.h"

/* STARTING: forked, has not said that it listens. RETIRING: serves what it has, accepts no more. */
enum slot_state { SLOT_UNUSED, SLOT_STARTING, SLOT_RUNNING, SLOT_RETIRING, SLOT_BACKOFF };

/* A worker's place: what outlives the worker. */
struct slot {
	int index;
	enum slot_state state;
	pid_t pid; /* 0: none */
	int pair[2]; /* the master's end, the worker's */
	struct control control; /* the master's */
	uint64_t generation; /* that its worker has in force */
	uint32_t asked; /* id of the RELOAD that its worker has to answer, 0: none */
	uint64_t beats; /* its heartbeat when it last moved, */
	uint64_t beat_tick; /* and when that was */
	uint64_t awaited_tick; /* the log waits for it since then, as it stands still; 0: no */
	bool ending; /* SIGKILL was sent, once is enough; it is not reaped yet */
	uint64_t restart_at; /* BACKOFF */
	struct backoff backoff;
	int adopter; /* who accepts for it while it cannot, -1: nobody */
};

struct master {
	const struct master_options *options;
	struct event_base *base;
	struct event *tick;
	struct config *config;
	struct config *started; /* what the keys that need a restart have */
	struct metrics *metrics;
	struct bus *bus;
	struct tickets *tickets;
	struct bus_limits bus_limits;
	int wakeups[BUS_SLOTS];
	struct slot slots[CONFIG_WORKERS_MAX];
	struct sockets sockets;
	bool ready; /* was told to the service manager once */
	bool stopping;
	int exit_status;
};

extern struct master master;

/* slot.c */
int slots_init(void);
void slots_fini(void);
int slot_start(struct slot *s);
void slot_kill(struct slot *s, int sig);
void slots_kill(void);
/* NULL: it is no worker, or not any more. */
struct slot *slot_of(pid_t pid);
/* Of any reaped child; does nothing for one that is not a worker. */
void slot_died(pid_t pid, int status);
void slot_retire_or_reload(struct slot *s, bool retire, int source_fd);
void slots_stop(int64_t grace);
/* Has others accept for those who cannot, and those who can for themselves again. */
void slots_readopt(void);
/* After a reload: what was adopted is adopted with the sockets of the new configuration. */
void slots_adopt_anew(void);
/* After a reload: closes the sockets of places that are not wanted any more; nobody is lost. */
void slots_give_up(void);
/* With every tick: sends what waits. */
void slots_flush(void);
bool slot_alive(const struct slot *s);
size_t slots_alive(void);
void slots_start_waiting(void);

/* reload.c */
void reload_start(void);
/* A worker answered, came up or died: the reload may be complete. */
void reload_check(void);
bool reload_is_active(void);
/* What came of the last one, for the status; empty: there was none. */
const char *reload_outcome(void);
void reload_log_errors(const struct config_errors *e, bool refused);

/* A worker has the new configuration in force: how many connections moved to it or were closed. */
void reload_note(unsigned moved, unsigned closed);
/* With every tick: ends those who do not answer. */
void reload_tick(void);

/* supervise.c */
void supervise_tick(void);
const char *supervise_status(void);
/* Ahead of reading the first configuration: what has expired until now is told with it. */
void supervise_begin(void);
/* Whether its worker has not moved for a second. */
bool supervise_stands_still(const struct slot *s);
/* Ends a worker, what: it does or does not do, for the log. */
void supervise_end_stuck(struct slot *s, const char *what);
/* What an operator wants to see, on demand: at every log level. */
void supervise_log_state(void);

/* master.c */
int master_new_bus(void);
/* For the metrics, of the configuration in force. */
void master_note_expiry(void);
void master_check_ready(void);
void master_check_stopped(void);
/* With every tick while it stops: ends whoever is left when the time is over. */
void master_end_grace(void);
void master_give_up(const char *why);

#endif
