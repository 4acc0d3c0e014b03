/*
 * admin_child.c - see admin_child.h.
 *
 * The sockets and the control pair outlive the process, so its next one finds who waits in the
 * queue.
 */
#include "process/admin_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bucket.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "config/config.h"
#include "process/admin_sockets.h"
#include "process/asked.h"
#include "process/backoff.h"
#include "process/child.h"
#include "process/control.h"
#include "process/noting.h"
#include "process/running.h"
#include "process/shared.h"
#include "process/slot.h"
#include "process/sockets.h"
#include "process/stall.h"
#include "process/ticks.h"
#include "session/session.h"

static struct {
	pid_t pid; /* 0: none */
	int pair[2]; /* the master's end, its own */
	struct control control;
	struct admin_sockets now, next; /* next: opened, and not decided yet */
	bool ending; /* SIGKILL was sent; it is not reaped yet */
	uint64_t restart_at; /* tick; 0: it is not to be started */
	struct stall_worker stall;
	struct backoff backoff;
	const struct admin_questions *questions;
} child;

static struct metrics_row *row(void)
{
	return &shared.metrics->rows[SLOT_ADMIN];
}

/* LONG: it took so long that what else was asked waits for the next turn. */
enum taken { TAKEN, LONG, WRONG };

/* The file is read and compared for it, even if nothing comes of that. */
static enum taken note_reload(const struct control_frame *f)
{
	const struct control_ask_reload *r = f->body;

	child.questions->reload(f->id, r->dry_run);
	return LONG;
}

static enum taken note_drain(const struct control_frame *f)
{
	child.questions->drain(f->id, f->body);
	return TAKEN;
}

static enum taken note_level(const struct control_frame *f)
{
	const struct control_log_level *l = f->body;

	if (l->level < LOG_ERR || l->level > LOG_DEBUG)
		return WRONG;
	log_set_level((int)l->level);
	slots_log_level((int)l->level);
	return TAKEN;
}

/* What it may ask. Anything else is of one that is out of its mind. */
static enum taken (*const handlers[CONTROL_TYPES])(const struct control_frame *f) = {
	[CONTROL_ASK_RELOAD] = note_reload,
	[CONTROL_ASK_DRAIN] = note_drain,
	[CONTROL_ASK_LOG_LEVEL] = note_level,
};

static void read_control(void *arg)
{
	struct control_frame f;
	enum control_verdict v = CONTROL_FRAME;
	enum taken taken = TAKEN;

	(void)arg;
	for (int i = 0; i < CONTROL_A_TURN && v == CONTROL_FRAME && taken == TAKEN; i++) {
		v = control_read(&child.control, &f);
		if (v == CONTROL_FRAME)
			taken = handlers[f.type] ? handlers[f.type](&f) : WRONG;
	}
	if (taken == WRONG)
		v = CONTROL_BAD;
	if (v == CONTROL_FRAME || v == CONTROL_MORE)
		return;
	control_listen(&child.control, false);
	if (child.pid != 0)
		admin_child_end_stuck("told the master what cannot be");
}

int admin_child_init(struct event_base *base, const struct admin_questions *questions)
{
	child.questions = questions;
	if (control_pair(child.pair) < 0)
		return -1;
	control_init(&child.control, child.pair[0], CONTROL_TO_MASTER);
	return control_watch(&child.control, base, read_control, NULL);
}

void admin_child_fini(void)
{
	admin_child_kill();
	if (child.pid != 0)
		waitpid(child.pid, NULL, 0);
	child.pid = 0;
	admin_sockets_undo(&child.next, &child.now, NULL);
	admin_sockets_close(&child.now);
	if (!child.control.readable)
		return;
	control_fini(&child.control);
	close(child.pair[0]);
	close(child.pair[1]);
}

/* --- its sockets --- */

int admin_child_open(const struct config *c, struct sockets_fault *fault)
{
	if (admin_sockets_open(&child.next, &child.now, &running.sockets, c, fault) == 0)
		return 0;
	admin_child_undo();
	return -1;
}

void admin_child_undo(void)
{
	admin_sockets_undo(&child.next, &child.now, running.config);
}

static bool is_wanted(void)
{
	return child.now.count > 0;
}

/* --- its life --- */

static _Noreturn void be_admin(pid_t master)
{
	int fds[CONFIG_ADMIN_SOCKETS_MAX];
	size_t count = admin_sockets_of(&child.now, fds);

	child_be_admin(child.pair[1], fds, count, master);
}

static void start(void)
{
	pid_t master = getpid(), pid;

	control_reset(&child.control, child.pair[1]);
	asked_forget();
	control_listen(&child.control, true);
	stall_begin(&child.stall, metrics_heartbeat(row()), ticks_now());
	child.ending = false;
	child.restart_at = 0;
	pid = child_fork();
	if (pid == 0)
		be_admin(master);
	if (pid > 0) {
		child.pid = pid;
		return;
	}
	log_err(NULL, "cannot fork the admin process: %s; trying again", strerror(errno));
	child.restart_at = ticks_now() + backoff_shortest();
}

