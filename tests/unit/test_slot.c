/*
 * A worker's slot: what its worker tells, what it is told, and what is left when it has ended.
 */
// links: base proto bus config net session behaviours admin process
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/metrics.h"
#include "config/config.h"
#include "failing.h"
#include "process/running.h"
#include "process/shared.h"
#include "process/slot.h"

enum { GENERATION = 7 };

static struct event_base *base;
static struct config config;
static struct control worker; /* slot 0's end of the pair */
static pid_t child; /* in slot 0 */
static unsigned ready, prepared, moved, closed, let_go, late;
static char unable[256]; /* to prepare, for this reason */

static void note_ready(void)
{
	ready++;
}

static void note_reloaded(unsigned m, unsigned c)
{
	moved += m;
	closed += c;
}

static void note_prepared(const struct slot *s, const char *why)
{
	assert_ptr_equal(s, &slots[0]);
	prepared++;
	snprintf(unable, sizeof(unable), "%s", why ? why : "");
}

static void note_drained(unsigned l, unsigned n)
{
	let_go += l;
	late += n;
}

static const struct slot_events events = { note_ready, note_prepared, note_reloaded, note_drained };

/* Slot 0 has a process, which does nothing, and others have none. */
static int begin(void **state)
{
	(void)state;
	config = (struct config){
		.generation = GENERATION, .bus_size = 1 << 18, .bus_lag = 1 << 14, .max_rooms = 8
	};
	running = (struct running){ .config = &config };
	ready = prepared = moved = closed = let_go = late = 0;
	base = event_base_new();
	if (!base || shared_make(&config) < 0 || slots_init(base, &events) < 0)
		return -1;
	control_init(&worker, slots[0].pair[1], CONTROL_TO_WORKER);
	slots[0].state = SLOT_STARTING;
	child = fork();
	if (child == 0) {
		/* should this process not come to its end */
		alarm(60);
		for (;;)
			pause();
	}
	slots[0].pid = child;
	return child > 0 ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	control_fini(&worker);
	slots_fini();
	event_base_free(base);
	shared_free();
	for (int i = 0; i < SLOTS; i++)
		close(shared.wakeups[i]);
	return 0;
}

static void turn(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static void tell_ready(uint64_t generation)
{
	const struct control_ready r = { generation };

	assert_int_equal(control_send(&worker, CONTROL_READY, 0, &r, NULL, 0), 0);
	turn();
}

static void tell_reloaded(uint32_t id)
{
	const struct control_reloaded r = { .generation = GENERATION, .moved = 5, .closed = 3 };

	assert_int_equal(control_send(&worker, CONTROL_RELOADED, id, &r, NULL, 0), 0);
	turn();
}

static void tell_drained(uint32_t id)
{
	const struct control_drained d = { .let_go = 5, .late = 3 };

	assert_int_equal(control_send(&worker, CONTROL_DRAINED, id, &d, NULL, 0), 0);
	turn();
}

/* Of the last drain alone, and of none that was taken back. */
static void test_drain(void **state)
{
	const struct control_drain on = { .on = 1 }, off = { .on = 0 };
	uint32_t first, second;

	(void)state;
	slot_drain(&slots[0], &on);
	first = slots[0].draining;
	slot_drain(&slots[0], &on);
	second = slots[0].draining;
	assert_true(first != 0 && second != 0 && first != second);
	tell_drained(first);
	assert_int_equal(let_go, 0);
	tell_drained(second);
	assert_int_equal(let_go, 5);
	assert_int_equal(late, 3);
	assert_int_equal(slots[0].draining, 0);
	slot_drain(&slots[0], &on);
	slot_drain(&slots[0], &off);
	assert_int_equal(slots[0].draining, 0);
	tell_drained(second);
	assert_int_equal(let_go, 5);
	/* who has died has done with its part, whether another takes its place or not */
	slot_drain(&slots[0], &on);
	slot_ended(&slots[0]);
	assert_int_equal(slots[0].draining, 0);
}

static void tell_prepared(uint32_t id, bool able)
{
	struct control_prepared p = { .generation = GENERATION, .able = able };

	/* as somebody may who ends no string */
	if (!able)
		memset(p.why, 'x', sizeof(p.why));
	assert_int_equal(control_send(&worker, CONTROL_PREPARED, id, &p, NULL, 0), 0);
	turn();
}

static void prepare(bool retire)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	slot_prepare(&slots[0], GENERATION, retire, fd);
	close(fd);
}

static void commit(bool retire)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	slot_commit(&slots[0], retire, fd);
	close(fd);
}

