/*
 * slot.c - a worker's place: fork, reap, back-off, adoption.
 *
 * A worker that dies is replaced at once, five times within a minute; after that
 * its place is left alone for 1 s, doubling to 30 s. Its listening sockets stay
 * open here meanwhile, and another worker accepts on them too, as it does when a
 * worker stands still. Who is in a queue waits for a fork or for that, not for a
 * pause or a timeout.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
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
#include "process/title.h"
#include "process/worker.h"
#include "session/session.h"

/* Start-up is given up after so many deaths of one. */
enum { START_DEATHS_MAX = 3 };

/* Whether the bus is found damaged, and all workers have to be gone before there is another. */
static bool bus_corrupt;

static void note_ready(struct slot *s, const struct control_frame *f)
{
	const struct control_ready *r = f->body;

	s->generation = r->generation;
	if (s->state != SLOT_STARTING)
		return;
	s->state = SLOT_RUNNING;
	s->beat_tick = ticks_now();
	slots_readopt();
	master_check_ready();
}

static void note_reloaded(struct slot *s, const struct control_frame *f)
{
	const struct control_reloaded *r = f->body;

	if (f->id != s->asked)
		return;
	s->asked = 0;
	s->generation = r->generation;
	reload_note(r->moved, r->closed);
}

static void (*const handlers[CONTROL_TYPES])(struct slot *s, const struct control_frame *f) = {
	[CONTROL_READY] = note_ready,
	[CONTROL_RELOADED] = note_reloaded,
};

static void read_control(void *arg)
{
	struct slot *s = arg;
	struct control_frame f;
	enum control_verdict v = CONTROL_FRAME;

	for (int i = 0; i < CONTROL_A_TURN; i++) {
		v = control_read(&s->control, &f);
		if (v != CONTROL_FRAME)
			break;
		handlers[f.type](s, &f);
		reload_check();
	}
	if (v == CONTROL_FRAME || v == CONTROL_MORE)
		return;
	/* what else it wrote means nothing any more; the pair begins anew with its successor */
	control_listen(&s->control, false);
	if (slot_alive(s))
		supervise_end_stuck(s, "told the master what cannot be");
}

int slots_init(void)
{
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++) {
		struct slot *s = &master.slots[i];

		*s = (struct slot){ .index = i, .adopter = -1 };
		if (control_pair(s->pair) < 0)
			return -1;
		control_init(&s->control, s->pair[0], CONTROL_TO_MASTER);
		if (control_watch(&s->control, master.base, read_control, s) < 0)
			return -1;
	}
	return 0;
}

void slots_fini(void)
{
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++) {
		struct slot *s = &master.slots[i];

		/* as far as slots_init came */
		if (!s->control.readable)
			continue;
		control_fini(&s->control);
		close(s->pair[0]);
		close(s->pair[1]);
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
		kept[n++] = start->sockets[i];
	descriptors_keep(kept, n);
}

_Noreturn static void run_child(struct slot *s, pid_t parent)
{
	struct worker_start start = {
		.slot = s->index,
		.master = parent,
		.control = s->pair[1],
		.wakeup = master.wakeups[s->index],
		.config = master.config,
		.bus = master.bus,
		.max_rooms = master.bus_limits.max_rooms,
		.metrics = master.metrics,
		.tickets = master.tickets,
		.verbose = master.options->verbose,
	};
	char title[32];

	snprintf(title, sizeof(title), "worker %d", s->index);
	title_set(title);
	sockets_of(&master.sockets, master.config, s->index, start.sockets);
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

	control_reset(&s->control, s->pair[1]);
	control_listen(&s->control, true);
	atomic_store(&row->activity, ACTIVITY_STARTING);
	s->state = SLOT_STARTING;
	s->beat_tick = ticks_now();
	s->awaited_tick = 0;
	s->ending = false;
	s->asked = 0;
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
	s->restart_at = ticks_now() + backoff_shortest();
	return -1;
}

void slot_kill(struct slot *s, int sig)
{
	if (s->pid > 0)
		kill(s->pid, sig);
}

void slots_kill(void)
{
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		slot_kill(&master.slots[i], SIGKILL);
}

struct slot *slot_of(pid_t pid)
{
	for (int i = 0; pid > 0 && i < CONFIG_WORKERS_MAX; i++)
		if (master.slots[i].pid == pid)
			return &master.slots[i];
	return NULL;
}

static bool can_adopt(const struct slot *s)
{
	return s->state == SLOT_RUNNING && !supervise_stands_still(s);
}

/* A new worker takes over from the adopter of its place when it listens, not before. */
static bool needs_adopter(const struct slot *s)
{
	if (master.stopping || bus_corrupt || s->index >= master.config->workers)
		return false;
	return s->state == SLOT_BACKOFF || (s->state == SLOT_STARTING && s->adopter >= 0) ||
	       (master.ready && supervise_stands_still(s));
}

