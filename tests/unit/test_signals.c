/*
 * Which signals come to the master's handler, how often, and what the others do: nothing.
 */
// links: base proto bus config net session behaviours admin process
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/signals.h"
#include "process/ticks.h"

enum { SECOND = 1000 / MASTER_TICK };

static struct event_base *base;
static unsigned came[_NSIG];

static void handle(int sig)
{
	came[sig]++;
}

static int begin(void **state)
{
	(void)state;
	for (int sig = 1; sig < _NSIG; sig++)
		came[sig] = 0;
	/* far from what an earlier test left quiet */
	for (int i = 0; i <= SECOND; i++)
		ticks_advance();
	signals_prepare();
	base = event_base_new();
	return base && signals_add(base, handle) == 0 ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	signals_remove();
	event_base_free(base);
	return 0;
}

/* Sends a signal to this process, and has the loop see to it. */
static void get(int sig)
{
	raise(sig);
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static void test_what_the_master_has_a_use_for(void **state)
{
	static const int all[] = { SIGHUP, SIGINT, SIGTERM, SIGCHLD };

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (unsigned n = 1; n <= 3; n++) {
			get(all[i]);
			assert_int_equal(came[all[i]], n);
		}
}

/* It is answered with many log entries: once a second at most, by the master's clock. */
static void test_who_asks_in_a_loop(void **state)
{
	(void)state;
	for (int n = 0; n < 10; n++)
		get(SIGUSR1);
	assert_int_equal(came[SIGUSR1], 1);
	for (int i = 1; i < SECOND; i++)
		ticks_advance();
	get(SIGUSR1);
	assert_int_equal(came[SIGUSR1], 1);
	ticks_advance();
	get(SIGUSR1);
	assert_int_equal(came[SIGUSR1], 2);
	/* what stops the daemon is not held up by that */
	get(SIGTERM);
	assert_int_equal(came[SIGTERM], 1);
}

/* They end nobody, and the handler need not know them. */
static void test_what_has_no_use(void **state)
{
	static const int others[] = { SIGUSR2, SIGQUIT, SIGALRM, SIGPIPE, SIGXFSZ };

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		get(others[i]);
	get(SIGRTMIN);
	get(SIGRTMAX);
	for (int sig = 1; sig < _NSIG; sig++)
		assert_int_equal(came[sig], 0);
}

/* A SIGHUP that comes while the master starts is not lost. */
static void test_a_reload_that_is_asked_for_early(void **state)
{
	(void)state;
	end(NULL);
	signals_prepare();
	raise(SIGHUP);
	base = event_base_new();
	assert_non_null(base);
	assert_int_equal(signals_add(base, handle), 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(came[SIGHUP], 1);
}

/* In a child, as a worker is one: exits with how many of these it noticed. */
static int worker(void)
{
	static const int all[] = { SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE };

	signals_ignore();
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		get(all[i]);
	return (int)(came[SIGHUP] + came[SIGINT] + came[SIGTERM] + came[SIGUSR1]);
}

static void test_a_worker_ignores_them(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(worker());
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_the_master_has_a_use_for),
		TEST(test_who_asks_in_a_loop),
		TEST(test_what_has_no_use),
		TEST(test_a_reload_that_is_asked_for_early),
		TEST(test_a_worker_ignores_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
