/*
 * child.c - see child.h.
 *
 * What a child inherits is what stands here. Of memory: a copy of the master's own, with the
 * configuration in force; of what is shared (shared.h) the bus and what is counted to write to, and
 * the keys of tickets to read. Of descriptors: those that the list of its role names, and no other,
 * so that what the master opens one day is closed without a word about it here. The master's events
 * are left as they are: to free them would reach into its epoll instance.
 */
#include "process/child.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "net/tickets.h"
#include "process/descriptors.h"
#include "process/running.h"
#include "process/shared.h"
#include "process/title.h"
#include "process/worker.h"

enum { STANDARD = 3, CONTROL = 1 };

struct kept {
	int fds[STANDARD + LOG_DESCRIPTORS + CONTROL + SLOTS + CONFIG_LISTENERS_MAX];
	size_t count;
};

static void keep(struct kept *k, const int *fds, size_t count)
{
	memcpy(k->fds + k->count, fds, count * sizeof(*fds));
	k->count += count;
}

static void standard(struct kept *k, const struct worker_start *start)
{
	const int fds[STANDARD] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO };

	(void)start;
	keep(k, fds, STANDARD);
}

static void where_the_log_goes(struct kept *k, const struct worker_start *start)
{
	(void)start;
	k->count += log_descriptors(k->fds + k->count);
}

static void control_of_its_slot(struct kept *k, const struct worker_start *start)
{
	keep(k, &start->control, CONTROL);
}

/* Its own, and those by which it wakes all others, who may not be there yet. */
static void wakeups(struct kept *k, const struct worker_start *start)
{
	(void)start;
	keep(k, shared.wakeups, SLOTS);
}

static void listeners_of_its_slot(struct kept *k, const struct worker_start *start)
{
	keep(k, start->sockets, start->config->listener_count);
}

static void (*const worker_keeps[])(struct kept *k, const struct worker_start *start) = {
	standard, where_the_log_goes, control_of_its_slot, wakeups, listeners_of_its_slot,
};

static void keep_own(const struct worker_start *start)
{
	struct kept k = { .count = 0 };

	for (size_t i = 0; i < sizeof(worker_keeps) / sizeof(*worker_keeps); i++)
		worker_keeps[i](&k, start);
	descriptors_keep(k.fds, k.count);
}

void child_be_worker(int slot, int control, pid_t master)
{
	struct worker_start start = {
		.slot = slot,
		.master = master,
		.control = control,
		.wakeup = shared.wakeups[slot],
		.config = running.config,
		.bus = shared.bus,
		.max_rooms = shared.limits.max_rooms,
		.metrics = shared.metrics,
		.tally = shared.tally,
		.tickets = shared.tickets,
		.verbose = running.verbose,
	};
	char title[32];

	snprintf(title, sizeof(title), "worker %d", slot);
	title_set(title);
	sockets_of(&running.sockets, running.config, slot, start.sockets);
	if (tickets_only_read(shared.tickets) < 0) {
		log_err(NULL, "cannot map the keys of session tickets: %s", strerror(errno));
		exit(EXIT_FAILURE);
	}
	keep_own(&start);
	exit(worker_run(&start));
}
