/*
 * slot.c - a worker's place: fork, reap, back-off, adoption.
 *
 * A worker that dies is started again at once; one that keeps dying young is
 * left alone for 1 s, doubling to 30 s. Meanwhile its listening sockets stay
 * open here, and another worker accepts on them.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "process/control.h"
#include "process/descriptors.h"
#include "process/fdstore.h"
#include "process/master_internal.h"
#include "process/worker.h"
#include "session/session.h"

/* A worker that lived this long did not die young. Start-up is given up after so many deaths. */
enum { YOUNG = 10000, BACKOFF_FIRST = 1000, BACKOFF_MAX = 30000, START_FAILURES_MAX = 3 };

static void read_control(struct slot *s)
{
	struct control_message m;
	int fds[CONTROL_FDS_MAX];
	size_t count;

	while (control_receive(s->control[0], &m, fds, &count) > 0) {
		while (count > 0)
			close(fds[--count]);
		s->generation = m.generation;
		if (m.type == CONTROL_READY && s->state == SLOT_STARTING) {
			s->state = SLOT_RUNNING;
			slots_readopt();
			master_check_ready();
		} else if (m.type == CONTROL_RELOADED) {
			master.reload.moved += m.moved;
			master.reload.closed += m.closed;
		}
		reload_check();
	}
}

static void control_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	read_control(arg);
}

int slots_init(void)
{
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++) {
		struct slot *s = &master.slots[i];

		*s = (struct slot){ .index = i, .adopter = -1 };
		if (control_pair(s->control) < 0)
			return -1;
		s->event =
			event_new(master.base, s->control[0], EV_READ | EV_PERSIST, control_cb, s);
		if (!s->event || event_add(s->event, NULL) < 0)
			return -1;
	}
	return 0;
}

void slots_fini(void)
{
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++) {
		if (master.slots[i].event)
			event_free(master.slots[i].event);
		close(master.slots[i].control[0]);
		close(master.slots[i].control[1]);
	}
}

bool slot_alive(const struct slot *s)
{
	return s->pid != 0;
}

size_t slots_alive(void)
{
	size_t n = 0;

	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		n += slot_alive(&master.slots[i]);
	return n;
}

/*
 * In the child: what it goes on with, and nothing of what else the master has open. The
 * master's events are left as they are: to free them would reach into its epoll instance.
 */
static void keep_own(const struct worker_start *start)
{
	int kept[3 + LOG_DESCRIPTORS + 1 + BUS_SLOTS + CONFIG_LISTENERS_MAX];
	size_t n = 0;

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		kept[n++] = fd;
	n += log_descriptors(kept + n);
	kept[n++] = start->control;
	for (size_t i = 0; i < BUS_SLOTS; i++)
		kept[n++] = master.wakeups[i];
	for (size_t i = 0; i < start->config->listener_count; i++)
		kept[n++] = start->listen_fds[i];
	descriptors_keep(kept, n);
}

_Noreturn static void run_child(struct slot *s, pid_t parent)
{
	struct worker_start start = {
		.slot = s->index,
		.master = parent,
		.control = s->control[1],
		.wakeup = master.wakeups[s->index],
		.config = master.config,
		.bus = master.bus,
		.max_rooms = master.bus_limits.max_rooms,
		.metrics = master.metrics,
		.tickets = master.tickets,
		.verbose = master.options->verbose,
	};

	sockets_of(&master.sockets, master.config, s->index, start.listen_fds);
	if (tickets_only_read(master.tickets) < 0) {
		log_err(NULL, "cannot map the keys of session tickets: %s", strerror(errno));
		exit(EXIT_FAILURE);
	}
	keep_own(&start);
	exit(worker_run(&start));
}