static void hand_over(int source_fd)
{
	const struct config_admin *a = &running.config->admin;
	const struct control_admin_reload r = { running.config->generation, a->gid, a->read_gid };
	int fds[1 + CONFIG_ADMIN_SOCKETS_MAX] = { source_fd };
	size_t count = 1 + admin_sockets_of(&child.now, fds + 1);

	if (control_send(&child.control, CONTROL_ADMIN_RELOAD, 0, &r, fds, count) < 0)
		admin_child_end_stuck("cannot be handed a configuration");
}

void admin_child_commit(int source_fd)
{
	admin_sockets_commit(&child.next, &child.now);
	if (!is_wanted())
		admin_child_kill();
	else if (child.pid != 0 && !child.ending)
		hand_over(source_fd);
	else if (child.pid == 0)
		start();
}

/* A file that the other side can read and nobody can change. -1: there is no memory. */
static int file_of(const char *text)
{
	size_t len = strlen(text);
	int fd = memfd_create("answer", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && write(fd, text, len) != (ssize_t)len) {
		close(fd);
		return -1;
	}
	if (fd >= 0)
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
	return fd;
}

/* It may ask as fast as it likes, and read no answer. */
static void log_unanswered(int error)
{
	static const struct bucket_size size = { 4, 10000 };
	static struct bucket bucket;
	uint32_t now = (uint32_t)clock_steady_ms(), missed = bucket_missed(&bucket, &size, now);

	if (missed > 0)
		log_err(LOG_OF(LOG_SUPPRESSED),
			"%u more suppressed: answers that the admin process could not be given",
			missed);
	if (bucket_take(&bucket, &size, now))
		log_err(NULL, "cannot answer the admin process: %s", strerror(error));
}

/* Who is left without an answer waits for it no longer than for a master that stands still. */
void admin_child_answer(uint32_t id, bool well, const char *text)
{
	const struct control_answer a = { .well = well };
	int fd = text ? file_of(text) : -1;

	if (fd < 0 || control_send(&child.control, CONTROL_ANSWER, id, &a, &fd, 1) < 0)
		log_unanswered(errno);
	if (fd >= 0)
		close(fd);
}

/* Nobody has noticed but who was asking. */
static void log_death(pid_t pid, int status)
{
	char end[80], successor[80] = "";

	child_describe_end(status, end, sizeof(end));
	noting_admin_death(pid, end);
	if (child.pid != 0)
		snprintf(successor, sizeof(successor), "; replaced by pid %ld", (long)child.pid);
	else if (child.restart_at != 0)
		snprintf(successor, sizeof(successor), "; starting it again in %llu s",
			 ((unsigned long long)(child.restart_at - ticks_now()) * MASTER_TICK +
			  999) / 1000);
	log_err(LOG_OF(ADMIN_DIED), "the admin process (pid %ld) %s%s", (long)pid, end, successor);
}

static void replace(void)
{
	if (!is_wanted() || running.phase == PHASE_STOPPING)
		return;
	if (backoff_note(&child.backoff, ticks_now()))
		child.restart_at = ticks_now() + backoff_pause(&child.backoff, false);
	else if (shared.bus_condemned) /* behind all others, with a bus that they have */
		child.restart_at = ticks_now() + 1;
	else
		start();
}

bool admin_child_ended(pid_t pid, int status)
{
	bool wanted = is_wanted() && !shared.bus_condemned, stuck = child.ending;

	if (!admin_child_is(pid))
		return false;
	child.pid = 0;
	slot_clear(SLOT_ADMIN);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SESSION_EXIT_BUS_CORRUPT) {
		shared_condemn_bus();
		slots_kill();
	}
	if (wanted)
		metrics_add(&shared.metrics->admin_deaths[child_cause_of_end(status, stuck)], 1);
	replace();
	if (wanted)
		log_death(pid, status);
	return true;
}

void admin_child_tick(void)
{
	uint64_t limit = ticks_of(running.config->worker_timeout);

	if (child.pid == 0) {
		if (child.restart_at != 0 && ticks_now() >= child.restart_at &&
		    !shared.bus_condemned && running.phase != PHASE_STOPPING)
			start();
		return;
	}
	control_flush(&child.control);
	stall_note_beats(&child.stall, metrics_heartbeat(row()), ticks_now());
	if (stall_judge(&child.stall, false, limit, ticks_now()) == STALL_TIMEOUT)
		admin_child_end_stuck("has not moved for worker_timeout");
}

bool admin_child_is(pid_t pid)
{
	return pid != 0 && pid == child.pid;
}

void admin_child_end_stuck(const char *what)
{
	if (child.pid == 0 || child.ending)
		return;
	child.ending = true;
	log_err(LOG_OF(ADMIN_DIED), "the admin process (pid %ld) %s; ending it", (long)child.pid,
		what);
	kill(child.pid, SIGKILL);
}

void admin_child_kill(void)
{
	child.restart_at = 0;
	if (child.pid == 0)
		return;
	child.ending = true;
	kill(child.pid, SIGKILL);
}

pid_t admin_child_pid(void)
{
	return child.pid;
}
