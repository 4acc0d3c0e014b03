/*
 * admin_process.h - the process that answers administrators.
 */
#ifndef PROCESS_ADMIN_PROCESS_H
#define PROCESS_ADMIN_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

struct board;
struct bus;
struct chronicle;
struct config;
struct metrics;
struct tickets;

/* What the master leaves to it across the fork. */
struct admin_process_start {
	pid_t master;
	int control; /* its end of the pair */
	int *sockets; /* listen; as many as the configuration has, in its order */
	struct config *config;
	const struct config *started; /* what the keys that need a restart have */
	struct bus *bus;
	struct metrics *metrics;
	const struct board *board;
	const struct chronicle *chronicle;
	const struct tickets *tickets;
	const int *workers; /* by slots: its end of the pair of each */
	bool verbose; /* log at debug level whatever the configuration says */
};

/* Runs until the master ends; returns the exit status. The caller has closed what is not named here. */
int admin_process_run(const struct admin_process_start *start);

#endif
