/*
 * master.h - the process that owns everything that must outlive a worker.
 */
#ifndef PROCESS_MASTER_H
#define PROCESS_MASTER_H

#include <stdbool.h>

struct master_options {
	const char *file; /* the configuration */
	bool verbose; /* -v */
};

/* How the daemon ends; in the manual. */
enum { MASTER_OK = 0, MASTER_CONFIG_ERROR = 1, MASTER_USAGE = 2, MASTER_GAVE_UP = 3 };

/* Runs the daemon in the foreground; returns the exit status. */
int master_run(const struct master_options *options);

/* -t: checks the configuration as the daemon would read it; prints to stderr and stdout. */
int master_check_config(const struct master_options *options);

/* -r: has the running daemon reload, and says what came of it. */
int master_request_reload(const struct master_options *options);

#endif
