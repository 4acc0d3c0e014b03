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
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "net/tickets.h"
#include "process/admin_process.h"
#include "process/descriptors.h"
#include "process/running.h"
#include "process/shared.h"
#include "process/title.h"
#include "process/worker.h"

enum { STANDARD = 3, CONTROL = 1, ASKED = SLOTS_WORKERS };

_Static_assert(CONFIG_ADMIN_SOCKETS_MAX <= CONFIG_LISTENERS_MAX, "there is space for all");

struct kept {
	int fds[STANDARD + LOG_DESCRIPTORS + CONTROL + ASKED + SLOTS + CONFIG_LISTENERS_MAX];
	size_t count;
};

static void keep(struct kept *k, const int *fds, size_t count)
{
	memcpy(k->fds + k->count, fds, count * sizeof(*fds));
	k->count += count;
}

/*
 * For every child: the standard ones, where the log goes, its control, and the wake-ups: its own,
 * and those by which it wakes all others, who may not be there yet. Beside these its sockets, and
 * its ends of the pairs between those who ask and who are asked.
 */
struct own {
	int control;
	const int *sockets;
	size_t socket_count;
	const int *pairs;
	size_t pair_count;
};

static void keep_own(const struct own *own)
{
	static const int standard[STANDARD] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO };
	struct kept k = { .count = 0 };

	keep(&k, standard, STANDARD);
	k.count += log_descriptors(k.fds + k.count);
	keep(&k, &own->control, CONTROL);
	keep(&k, shared.wakeups, SLOTS);
	keep(&k, own->sockets, own->socket_count);
	keep(&k, own->pairs, own->pair_count);
	descriptors_keep(k.fds, k.count);
}

static void only_read_tickets(void)
{
	if (tickets_only_read(shared.tickets) == 0)
		return;
	log_err(NULL, "cannot map the keys of session tickets: %s", strerror(errno));
	exit(EXIT_FAILURE);
}

void child_describe_end(int status, char *out, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(out, size, "was ended by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(out, size, "exited with status %d", WEXITSTATUS(status));
}

enum metrics_cause child_cause_of_end(int status, bool stuck)
{
	if (shared.bus_condemned)
		return METRICS_BUS_CORRUPT;
	if (stuck)
		return METRICS_STUCK;
	return WIFSIGNALED(status) ? METRICS_SIGNALLED : METRICS_EXITED;
}

pid_t child_fork(void)
{
	sigset_t all, old;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid != 0)
		sigprocmask(SIG_SETMASK, &old, NULL);
	else
		log_forked();
	return pid;
}

void child_be_worker(int slot, int control, pid_t master)
{
	struct worker_start start = {
		.slot = slot,
		.master = master,
		.control = control,
		.wakeup = shared.wakeups[slot],
		.asked = shared.asked[slot],
		.config = running.config,
		.drained = running.drained,
		.bus = shared.bus,
		.max_rooms = shared.limits.max_rooms,
		.metrics = shared.metrics,
		.tally = shared.tally,
		.meters = shared.meters,
		.orders = shared.orders,
		.chronicle = shared.chronicle,
		.tickets = shared.tickets,
		.verbose = running.verbose,
	};
	char title[32];

	snprintf(title, sizeof(title), "worker %d", slot);
	title_set(title);
	sockets_of(&running.sockets, running.config, slot, start.sockets);
	only_read_tickets();
	keep_own(&(struct own){ control, start.sockets, start.config->listener_count,
				&shared.asked[slot], 1 });
	exit(worker_run(&start));
}

void child_be_admin(int control, int *sockets, size_t count, pid_t master)
{
	struct admin_process_start start = {
		.master = master,
		.control = control,
		.sockets = sockets,
		.config = running.config,
		.started = running.started,
		.bus = shared.bus,
		.metrics = shared.metrics,
		.board = shared.board,
		.chronicle = shared.chronicle,
		.tickets = shared.tickets,
		.workers = shared.askers,
		.verbose = running.verbose,
	};

	title_set("admin");
	log_set_admin();
	only_read_tickets();
	keep_own(&(struct own){ control, sockets, count, shared.askers, SLOTS_WORKERS });
	exit(admin_process_run(&start));
}
