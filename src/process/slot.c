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
#include "base/orders.h"
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

/* Whether it answers what its worker was asked last. Once: then nothing is asked. */
static bool is_answer(const struct control_frame *f, uint32_t *asked)
{
	if (*asked == 0 || f->id != *asked)
		return false;
	*asked = 0;
	return true;
}

static void note_prepared(struct slot *s, const struct control_frame *f)
{
	const struct control_prepared *p = f->body;
	char why[CONTROL_WHY_MAX + 1] = "";

	if (!is_answer(f, &s->asked))
		return;
	if (p->able)
		s->prepared = p->generation;
	memcpy(why, p->why, CONTROL_WHY_MAX);
	told->prepared(s, p->able ? NULL : why);
}

static void note_reloaded(struct slot *s, const struct control_frame *f)
{
	const struct control_reloaded *r = f->body;

	if (!is_answer(f, &s->asked))
		return;
	s->generation = r->generation;
	told->reloaded(r->moved, r->closed);
}

static void note_drained(struct slot *s, const struct control_frame *f)
{
	const struct control_drained *d = f->body;

	if (is_answer(f, &s->draining))
		told->drained(d->let_go, d->late);
}

static void (*const handlers[CONTROL_TYPES])(struct slot *s, const struct control_frame *f) = {
	[CONTROL_READY] = note_ready,
	[CONTROL_PREPARED] = note_prepared,
	[CONTROL_RELOADED] = note_reloaded,
	[CONTROL_DRAINED] = note_drained,
};

static void read_control(void *arg)
{
	struct slot *s = arg;
	struct control_frame f;
	enum control_verdict v = CONTROL_FRAME;

	for (int i = 0; i < CONTROL_A_TURN; i++) {
		v = control_read(&s->control, &f);
		/* what is not a worker's to say cannot be either */
		if (v == CONTROL_FRAME && !handlers[f.type])
			v = CONTROL_BAD;
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
	s->asked = s->draining = 0;
	s->prepared = 0;
}

void slot_start(struct slot *s)
{
	pid_t master = getpid(), pid;

	begin(s);
	pid = child_fork();
	if (pid == 0)
		child_be_worker(s->index, s->pair[1], master);
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

void slot_clear(int slot)
{
	bus_clear_slot(shared.bus, slot);
	metrics_forget(shared.metrics, slot);
	wake_others();
}

void slot_ended(struct slot *s)
{
	tally_clear_slot(shared.tally, s->index);
	orders_clear_slot(shared.orders, s->index);
	s->pid = 0;
	s->ending = false;
	s->asked = s->draining = 0;
	s->state = SLOT_UNUSED;
	slot_clear(s->index);
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

/* So that an answer to what was asked before is not taken for another. */
static uint32_t next_id(void)
{
	static uint32_t last;

	if (++last == 0)
		last++;
	return last;
}

/* One that cannot be asked does not answer, and is ended for that. */
static void ask(struct slot *s, enum control_type type, const void *body, const int *fds, size_t n)
{
	s->asked = next_id();
	if (control_send(&s->control, type, s->asked, body, fds, n) < 0)
		log_err(LOG_OF(WORKER_STUCK), "cannot have worker %d reload: %s", s->index,
			strerror(errno));
}

void slot_prepare(struct slot *s, uint64_t generation, bool retire, int source_fd)
{
	const struct control_prepare p = { .generation = generation, .retire = retire };

	s->prepared = 0;
	ask(s, CONTROL_PREPARE, &p, &source_fd, 1);
}

void slot_commit(struct slot *s, bool retire, int source_fd)
{
	const struct control_decision d = { .generation = running.config->generation };
	int fds[CONFIG_LISTENERS_MAX];
	size_t n = 0;

	if (s->prepared != d.generation)
		slot_prepare(s, d.generation, retire, source_fd);
	if (retire)
		s->state = SLOT_RETIRING;
	else {
		n = sockets_of(&running.sockets, running.config, s->index, fds);
		if (s->state == SLOT_RETIRING)
			s->state = SLOT_RUNNING;
	}
	s->prepared = 0;
	ask(s, CONTROL_COMMIT, &d, fds, n);
}

/* Where it cannot be said it is by what is said next. */
void slot_abort(struct slot *s, uint64_t generation)
{
	const struct control_decision d = { .generation = generation };

	s->asked = 0;
	s->prepared = 0;
	if (control_send(&s->control, CONTROL_ABORT, 0, &d, NULL, 0) < 0)
		log_err(LOG_OF(WORKER_STUCK), "cannot have worker %d keep its configuration: %s",
			s->index, strerror(errno));
}

void slot_drain(struct slot *s, const struct control_drain *d)
{
	s->draining = d->on ? next_id() : 0;
	if (control_send(&s->control, CONTROL_DRAIN, s->draining, d, NULL, 0) == 0)
		return;
	s->draining = 0;
	log_err(NULL, "cannot have worker %d drain: %s", s->index, strerror(errno));
}

void slots_log_level(int level)
{
	const struct control_log_level l = { (uint64_t)level };

	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		if (slot_alive(&slots[i]) &&
		    control_send(&slots[i].control, CONTROL_LOG_LEVEL, 0, &l, NULL, 0) < 0)
			log_err(NULL, "cannot have worker %d log at another level: %s", i,
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