/* The next one in the row, so that several do not all fall to the same. */
static struct slot *find_adopter(const struct slot *s)
{
	for (int i = 1; i < CONFIG_WORKERS_MAX; i++) {
		struct slot *other = &master.slots[(s->index + i) % CONFIG_WORKERS_MAX];

		if (can_adopt(other))
			return other;
	}
	return NULL;
}

/* Has another accept on the sockets of s; but_shared: only on those that are of s alone. */
static int lend(const struct slot *s, struct slot *to, bool but_shared)
{
	const struct config *c = master.config;
	struct control_adopt a = { .slot = (uint64_t)s->index };
	int all[CONFIG_LISTENERS_MAX], fds[CONFIG_LISTENERS_MAX];
	size_t n = 0;

	sockets_of(&master.sockets, c, s->index, all);
	for (size_t i = 0; i < c->listener_count; i++) {
		if (all[i] < 0 || (but_shared && socket_is_shared(&c->listeners[i])))
			continue;
		a.listeners |= UINT64_C(1) << i;
		fds[n++] = all[i];
	}
	return control_send(&to->control, CONTROL_ADOPT, 0, &a, fds, n);
}

static void adopt(struct slot *s)
{
	struct slot *other = find_adopter(s);

	if (other && lend(s, other, false) == 0)
		s->adopter = other->index;
}

static int release(const struct slot *s, struct slot *adopter, bool give_up)
{
	const struct control_release r = { .slot = (uint32_t)s->index, .give_up = give_up };

	return control_send(&adopter->control, CONTROL_RELEASE, 0, &r, NULL, 0);
}

/* Where it cannot be said now it is tried again with the next tick. */
static void end_adoption(struct slot *s)
{
	struct slot *adopter = &master.slots[s->adopter];

	if (!slot_alive(adopter) || release(s, adopter, false) == 0)
		s->adopter = -1;
}

void slots_adopt_anew(void)
{
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++) {
		struct slot *s = &master.slots[i];
		bool adopted = s->adopter >= 0;

		s->adopter = -1;
		if (adopted && i < master.config->workers)
			adopt(s);
	}
	slots_readopt();
}

/*
 * A retiring worker accepts who waits for it, and closes: unless it stands still. And a place in
 * back-off has nobody. So another does the same, and shuts the sockets for whoever has a copy.
 */
void slots_give_up(void)
{
	for (int i = (int)master.config->workers; i < CONFIG_WORKERS_MAX; i++) {
		struct slot *s = &master.slots[i], *other = find_adopter(s);

		if (other && sockets_has(&master.sockets, i) &&
		    (lend(s, other, true) < 0 || release(s, other, true) < 0))
			log_warning(NULL,
				    "cannot have worker %d accept who waits for worker %d: %s",
				    other->index, i, strerror(errno));
	}
	sockets_close_from(&master.sockets, (int)master.config->workers);
}

void slots_readopt(void)
{
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++) {
		struct slot *s = &master.slots[i];
		bool needs = needs_adopter(s);

		if (s->adopter >= 0 && (!needs || !can_adopt(&master.slots[s->adopter])))
			end_adoption(s);
		if (needs && s->adopter < 0)
			adopt(s);
	}
}

/* A worker's end as its slot remembers it, for the one entry on it. */
struct death {
	pid_t pid;
	int status;
	uint64_t conn; /* it was working for */
	const char *doing;
	unsigned lost; /* connections */
};

static struct death note_death(const struct slot *s, int status)
{
	const struct metrics_row *row = &master.metrics->rows[s->index];

	return (struct death){ .pid = s->pid,
			       .status = status,
			       .conn = atomic_load(&row->conn),
			       .doing = activity_name(atomic_load(&row->activity)),
			       .lost = atomic_load(&row->open) };
}

