/*
 * slot.c - see slot.h.
 *
 * A slot has a control pair, listening sockets, a wake-up descriptor and a row of metrics, all of
 * them made before the first fork: its next worker finds who waits in the queues, and counts on
 * from where the one before it was.
 */
#include "process/slot.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/tally.h"
#include "process/child.h"
#include "process/fdstore.h"
#include "process/running.h"
#include "process/shared.h"
#include "process/ticks.h"

struct slot slots[CONFIG_WORKERS_MAX];

static const struct slot_events *told;

static void note_ready(struct slot *s, const struct control_frame *f)
{
	const struct control_ready *r = f->body;

	s->generation = r->generation;
	if (s->state != SLOT_STARTING)
		return;
	s->state = SLOT_RUNNING;
	stall_moved(&s->stall, ticks_now());
	told->ready();
}

static void note_reloaded(struct slot *s, const struct control_frame *f)
{
	const struct control_reloaded *r = f->body;

	if (f->id != s->asked)
		return;
	s->asked = 0;
	s->generation = r->generation;
	told->reloaded(r->moved, r->closed);
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
	}
	if (v == CONTROL_FRAME || v == CONTROL_MORE)
		return;
	/* what else it wrote means nothing any more; the pair begins anew with its successor */
	control_listen(&s->control, false);
	if (slot_alive(s))
		slot_end_stuck(s, "told the master what cannot be");
}

int slots_init(struct event_base *base, const struct slot_events *events)
{
	told = events;
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++) {
		struct slot *s = &slots[i];

		*s = (struct slot){ .index = i };
		if (control_pair(s->pair) < 0)
			return -1;
		control_init(&s->control, s->pair[0], CONTROL_TO_MASTER);
		if (control_watch(&s->control, base, read_control, s) < 0)
			return -1;
	}
	return 0;
}

void slots_fini(void)
{
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++) {
		struct slot *s = &slots[i];

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
		n += slot_alive(&slots[i]);
	return n;
}

bool slot_is_still(const struct slot *s)
{
	return slot_alive(s) && stall_is_still(&s->stall, ticks_now());
}

struct slot *slot_of(pid_t pid)
{
	for (int i = 0; pid > 0 && i < CONFIG_WORKERS_MAX; i++)
		if (slots[i].pid == pid)
			return &slots[i];
	return NULL;
}

static void begin(struct slot *s)
{
	struct metrics_row *row = &shared.metrics->rows[s->index];

	control_reset(&s->control, s->pair[1]);
	control_listen(&s->control, true);
	atomic_store(&row->activity, ACTIVITY_STARTING);
	stall_begin(&s->stall, metrics_heartbeat(row), ticks_now());
	s->state = SLOT_STARTING;
	s->ending = false;
	s->asked = 0;
}

/* Signals are held back over the fork: the child's must not run the master's handlers. */
void slot_start(struct slot *s)
{
	pid_t master = getpid(), pid;
	sigset_t all, old;

	begin(s);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0)
		child_be_worker(s->index, s->pair[1], master);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (pid > 0) {
		s->pid = pid;
		return;
	}
	log_err(NULL, "cannot fork a worker: %s; trying again", strerror(errno));
	slot_back_off(s, ticks_now() + backoff_shortest());
}

/* They may have been waiting for the dead one. */
static void wake_others(void)
{
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		if (slot_alive(&slots[i]))
			bus_wake(shared.bus, i);
}

void slot_ended(struct slot *s)
{
	struct metrics_row *row = &shared.metrics->rows[s->index];

	bus_clear_slot(shared.bus, s->index);
	tally_clear_slot(shared.tally, s->index);
	atomic_store(&row->open, 0);
	atomic_store(&row->handshakes, 0);
	s->pid = 0;
	s->asked = 0;
	s->state = SLOT_UNUSED;
	wake_others();
}

void slot_back_off(struct slot *s, uint64_t restart_at)
{
	s->state = SLOT_BACKOFF;
	s->restart_at = restart_at;
}

void slot_unwant(struct slot *s)
{
	s->state = SLOT_UNUSED;
}

void slot_end_stuck(struct slot *s, const char *what)
{
	const struct metrics_row *row = &shared.metrics->rows[s->index];

	if (s->ending)
		return;
	s->ending = true;
	log_err((&(struct log_fields){ .event = LOG_EVENT_WORKER_STUCK,
				       .conn = atomic_load(&row->conn) }),
		"worker %d (pid %ld) %s while %s; ending it", s->index, (long)s->pid, what,
		activity_name(atomic_load(&row->activity)));
	kill(s->pid, SIGKILL);
}

void slots_kill(void)
{
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		if (slot_alive(&slots[i]))
			kill(slots[i].pid, SIGKILL);
}

/* One that cannot be asked does not answer, and is ended for that. */
void slot_reload(struct slot *s, bool retire, int source_fd)
{
	const struct control_reload r = { .generation = running.config->generation,
					  .retire = retire };
	int fds[CONTROL_FDS_MAX] = { source_fd };
	size_t n = 1;

	if (retire)
		s->state = SLOT_RETIRING;
	else {
		n += sockets_of(&running.sockets, running.config, s->index, fds + 1);
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
		struct slot *s = &slots[i];

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
		control_flush(&slots[i].control);
}