/* Signals are held back over the fork: the child's must not run the master's handlers. */
int slot_start(struct slot *s)
{
	struct metrics_row *row = &master.metrics->rows[s->index];
	pid_t parent = getpid();
	sigset_t all, old;

	control_drain(s->control[0]);
	control_drain(s->control[1]);
	atomic_store(&row->activity, ACTIVITY_STARTING);
	s->state = SLOT_STARTING;
	s->started = s->beat_tick = master.ticks;
	s->beats = metrics_heartbeat(row);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	s->pid = fork();
	if (s->pid == 0)
		run_child(s, parent);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (s->pid > 0)
		return 0;
	log_err(NULL, "cannot fork a worker: %s; trying again", strerror(errno));
	s->pid = 0;
	s->state = SLOT_BACKOFF;
	s->restart_at = master.ticks + supervise_ticks(BACKOFF_FIRST);
	return -1;
}

void slot_kill(struct slot *s, int sig)
{
	if (s->pid > 0)
		kill(s->pid, sig);
}

/* Another worker accepts for those in back-off. */
static struct slot *any_running(const struct slot *but)
{
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		if (master.slots[i].state == SLOT_RUNNING && &master.slots[i] != but)
			return &master.slots[i];
	return NULL;
}

static void adopt(struct slot *s)
{
	struct slot *other = any_running(s);
	struct control_message m = { .type = CONTROL_ADOPT, .slot = (uint32_t)s->index };
	int fds[CONFIG_LISTENERS_MAX];
	size_t n;

	if (!other || s->index >= master.config->workers)
		return;
	n = sockets_of(&master.sockets, master.config, s->index, fds);
	if (control_send(other->control[0], &m, fds, n) == 0)
		s->adopter = other->index;
}

static void end_adoption(struct slot *s)
{
	struct control_message m = { .type = CONTROL_RELEASE, .slot = (uint32_t)s->index };

	if (s->adopter < 0)
		return;
	if (slot_alive(&master.slots[s->adopter]) &&
	    control_send(master.slots[s->adopter].control[0], &m, NULL, 0) < 0)
		slot_kill(&master.slots[s->adopter], SIGKILL);
	s->adopter = -1;
}

void slots_readopt(void)
{
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++) {
		struct slot *s = &master.slots[i];

		if (s->state == SLOT_RUNNING)
			end_adoption(s);
		else if (s->state == SLOT_BACKOFF && s->adopter < 0 && !master.stopping)
			adopt(s);
	}
}

static void log_death(const struct slot *s, int status)
{
	const struct metrics_row *row = &master.metrics->rows[s->index];
	const struct log_fields f = { .event = LOG_EVENT_WORKER_DIED,
				      .conn = atomic_load(&row->conn) };
	const char *doing = activity_name(atomic_load(&row->activity));

	if (WIFSIGNALED(status))
		log_err(&f, "worker %d (pid %ld) was ended by signal %d (%s) while %s", s->index,
			(long)s->pid, WTERMSIG(status), strsignal(WTERMSIG(status)), doing);
	else if (WEXITSTATUS(status) != 0)
		log_err(&f, "worker %d (pid %ld) exited with status %d while %s", s->index,
			(long)s->pid, WEXITSTATUS(status), doing);
	else if (s->state == SLOT_RETIRING)
		log_always(LOG_INFO, LOG_OF(WORKER_RETIRED), "worker %d retired", s->index);
}

/* What the dead left in shared memory; nobody is forked for the slot yet. */
static void clean_up_after(struct slot *s)
{
	struct metrics_row *row = &master.metrics->rows[s->index];
	uint64_t one = 1;

	bus_clear_slot(master.bus, s->index);
	atomic_store(&row->open, 0);
	atomic_store(&row->handshakes, 0);
	s->pid = 0;
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++) {
		if (master.slots[i].adopter == s->index)
			master.slots[i].adopter = -1;
		/* They may have been waiting for the dead one. */
		if (slot_alive(&master.slots[i]) &&
		    write(master.wakeups[i], &one, sizeof(one)) < 0 && errno != EAGAIN)
			log_warning(NULL, "cannot wake worker %d: %s", i, strerror(errno));
	}
}