/* Retired: with its last connection, maybe just before it was wanted again; or at a stop. */
static bool ended_well(int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void describe_end(int status, char *out, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(out, size, "was ended by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(out, size, "exited with status %d", WEXITSTATUS(status));
}

/* Who does its work from now on; nothing where nobody is to. */
static void describe_successor(const struct slot *s, char *out, size_t size)
{
	unsigned long long ms = (s->restart_at - ticks_now()) * MASTER_TICK;
	char accepts[48] = "";

	*out = '\0';
	if (s->state == SLOT_STARTING)
		snprintf(out, size, "; replaced by pid %ld", (long)s->pid);
	if (s->state != SLOT_BACKOFF || bus_corrupt)
		return;
	if (s->adopter >= 0)
		snprintf(accepts, sizeof(accepts), "worker %d accepts for it, ", s->adopter);
	snprintf(out, size, "; %s%sstarting it again in %llu s",
		 s->backoff.pauses > 0 ? "it keeps dying: " : "", accepts, (ms + 999) / 1000);
}

static void log_death(const struct slot *s, const struct death *d)
{
	const struct log_fields f = { .event = LOG_EVENT_WORKER_DIED, .conn = d->conn };
	char end[80], successor[120];

	if (ended_well(d->status)) {
		if (!master.stopping)
			log_always(LOG_INFO, LOG_OF(WORKER_RETIRED), "worker %d retired", s->index);
		return;
	}
	describe_end(d->status, end, sizeof(end));
	describe_successor(s, successor, sizeof(successor));
	log_err(&f, "worker %d (pid %ld) %s while %s; %u connection%s lost%s", s->index,
		(long)d->pid, end, d->doing, d->lost, d->lost == 1 ? " was" : "s were", successor);
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
	s->state = SLOT_BACKOFF;
	s->restart_at = ticks_now() + backoff_pause(&s->backoff, slots_alive() == 0);
}

static void start_again(struct slot *s)
{
	bool often = backoff_note(&s->backoff, ticks_now());

	if (!master.ready && s->backoff.count >= START_DEATHS_MAX)
		master_give_up("the workers do not come up; see above");
	else if (often)
		back_off(s);
	else
		slot_start(s);
}

static void bus_is_corrupt(void)
{
	bus_corrupt = true;
	slots_kill();
}

void slot_died(pid_t pid, int status)
{
	struct slot *s = slot_of(pid);
	struct death death;
	bool wanted;

	if (!s)
		return;
	death = note_death(s, status);
	clean_up_after(s);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SESSION_EXIT_BUS_CORRUPT)
		bus_is_corrupt();
	wanted = s->index < master.config->workers && !master.stopping;
	s->state = SLOT_UNUSED;
	s->asked = 0;
	if (wanted && bus_corrupt)
		s->state = SLOT_BACKOFF;
	else if (wanted && ended_well(status))
		slot_start(s);
	else if (wanted)
		start_again(s);
	if (!bus_corrupt)
		slots_readopt();
	log_death(s, &death);
	reload_check();
	master_check_stopped();
}

/* Those whose time has come; all at once after the bus was made anew. */
void slots_start_waiting(void)
{
	uint64_t latest = UINT64_MAX;

	if (bus_corrupt) {
		if (slots_alive() > 0)
			return;
		if (master_new_bus() < 0) {
			master_give_up("there is no memory for a new bus");
			return;
		}
		bus_corrupt = false;
		for (int i = 0; i < master.config->workers; i++)
			slot_start(&master.slots[i]);
		return;
	}
	/* Who accepted for them may have died since. */
	if (slots_alive() == 0)
		latest = ticks_now() + backoff_shortest();
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++) {
		struct slot *s = &master.slots[i];

		if (s->state != SLOT_BACKOFF)
			continue;
		if (s->restart_at > latest)
			s->restart_at = latest;
		if (ticks_now() >= s->restart_at)
			slot_start(s);
	}
}

/* One that cannot be asked does not answer, and is ended for that. */
void slot_retire_or_reload(struct slot *s, bool retire, int source_fd)
{
	const struct control_reload r = { .generation = master.config->generation,
					  .retire = retire };
	int fds[CONTROL_FDS_MAX] = { source_fd };
	size_t n = 1;

	if (retire)
		s->state = SLOT_RETIRING;
	else {
		n += sockets_of(&master.sockets, master.config, s->index, fds + 1);
		if (s->state == SLOT_RETIRING)
			s->state = SLOT_RUNNING;
	}
	s->asked = (uint32_t)r.generation;
	if (control_send(&s->control, CONTROL_RELOAD, s->asked, &r, fds, n) < 0)
		log_err(LOG_OF(WORKER_STUCK), "cannot have worker %d reload: %s", s->index,
			strerror(errno));
}

void slots_stop(int64_t grace)
{
	/* Who waits to be accepted waits for the next run, if there is to be one. */
	const struct control_stop stop = { .grace = grace, .keep_waiting = fdstore_enabled() };

	for (int i = 0; i < CONFIG_WORKERS_MAX; i++) {
		struct slot *s = &master.slots[i];

		if (!slot_alive(s))
			s->state = SLOT_UNUSED;
		else if (control_send(&s->control, CONTROL_STOP, 0, &stop, NULL, 0) < 0)
			log_err(NULL,
				"cannot have worker %d stop: %s; it is ended behind shutdown_grace",
				i, strerror(errno));
	}
}

/* For what no event tells of, such as that there are descriptors again. */
void slots_flush(void)
{
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		control_flush(&master.slots[i].control);
}
