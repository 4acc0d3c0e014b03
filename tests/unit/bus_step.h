/*
 * bus_step.h - a process that is stopped, or killed, between any two instructions of a call of the bus.
 */
#ifndef TESTS_BUS_STEP_H
#define TESTS_BUS_STEP_H

#include "skipping.h"
#include "step.h"
#include "test_bus_check.h"

enum { SIZE = 65536, MOST_ROOMS = 9, OTHER = 1 };
/* Where the process that is killed is: among the workers, or a role that publishes beside them. */
enum { A_WORKER = 0, A_ROLE = SLOTS_WORKERS };
enum { MEDDLINGS = 60, TOO_MANY_STEPS = 100000 };

/* How often a call is killed, about. */
static unsigned kills_wanted = 200;

struct fixture {
	struct bus *victim; /* the master's struct, which the traced process inherits */
	int slot; /* of the victim */
	struct bus other;
	struct bus_room room;
	int wakeups[SLOTS];
	uint64_t last; /* sequence that the other has read */
	unsigned number;
	struct bus_room held[MOST_ROOMS]; /* by the victim, before it is traced */
	uint64_t answers[2]; /* to what was published with a key, or what is to be seen */
};

static inline int set_up_in(void **state, int slot, size_t lag, uint32_t rooms)
{
	struct bus_limits l = { .size = SIZE, .lag = lag, .max_rooms = rooms, .members = 4 };
	struct fixture *f = calloc(1, sizeof(*f));
	uint64_t sequence;

	assert_non_null(f);
	f->slot = slot;
	bus_check_open(f->wakeups);
	f->victim = bus_new(&l, f->wakeups);
	assert_non_null(f->victim);
	f->other = *f->victim;
	bus_set_slot(&f->other, OTHER);
	assert_int_equal(bus_join(&f->other, "room", 4, NULL, &f->room, &sequence), BUS_OK);
	*state = f;
	return 0;
}

static inline int tear_down(void **state)
{
	struct fixture *f = *state;

	bus_free(f->victim);
	bus_check_close(f->wakeups);
	free(f);
	return 0;
}

/* Starts a process that stops, makes the call, stops and ends. -1: it cannot be traced. */
static inline pid_t start(struct fixture *f, void (*prepare)(struct fixture *),
			  void (*call)(struct fixture *))
{
	pid_t pid = fork();

	if (pid == 0) {
		bus_set_slot(f->victim, f->slot);
		if (prepare)
			prepare(f);
		/* so that the call has not to look at all cursors first */
		bus_scan(f->victim, f->victim->shared->tail);
		step_begin();
		call(f);
		raise(SIGSTOP);
		_exit(0);
	}
	return step_ready(pid) ? pid : -1;
}

/* As the master does. */
static inline void end(struct fixture *f, pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	bus_clear_slot(f->victim, f->slot);
}

/*
 * Kills after 0, 1, 2 ... instructions of the call, or in strides that make about kills_wanted of them;
 * check looks at what is left each time. Returns how many they were.
 */
static inline unsigned kill_everywhere(struct fixture *f, void (*prepare)(struct fixture *),
				       void (*call)(struct fixture *),
				       void (*check)(struct fixture *))
{
	unsigned seed = bus_check_seed(), length, stride, n = 0, kills = 0;
	pid_t pid = start(f, prepare, call);

	if (pid < 0)
		skip_for(NO_PTRACE);
	length = step(pid, TOO_MANY_STEPS);
	end(f, pid);
	check(f);
	if (length == TOO_MANY_STEPS)
		skip_for("needs a processor on which a lock that is traced ends");
	stride = length / kills_wanted + 1;
	/* Until one comes to its end: later calls may be longer, as the log is fuller. */
	for (unsigned at = 0, more = 1; more && at < TOO_MANY_STEPS; at += stride) {
		f->number++;
		pid = start(f, prepare, call);
		assert_true(pid > 0);
		n = at + (unsigned)rand_r(&seed) % stride;
		more = step(pid, n) == n;
		end(f, pid);
		check(f);
		kills++;
	}
	print_message("%u kills in %u instructions, %llu with the lock\n", kills, n,
		      (unsigned long long)f->victim->shared->recoveries);
	return kills;
}

static inline void assert_some_with_the_lock(const struct fixture *f, unsigned kills)
{
	assert_true(f->victim->shared->recoveries > kills / 10);
}

/*
 * Stops after 0, 1, 2 ... instructions of the call, meddles, and lets it go on. The call ends the
 * process when it got what it must not get; check, unless it is NULL, looks at what came of it.
 */
static inline void meddle_everywhere(struct fixture *f, void (*prepare)(struct fixture *),
				     void (*call)(struct fixture *),
				     void (*meddle)(struct fixture *),
				     void (*check)(struct fixture *))
{
	unsigned seed = bus_check_seed(), stride, n = 0;
	pid_t pid;
	int status;

	prepare(f);
	pid = start(f, NULL, call);
	if (pid < 0)
		skip_for(NO_PTRACE);
	stride = step(pid, TOO_MANY_STEPS) / MEDDLINGS + 1;
	end(f, pid);
	for (unsigned at = 0, more = 1; more && at < TOO_MANY_STEPS; at += stride) {
		f->number++;
		prepare(f);
		pid = start(f, NULL, call);
		assert_true(pid > 0);
		n = at + (unsigned)rand_r(&seed) % stride;
		more = step(pid, n) == n;
		if (more) {
			meddle(f);
			assert_int_equal(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
			assert_int_equal(waitpid(pid, &status, 0), pid);
			assert_true(WIFSTOPPED(status));
			if (check)
				check(f);
		}
		end(f, pid);
	}
	print_message("meddled with %u instructions\n", n);
}

#endif
