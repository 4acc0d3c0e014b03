/*
 * What the admin process asks of the master, and what becomes of the answers: however much that is.
 */
// links: base proto bus config net session behaviours admin process
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "process/admin_child.h"
#include "process/control.h"
#include "process/running.h"

enum { PLANS = 10 };

static struct config config;
static struct event_base *base;
static struct control asker; /* the process's end of the pair */
static int end_of_pair;
static unsigned plans, drains;

static void note_reload(uint32_t id, bool dry_run)
{
	assert_int_equal(id, ++plans);
	assert_true(dry_run);
}

static void note_drain(uint32_t id, const struct control_ask_drain *d)
{
	(void)id;
	drains += d->on != 0;
}

static const struct admin_questions questions = { note_reload, note_drain };

/* The pair has the lowest descriptors that are free, and no process has the other end. */
static int begin(void **state)
{
	(void)state;
	running = (struct running){ .config = &config };
	plans = drains = 0;
	base = event_base_new();
	end_of_pair = fcntl(STDIN_FILENO, F_DUPFD, 0);
	close(end_of_pair++);
	if (!base || admin_child_init(base, &questions) < 0)
		return -1;
	control_init(&asker, end_of_pair, CONTROL_TO_WORKER);
	return 0;
}

static int end(void **state)
{
	(void)state;
	control_fini(&asker);
	admin_child_fini();
	event_base_free(base);
	return 0;
}

static void turn(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
}

static void ask_plan(uint32_t id)
{
	const struct control_ask_reload r = { .dry_run = 1 };

	assert_int_equal(control_send(&asker, CONTROL_ASK_RELOAD, id, &r, NULL, 0), 0);
}

static void ask_drain(void)
{
	const struct control_ask_drain d = { .on = 1 };

	assert_int_equal(control_send(&asker, CONTROL_ASK_DRAIN, 1, &d, NULL, 0), 0);
}

/* Each takes as long as a reload: between two of them whatever else there is to do is done. */
static void test_a_plan_a_turn(void **state)
{
	(void)state;
	ask_drain();
	ask_drain();
	for (uint32_t id = 1; id <= PLANS; id++)
		ask_plan(id);
	ask_drain();
	for (unsigned i = 1; i <= PLANS; i++) {
		turn();
		assert_int_equal(plans, i);
		assert_int_equal(drains, 2);
	}
	turn();
	assert_int_equal(drains, 3);
}

static void answer_many(void)
{
	for (uint32_t id = 0; id < 4 * CONTROL_QUEUE_MAX; id++)
		admin_child_answer(id, true, "{}");
}

/* Lines that are logged while fn runs. */
static int lines_of(void (*fn)(void))
{
	FILE *f = tmpfile();
	int saved = dup(STDERR_FILENO), lines = 0;

	assert_true(f && saved >= 0 && dup2(fileno(f), STDERR_FILENO) >= 0);
	fn();
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	rewind(f);
	for (int c; (c = getc(f)) != EOF;)
		lines += c == '\n';
	fclose(f);
	return lines;
}

/* It is not the process that says how much there is in the log. */
static void test_answers_that_nobody_reads(void **state)
{
	(void)state;
	assert_in_range(lines_of(answer_many), 1, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_plan_a_turn, begin, end),
		cmocka_unit_test_setup_teardown(test_answers_that_nobody_reads, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