static uint32_t expect_prepare(bool retire)
{
	struct control_frame f;

	assert_int_equal(control_read(&worker, &f), CONTROL_FRAME);
	assert_int_equal(f.type, CONTROL_PREPARE);
	assert_int_equal(f.fd_count, 1);
	assert_int_equal(((const struct control_prepare *)f.body)->generation, GENERATION);
	assert_int_equal(((const struct control_prepare *)f.body)->retire, retire);
	return f.id;
}

static void expect_commit(void)
{
	struct control_frame f;

	assert_int_equal(control_read(&worker, &f), CONTROL_FRAME);
	assert_int_equal(f.type, CONTROL_COMMIT);
	assert_int_equal(f.id, slots[0].asked);
	assert_int_equal(f.fd_count, 0);
	assert_int_equal(((const struct control_decision *)f.body)->generation, GENERATION);
}

/* One that was not asked is told all at once. */
static void expect_both(bool retire)
{
	expect_prepare(retire);
	expect_commit();
}

static void test_ready_once(void **state)
{
	(void)state;
	tell_ready(4);
	assert_int_equal(slots[0].state, SLOT_RUNNING);
	assert_int_equal(slots[0].generation, 4);
	assert_int_equal(ready, 1);
	/* said again, or by one that retires, it brings nobody back */
	slots[0].state = SLOT_RETIRING;
	tell_ready(4);
	assert_int_equal(slots[0].state, SLOT_RETIRING);
	assert_int_equal(ready, 1);
}

static void test_a_reload_and_its_answer(void **state)
{
	(void)state;
	tell_ready(4);
	commit(false);
	expect_both(false);
	assert_int_equal(slots[0].state, SLOT_RUNNING);
	assert_true(slots[0].asked);
	tell_reloaded(slots[0].asked);
	assert_false(slots[0].asked);
	assert_int_equal(slots[0].generation, GENERATION);
	assert_int_equal(moved, 5);
	assert_int_equal(closed, 3);
}

/* Asked, and told when it has said that it can. */
static void test_prepared_and_decided(void **state)
{
	uint32_t id;

	(void)state;
	tell_ready(4);
	prepare(false);
	id = expect_prepare(false);
	assert_int_equal(id, slots[0].asked);
	tell_prepared(id + 1, true);
	assert_int_equal(prepared, 0);
	tell_prepared(id, true);
	assert_int_equal(prepared, 1);
	assert_string_equal(unable, "");
	assert_int_equal(slots[0].asked, 0);
	assert_int_equal(slots[0].prepared, GENERATION);
	/* it has what it had until it is told */
	assert_int_equal(slots[0].generation, 4);
	commit(false);
	expect_commit();
	/* an answer to the question is none to the decision */
	tell_prepared(id, true);
	tell_reloaded(id);
	assert_true(slots[0].asked);
	tell_reloaded(slots[0].asked);
	assert_int_equal(slots[0].generation, GENERATION);
	assert_int_equal(prepared, 1);
}

static void test_unable(void **state)
{
	struct control_frame f;

	(void)state;
	tell_ready(4);
	prepare(true);
	tell_prepared(expect_prepare(true), false);
	assert_int_equal(prepared, 1);
	assert_int_equal(strlen(unable), CONTROL_WHY_MAX);
	assert_int_equal(slots[0].prepared, 0);
	slot_abort(&slots[0], GENERATION);
	assert_int_equal(slots[0].asked, 0);
	assert_int_equal(slots[0].state, SLOT_RUNNING);
	assert_int_equal(control_read(&worker, &f), CONTROL_FRAME);
	assert_int_equal(f.type, CONTROL_ABORT);
	/* the next one is asked anew */
	prepare(false);
	tell_prepared(expect_prepare(false), true);
	assert_string_equal(unable, "");
}

/* Nobody asked, or something else: it counts for nothing. */
static void test_an_answer_to_nothing(void **state)
{
	(void)state;
	tell_ready(4);
	commit(false);
	tell_reloaded(slots[0].asked + 1);
	assert_true(slots[0].asked);
	assert_int_equal(moved + closed, 0);
	tell_reloaded(slots[0].asked);
	tell_reloaded(GENERATION);
	assert_int_equal(moved, 5);
	assert_int_equal(slots[0].generation, GENERATION);
}

/* The number of no question: as if who asks nothing had asked with it. */
static void test_an_answer_without_a_number(void **state)
{
	(void)state;
	tell_ready(4);
	tell_reloaded(0);
	tell_prepared(0, true);
	tell_drained(0);
	assert_int_equal(moved + prepared + let_go, 0);
	assert_int_equal(slots[0].generation, 4);
	assert_int_equal(slots[0].prepared, 0);
}