static void back_off(struct slot *s)
{
	int64_t ms = BACKOFF_FIRST;

	for (unsigned i = 2; i < s->failures && ms < BACKOFF_MAX; i++)
		ms *= 2;
	if (ms > BACKOFF_MAX)
		ms = BACKOFF_MAX;
	s->state = SLOT_BACKOFF;
	s->restart_at = master.ticks + supervise_ticks(ms);
	log_always(LOG_WARNING, LOG_OF(WORKER_DIED),
		   "worker %d keeps dying; starting it again in %lld s", s->index,
		   (long long)(ms / 1000));
}

static void start_again(struct slot *s)
{
	bool young = master.ticks - s->started < supervise_ticks(YOUNG);

	s->failures = young ? s->failures + 1 : 0;
	if (!master.ready && s->failures >= START_FAILURES_MAX) {
		master_give_up("the workers do not come up; see above");
		return;
	}
	if (s->failures > 1)
		back_off(s);
	else
		slot_start(s);
}

static struct slot *find(pid_t pid)
{
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		if (master.slots[i].pid == pid)
			return &master.slots[i];
	return NULL;
}

static void bus_is_corrupt(void)
{
	master.bus_corrupt = true;
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		slot_kill(&master.slots[i], SIGKILL);
}

void slot_died(pid_t pid, int status)
{
	struct slot *s = find(pid);
	bool wanted;

	if (!s)
		return;
	log_death(s, status);
	clean_up_after(s);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SESSION_EXIT_BUS_CORRUPT)
		bus_is_corrupt();
	wanted = s->index < master.config->workers && !master.stopping;
	s->state = SLOT_UNUSED;
	if (wanted && master.bus_corrupt)
		s->state = SLOT_BACKOFF;
	else if (wanted)
		start_again(s);
	if (!master.bus_corrupt)
		slots_readopt();
	reload_check();
	master_check_stopped();
}

/* Those whose time has come; all at once after the bus was made anew. */
void slots_start_waiting(void)
{
	if (master.bus_corrupt) {
		if (slots_alive() > 0)
			return;
		if (master_new_bus() < 0) {
			master_give_up("there is no memory for a new bus");
			return;
		}
		master.bus_corrupt = false;
		for (int i = 0; i < master.config->workers; i++)
			slot_start(&master.slots[i]);
		return;
	}
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++) {
		struct slot *s = &master.slots[i];

		if (s->state == SLOT_BACKOFF && master.ticks >= s->restart_at)
			slot_start(s);
	}
}

void slot_retire_or_reload(struct slot *s, bool retire, int source_fd)
{
	struct control_message m = { .type = CONTROL_RELOAD,
				     .generation = master.config->generation };
	int fds[CONTROL_FDS_MAX] = { source_fd };
	size_t n = 1;

	if (retire)
		s->state = SLOT_RETIRING;
	else {
		n += sockets_of(&master.sockets, master.config, s->index, fds + 1);
		if (s->state == SLOT_RETIRING)
			s->state = SLOT_RUNNING;
	}
	if (control_send(s->control[0], &m, fds, n) == 0)
		return;
	log_err(LOG_OF(WORKER_STUCK), "worker %d does not take a reload: %s; starting it anew",
		s->index, strerror(errno));
	slot_kill(s, SIGKILL);
}

void slots_stop(int64_t grace)
{
	/* Who waits to be accepted waits for the next run, if there is to be one. */
	struct control_message m = { .type = CONTROL_STOP,
				     .grace = grace,
				     .keep_waiting = fdstore_enabled() };

	for (int i = 0; i < CONFIG_WORKERS_MAX; i++) {
		struct slot *s = &master.slots[i];

		if (!slot_alive(s))
			s->state = SLOT_UNUSED;
		else if (control_send(s->control[0], &m, NULL, 0) < 0)
			slot_kill(s, SIGKILL);
	}
}
