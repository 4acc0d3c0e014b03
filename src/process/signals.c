/*
 * signals.c - see signals.h.
 *
 * `systemctl kill` sends to all processes of a service, a terminal to all of a group, and scripts
 * send what makes other daemons open their logs again. So a signal that nobody here has a use for
 * ends nobody: the master says that it came, a worker ignores it. Those that tell of a fault, and
 * those that stop a process and let it go on, are left as they are.
 */
#include "process/signals.h"

#include <event2/event.h>
#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "process/ticks.h"

/* Between two answers to the same signal, which somebody may send in a loop; milliseconds. */
enum { QUIET = 1000 };

/*
 * What the master does with a signal. HANDLED and PACED go to the handler, PACED no oftener
 * than each QUIET, for it is answered with log entries. UNUSED leaves an entry, IGNORED does not.
 */
enum use { LEFT_ALONE, HANDLED, PACED, UNUSED, IGNORED };

#define USE(sig, what) [sig] = { what, #sig }

static const struct {
	enum use use;
	const char *name;
} table[_NSIG] = {
	USE(SIGCHLD, HANDLED),
	USE(SIGHUP, HANDLED),
	USE(SIGINT, HANDLED),
	USE(SIGTERM, HANDLED),
	USE(SIGUSR1, PACED),

	USE(SIGUSR2, UNUSED),
	USE(SIGQUIT, UNUSED),
	USE(SIGALRM, UNUSED),
	USE(SIGVTALRM, UNUSED),
	USE(SIGPROF, UNUSED),
	USE(SIGIO, UNUSED),
	USE(SIGSTKFLT, UNUSED),
	USE(SIGPWR, UNUSED),

	/* the write that fails tells the same */
	USE(SIGPIPE, IGNORED),
	USE(SIGXFSZ, IGNORED),
};

static struct {
	struct event *event;
	uint64_t quiet_until; /* tick */
} signals[_NSIG];

/* Who handles them; see signals_add. */
static void (*given)(int sig);

static enum use use_of(int sig)
{
	return sig >= SIGRTMIN && sig <= SIGRTMAX ? UNUSED : table[sig].use;
}

static bool is_handled(int sig)
{
	return use_of(sig) == HANDLED || use_of(sig) == PACED;
}

static bool set(int sig, void (*handler)(int))
{
	struct sigaction sa = { .sa_handler = handler };

	return sigaction(sig, &sa, NULL) == 0;
}

static void ignore(int sig)
{
	set(sig, SIG_IGN);
}

static void do_nothing(int sig)
{
	(void)sig;
}

/* Valgrind, for one, keeps some for itself. libevent does not take a failure well. */
static bool can_be_handled(int sig)
{
	return set(sig, do_nothing);
}

static void hold_reloads(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigprocmask(how, &set, NULL);
}

void signals_prepare(void)
{
	hold_reloads(SIG_BLOCK);
	ignore(SIGUSR1);
	for (int sig = 1; sig < _NSIG; sig++)
		if (use_of(sig) == UNUSED || use_of(sig) == IGNORED)
			ignore(sig);
}

static void note_unused(int sig)
{
	const char *name = table[sig].name ? table[sig].name : strsignal(sig);

	log_warning(LOG_OF(SIGNAL_UNUSED), "signal %d (%s) is not used; see ignyxd(8)", sig, name);
}

static bool is_quiet(int sig)
{
	if (ticks_now() < signals[sig].quiet_until)
		return true;
	signals[sig].quiet_until = ticks_now() + ticks_of(QUIET);
	return false;
}

static void handle(int sig)
{
	if (use_of(sig) != HANDLED && is_quiet(sig))
		return;
	if (use_of(sig) == UNUSED)
		note_unused(sig);
	else
		given(sig);
}

static void signal_cb(evutil_socket_t sig, short what, void *arg)
{
	(void)what;
	(void)arg;
	handle(sig);
}

int signals_add(struct event_base *base, void (*handler)(int sig))
{
	given = handler;
	for (int sig = 1; sig < _NSIG; sig++) {
		if (!is_handled(sig) && (use_of(sig) != UNUSED || !can_be_handled(sig)))
			continue;
		signals[sig].event = evsignal_new(base, sig, signal_cb, NULL);
		if (!signals[sig].event || event_add(signals[sig].event, NULL) < 0)
			return -1;
	}
	hold_reloads(SIG_UNBLOCK);
	return 0;
}

void signals_remove(void)
{
	for (int sig = 1; sig < _NSIG; sig++) {
		if (signals[sig].event)
			event_free(signals[sig].event);
		signals[sig].event = NULL;
	}
}

void signals_ignore(void)
{
	struct sigaction children = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig < _NSIG; sig++)
		if (use_of(sig) != LEFT_ALONE)
			ignore(sig);
	sigaction(SIGCHLD, &children, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}