/* What was begun can be taken back without memory, or else this worker would refuse all that come. */
static void test_no_memory_for_an_undrain(void **state)
{
	const struct control_drain off = { .on = 0 };
	struct control_frame f;

	(void)state;
	failing_from(1);
	slot_drain(&slots[0], &off);
	assert_false(failing_end());
	assert_int_equal(control_read(&worker, &f), CONTROL_FRAME);
	assert_int_equal(f.type, CONTROL_DRAIN);
}

static void test_retired_and_taken_back(void **state)
{
	(void)state;
	tell_ready(4);
	commit(true);
	expect_both(true);
	assert_int_equal(slots[0].state, SLOT_RETIRING);
	commit(false);
	expect_both(false);
	assert_int_equal(slots[0].state, SLOT_RUNNING);
	/* one that has not come up yet is not said to run */
	slots[0].state = SLOT_STARTING;
	commit(false);
	assert_int_equal(slots[0].state, SLOT_STARTING);
}

/* A worker that writes something else to the master is ended, and not read from any more. */
static void test_what_cannot_be(void **state)
{
	char nonsense[64];
	int status;

	(void)state;
	memset(nonsense, 0xff, sizeof(nonsense));
	assert_int_equal(write(slots[0].pair[1], nonsense, sizeof(nonsense)), sizeof(nonsense));
	turn();
	assert_true(slots[0].ending);
	assert_int_equal(waitpid(child, &status, 0), child);
	child = 0;
	assert_true(WIFSIGNALED(status));
	tell_ready(4);
	assert_int_equal(ready, 0);
}

static bool was_woken(int slot)
{
	uint64_t n;

	return read(shared.wakeups[slot], &n, sizeof(n)) == sizeof(n);
}

/* What it had open counts no more, and who may have waited for it looks again. */
static void test_one_that_ended(void **state)
{
	struct metrics_row *row = &shared.metrics->rows[0];

	(void)state;
	atomic_store(&row->open, 3);
	atomic_store(&row->handshakes, 2);
	atomic_store(&shared.metrics->rows[1].open, 4);
	slots[0].asked = 9;
	slots[1].pid = getpid();
	assert_ptr_equal(slot_of(child), &slots[0]);
	assert_int_equal(slots_alive(), 2);
	slot_ended(&slots[0]);
	assert_int_equal(slots[0].state, SLOT_UNUSED);
	assert_int_equal(slots[0].asked, 0);
	assert_null(slot_of(child));
	assert_null(slot_of(0));
	assert_int_equal(slots_alive(), 1);
	assert_int_equal(atomic_load(&row->handshakes), 0);
	assert_int_equal(atomic_load(&row->open), 0);
	assert_int_equal(atomic_load(&shared.metrics->rows[1].open), 4);
	assert_false(was_woken(0));
	assert_true(was_woken(1));
	assert_false(was_woken(2));
}

static void test_a_stop(void **state)
{
	struct control_frame f;

	(void)state;
	slots[1].state = SLOT_BACKOFF;
	slots_stop(1500);
	assert_int_equal(slots[1].state, SLOT_UNUSED);
	assert_int_equal(slots[0].state, SLOT_STARTING);
	assert_int_equal(control_read(&worker, &f), CONTROL_FRAME);
	assert_int_equal(f.type, CONTROL_STOP);
	assert_int_equal(((const struct control_stop *)f.body)->grace, 1500);
	assert_int_equal(((const struct control_stop *)f.body)->keep_waiting, 0);
}

/* Only where the service manager keeps the sockets is there a next run for who waits in them. */
static void test_a_stop_with_a_store(void **state)
{
	struct control_frame f;

	(void)state;
	assert_int_equal(setenv("FDSTORE", "64", 1), 0);
	slots_stop(1500);
	assert_int_equal(unsetenv("FDSTORE"), 0);
	assert_int_equal(control_read(&worker, &f), CONTROL_FRAME);
	assert_int_equal(((const struct control_stop *)f.body)->keep_waiting, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_drain),
		TEST(test_ready_once),
		TEST(test_a_reload_and_its_answer),
		TEST(test_prepared_and_decided),
		TEST(test_unable),
		TEST(test_an_answer_to_nothing),
		TEST(test_an_answer_without_a_number),
		TEST(test_no_memory_for_an_undrain),
		TEST(test_retired_and_taken_back),
		TEST(test_what_cannot_be),
		TEST(test_one_that_ended),
		TEST(test_a_stop),
		TEST(test_a_stop_with_a_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
