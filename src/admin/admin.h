/*
 * admin.h - the HTTP interface for those who run the daemon: what it needs, its beginning and end.
 *
 * It runs in a process of its own, so that no request, however broken or slow, takes anything from
 * a client. It reads what others have put into shared memory, and asks for what only they know.
 */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include <stdbool.h>
#include <stdint.h>

struct board;
struct bus;
struct chronicle;
struct config;
struct event_base;
struct metrics;
struct tickets;

/* Who may do what on the unix socket, beside root and the daemon's own user: CONFIG_NO_GID, none. */
struct admin_groups {
	uint32_t all, read;
};

/* What is asked of the master about a drain. */
struct admin_drain {
	bool on; /* false: it is taken back, and the rest means nothing */
	uint64_t generation, endpoint; /* number in that configuration + 1, 0: all of them */
	int64_t over; /* ms, -1: as configured */
	uint32_t order; /* enum leaving_order */
	uint32_t share; /* millionths; 0: all, and no new ones */
};

struct admin_start {
	struct event_base *base;
	struct config *config; /* referenced as long as it is in force */
	const struct config *started; /* what the keys that need a restart have */
	struct admin_groups groups;
	struct bus *bus; /* of which it has the slot */
	struct metrics *metrics;
	const struct board *board;
	const struct chronicle *chronicle;
	const struct tickets *tickets;
	int tcp_files; /* descriptors from this number on are for others than who comes over TCP */
	/* Asks the master for a reload, or what it would do; the answer has that id. -1: it cannot. */
	int (*reload)(uint32_t id, bool dry_run);
	/* Asks the master for a drain; the same about the answer. */
	int (*drain)(uint32_t id, const struct admin_drain *d);
	/* Has the master, and all workers, log at that level (LOG_ERR ..). -1: it cannot. */
	int (*log_level)(int level);
	const int *workers; /* by slots: this end of the pair of each, see inquire.h */
};

/*
 * sockets: listening, as many as the configuration has and in its order (config_admin_socket); those
 * that it takes over become -1. -1: there is no memory.
 */
int admin_begin(const struct admin_start *start, int *sockets) __attribute__((warn_unused_result));

/* Another configuration is in force, with all of its sockets, of which some may be the same. */
int admin_reload(struct config *config, struct admin_groups groups, int *sockets)
	__attribute__((warn_unused_result));

/* The master has answered: fd has JSON, and stays the caller's. well: nothing was refused. */
void admin_answer(uint32_t id, bool well, int fd);

void admin_end(void);

#endif
