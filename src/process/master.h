/*
 * master.h - the process that owns everything that must outlive a worker.
 */
#ifndef PROCESS_MASTER_H
#define PROCESS_MASTER_H

#include <stdbool.h>

struct master_options {
	const char *file; /* the configuration */
	bool file_given; /* by -c: it need not be the one that the service manager's daemon has */
	bool verbose; /* -v */
	const char *explain; /* --explain-token: the path that it is for */
};

/*
 * How the program ends; in the manual. CONFIG (EX_CONFIG of sysexits.h) is for a start that
 * will fail again until somebody changes the configuration; FAILED for all that another start
 * may find otherwise, and for whatever went wrong with -t and -r.
 */
enum { MASTER_OK = 0, MASTER_FAILED = 1, MASTER_USAGE = 2, MASTER_GAVE_UP = 3, MASTER_CONFIG = 78 };

/* Runs the daemon in the foreground; returns the exit status. */
int master_run(const struct master_options *options);

#endif
