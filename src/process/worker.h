/*
 * worker.h - one process that serves connections.
 */
#ifndef PROCESS_WORKER_H
#define PROCESS_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "config/config.h"

struct bus;
struct chronicle;
struct meters;
struct metrics;
struct orders;
struct tally;
struct tickets;

/* What the master leaves to a worker across the fork. */
struct worker_start {
	int slot;
	pid_t master;
	int control; /* this slot's end of the pair */
	int wakeup; /* eventfd of the slot */
	int asked; /* by the admin process: the slot's end of the pair */
	int sockets[CONFIG_LISTENERS_MAX]; /* by place in config->listeners */
	struct config *config;
	const char *drained; /* as session.drained */
	struct bus *bus;
	size_t max_rooms;
	struct metrics *metrics;
	struct tally *tally;
	struct meters *meters;
	struct orders *orders;
	struct chronicle *chronicle;
	const struct tickets *tickets;
	bool verbose; /* log at debug level whatever the configuration says */
};

/* Runs until it is told to end; returns the exit status. The caller has closed what is not named here. */
int worker_run(struct worker_start *start);

#endif
