/*
 * Counting over processes: never over the limit and never short of it, however many ask at once,
 * and right again wherever one of them was killed.
 */
// links: base
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/patience.h"
#include "base/slots.h"
#include "base/tally.h"
#include "failing.h"
#include "skipping.h"
#include "step.h"

enum { PLACES = 1024, PROCESSES = 6, KEYS = 3, TOO_MANY_STEPS = 400000 };
enum { NEAR = 16, OTHERS = 8 };

static struct tally *tally;

static int begin(void **state)
{
	(void)state;
	tally = tally_new(PLACES);
	if (!tally)
		return -1;
	tally_use(tally, 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	tally_free(tally);
	return 0;
}

static struct tally_key key(uint64_t n)
{
	return (struct tally_key){ { n, ~n } };
}

static enum tally_answer take(uint64_t n, uint32_t most)
{
	struct tally_key k = key(n);

	return tally_take(tally, &k, most);
}

static void give_back(uint64_t n)
{
	struct tally_key k = key(n);

	tally_give_back(tally, &k);
}

static uint64_t count(uint64_t n)
{
	struct tally_key k = key(n);

	return tally_count(tally, &k);
}

static void test_up_to_the_limit(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(take(1, 5), TALLY_COUNTED);
	assert_int_equal(take(1, 5), TALLY_OVER);
	assert_int_equal(take(2, 5), TALLY_COUNTED);
	assert_int_equal(count(1), 5);
	/* another limit finds what is there */
	assert_int_equal(take(1, 3), TALLY_OVER);
	assert_int_equal(take(1, 6), TALLY_COUNTED);
	for (int i = 0; i < 6; i++)
		give_back(1);
	give_back(2);
	assert_int_equal(count(1), 0);
	assert_int_equal(tally_places_taken(tally), 0);
	/* not counted, and not there */
	assert_int_equal(take(1, 1), TALLY_COUNTED);
	assert_int_equal(take(1, 1), TALLY_OVER);
	assert_int_equal(tally_places_taken(tally), 1);
	give_back(1);
	give_back(1);
	assert_int_equal(tally_places_taken(tally), 0);
}

static void test_without_a_limit(void **state)
{
	struct tally_key k = key(1);

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_true(tally_add(tally, &k));
	assert_int_equal(take(1, 5), TALLY_OVER);
	assert_int_equal(take(1, 6), TALLY_COUNTED);
}

/* Who has the lowest mark of a key, of those who have counted it and said one. */
static void test_marks(void **state)
{
	struct tally_key k = key(1), other = key(2);

	(void)state;
	assert_int_equal(tally_lowest(tally, &k), -1);
	tally_mark(tally, &k, 1); /* it has not counted it */
	for (int slot = 0; slot < 4; slot++) {
		tally_use(tally, slot);
		assert_true(tally_add(tally, &k));
	}
	assert_int_equal(tally_lowest(tally, &k), -1);
	for (int slot = 0; slot < 4; slot++) {
		tally_use(tally, slot);
		tally_mark(tally, &k, 100 - (uint64_t)slot);
		assert_int_equal(tally_lowest(tally, &k), slot);
	}
	tally_mark(tally, &k, 101);
	assert_int_equal(tally_lowest(tally, &k), 2);
	tally_clear_slot(tally, 2);
	assert_int_equal(tally_lowest(tally, &k), 1);
	tally_use(tally, 1);
	tally_mark(tally, &k, 0);
	assert_int_equal(tally_lowest(tally, &k), 0);
	/* whoever has the place next begins without */
	tally_use(tally, 0);
	give_back(1);
	assert_int_equal(tally_lowest(tally, &k), 3);
	assert_true(tally_add(tally, &k));
	assert_int_equal(tally_lowest(tally, &k), 3);
	assert_int_equal(tally_lowest(tally, &other), -1);
}

/* What a key is goes by both of its words. */
static void test_keys(void **state)
{
	struct tally_key a = { { 1, 0 } }, b = { { 1, 1 } }, c = { { 0, 1 } };

	(void)state;
	assert_int_equal(tally_take(tally, &a, 1), TALLY_COUNTED);
	assert_int_equal(tally_take(tally, &b, 1), TALLY_COUNTED);
	assert_int_equal(tally_take(tally, &c, 1), TALLY_COUNTED);
	assert_int_equal(tally_take(tally, &a, 1), TALLY_OVER);
}

static void test_over_slots(void **state)
{
	(void)state;
	for (int slot = 0; slot < SLOTS; slot++) {
		tally_use(tally, slot);
		assert_int_equal(take(1, SLOTS), TALLY_COUNTED);
		assert_int_equal(count(1), slot + 1);
	}
	assert_int_equal(take(1, SLOTS), TALLY_OVER);
	tally_clear_slot(tally, 7);
	tally_clear_slot(tally, 7);
	assert_int_equal(count(1), SLOTS - 1);
	assert_int_equal(take(1, SLOTS), TALLY_COUNTED);
	for (int slot = 0; slot < SLOTS; slot++)
		tally_clear_slot(tally, slot);
	assert_int_equal(tally_places_taken(tally), 0);
}

/* Half of the places are sure to be had, by any keys; and what has none is said to have none. */
static void test_full(void **state)
{
	uint64_t n = 0;
	enum tally_answer a = TALLY_COUNTED;

	(void)state;
	for (; n < PLACES / 2; n++) {
		tally_use(tally, (int)(n % SLOTS));
		assert_int_equal(take(n << 20, 1), TALLY_COUNTED);
	}
	while (a == TALLY_COUNTED)
		a = take(n++ << 20, 1);
	assert_int_equal(a, TALLY_FULL);
	assert_in_range(tally_places_taken(tally), PLACES / 2, PLACES);
	/* it was not counted, and those that are there still are */
	assert_int_equal(count((n - 1) << 20), 0);
	assert_int_equal(take(0, 1), TALLY_OVER);
	for (int slot = 0; slot < SLOTS; slot++)
		tally_clear_slot(tally, slot);
	assert_int_equal(take((n - 1) << 20, 1), TALLY_COUNTED);
	tally_clear_slot(tally, (int)((PLACES / 2 - 1) % SLOTS));
	assert_int_equal(tally_places_taken(tally), 0);
}

static void take_lumps(struct tally *t, uint64_t keys)
{
	for (uint64_t n = 0; n < keys; n++)
		for (int slot = 0; slot < SLOTS_WORKERS; slot++) {
			struct tally_key k = key(n << 32);

			tally_use(t, slot);
			assert_int_equal(tally_take(t, &k, SLOTS_WORKERS), TALLY_COUNTED);
		}
}

/* Each key from all slots: they come in lumps of 60, and half of the places are still enough. */
static void test_lumps(void **state)
{
	const size_t many = 1 << 20;
	struct tally *large = tally_new(many);

	(void)state;
	assert_non_null(large);
	take_lumps(large, many / 2 / SLOTS_WORKERS);
	tally_free(large);
	take_lumps(tally, PLACES / 2 / SLOTS_WORKERS);
}

static void test_no_memory(void **state)
{
	struct tally *t = NULL;

	(void)state;
	failing_nth(1);
	t = tally_new(PLACES);
	assert_true(failing_end());
	assert_null(t);
}

/* --- many at once --- */

struct board {
	_Atomic unsigned at; /* round that those who have come wait for */
	_Atomic unsigned come;
	_Atomic unsigned counted[KEYS]; /* by now */
	_Atomic unsigned most[KEYS]; /* that were seen at once */
	_Atomic unsigned wrong;
};

static struct board *make_board(void)
{
	struct board *b =
		mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(b != MAP_FAILED);
	return b;
}

static void fork_all(struct board *b, void (*run)(struct board *b, int n), pid_t *pids)
{
	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			tally_use(tally, i);
			run(b, i);
			_exit(0);
		}
	}
}

static void wait_all(const pid_t *pids)
{
	int status;

	for (int i = 0; i < PROCESSES; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
}

enum { LIMIT = 4, ROUNDS = 4000 };

/* What is counted on the board is counted in between. */
static void come_and_go(struct board *b, int n)
{
	unsigned seed = (unsigned)n, had[KEYS] = { 0 };

	for (int i = 0; i < ROUNDS; i++) {
		unsigned k = (unsigned)rand_r(&seed) % KEYS;

		if (had[k] > 0 && rand_r(&seed) % 2) {
			atomic_fetch_sub(&b->counted[k], 1);
			give_back(k);
			had[k]--;
		} else if (take(k, LIMIT) == TALLY_COUNTED) {
			unsigned now = atomic_fetch_add(&b->counted[k], 1) + 1;

			if (now > atomic_load(&b->most[k]))
				atomic_store(&b->most[k], now);
			had[k]++;
		}
	}
	for (unsigned k = 0; k < KEYS; k++)
		for (; had[k] > 0; had[k]--) {
			atomic_fetch_sub(&b->counted[k], 1);
			give_back(k);
		}
}

static void test_never_over(void **state)
{
	struct board *b = make_board();
	pid_t pids[PROCESSES];

	(void)state;
	fork_all(b, come_and_go, pids);
	wait_all(pids);
	for (uint64_t k = 0; k < KEYS; k++) {
		assert_int_equal(atomic_load(&b->most[k]), LIMIT);
		assert_int_equal(count(k), 0);
	}
	assert_int_equal(tally_places_taken(tally), 0);
	munmap(b, sizeof(*b));
}

enum { BARRIERS = 300 };

static void meet(struct board *b)
{
	unsigned round = atomic_load(&b->at);

	if (atomic_fetch_add(&b->come, 1) + 1 == PROCESSES) {
		atomic_store(&b->come, 0);
		atomic_fetch_add(&b->at, 1);
	}
	for (int i = 0; atomic_load(&b->at) == round; i++)
		if (i % 100 == 99)
			sched_yield();
}

/* All ask at the same moment for what LIMIT of them can have. */
static void ask_together(struct board *b, int n)
{
	for (int i = 0; i < BARRIERS; i++) {
		bool has;

		meet(b);
		has = take(1, LIMIT) == TALLY_COUNTED;
		if (has)
			atomic_fetch_add(&b->counted[0], 1);
		meet(b);
		if (n == 0 && atomic_load(&b->counted[0]) != LIMIT)
			atomic_fetch_add(&b->wrong, 1);
		if (n == 0 && atomic_load(&b->counted[0]) > LIMIT)
			_exit(1);
		meet(b);
		atomic_store(&b->counted[0], 0);
		if (has)
			give_back(1);
	}
}

/* A busy machine may let one stand still for longer than it is waited for: but not as a rule. */
static void test_never_short(void **state)
{
	struct board *b = make_board();
	pid_t pids[PROCESSES];

	(void)state;
	fork_all(b, ask_together, pids);
	wait_all(pids);
	print_message("%u of %u rounds fell short\n", atomic_load(&b->wrong), BARRIERS);
	assert_in_range(atomic_load(&b->wrong), 0, BARRIERS / 10);
	assert_int_equal(tally_places_taken(tally), 0);
	munmap(b, sizeof(*b));
}

/* --- killed --- */

enum { VICTIM = 1 };

static pid_t start(void (*call)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		tally_use(tally, VICTIM);
		/* what it has before */
		if (take(5, 100) != TALLY_COUNTED || take(1, 100) != TALLY_COUNTED)
			_exit(1);
		step_begin();
		call();
		raise(SIGSTOP);
		_exit(0);
	}
	return step_ready(pid) ? pid : -1;
}

/* Others' counts are as they were, and nothing of the dead is left. */
static void check_after_kill(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	tally_clear_slot(tally, VICTIM);
	assert_int_equal(count(1), 2);
	assert_int_equal(count(5), 0);
	assert_int_equal(tally_places_taken(tally), 1);
	assert_int_equal(take(1, 2), TALLY_OVER);
	assert_int_equal(take(1, 3), TALLY_COUNTED);
	give_back(1);
}

/* What can be seen of the table from outside. */
static uint64_t seen(void)
{
	return tally_places_taken(tally) << 32 | count(1) << 16 | count(5) << 8 | count(9);
}

/* Where others see a change, up to `most` of them; returns how many, *length: of the call. */
static size_t find_changes(void (*call)(void), unsigned *at, size_t most, unsigned *length)
{
	pid_t pid = start(call);
	uint64_t before = seen();
	size_t n = 0;

	if (pid < 0) {
		skip_for(NO_PTRACE);
	}
	for (*length = 0; step(pid, 1) == 1; ++*length) {
		assert_in_range(*length, 0, TOO_MANY_STEPS);
		if (seen() == before)
			continue;
		before = seen();
		assert_true(n < most);
		at[n++] = *length;
	}
	check_after_kill(pid);
	return n;
}

static void kill_after(unsigned steps, void (*call)(void))
{
	pid_t pid = start(call);

	assert_true(pid > 0);
	step(pid, steps);
	/* while it stands there it is counted at most once more, and nobody waits for ever */
	assert_in_range(count(1), 2, 4);
	assert_int_not_equal(take(1, 3), TALLY_FULL);
	tally_clear_slot(tally, 0);
	assert_int_equal(take(1, 100), TALLY_COUNTED);
	assert_int_equal(take(1, 100), TALLY_COUNTED);
	check_after_kill(pid);
}

/* At every instruction near those that change something, and at some of the others. */
static void kill_everywhere(void (*call)(void))
{
	unsigned changes[8], length, kills = 0;
	size_t n;

	assert_int_equal(take(1, 100), TALLY_COUNTED);
	assert_int_equal(take(1, 100), TALLY_COUNTED);
	n = find_changes(call, changes, sizeof(changes) / sizeof(*changes), &length);
	assert_true(n > 0);
	for (size_t i = 0; i < n; i++)
		for (unsigned d = 0; d < NEAR; d++, kills++)
			kill_after(changes[i] + d - 2, call);
	for (unsigned i = 0; i <= OTHERS; i++, kills++)
		kill_after(length * i / OTHERS, call);
	print_message("%u kills in %u instructions\n", kills, length);
}

static void take_new(void)
{
	if (take(9, 1) != TALLY_COUNTED)
		_exit(1);
}

static void take_more(void)
{
	if (take(1, 100) != TALLY_COUNTED)
		_exit(1);
}

static void give_last(void)
{
	give_back(5);
}

static void give_one(void)
{
	give_back(1);
}

static void test_killed_taking(void **state)
{
	(void)state;
	kill_everywhere(take_new);
}

static void test_killed_taking_more(void **state)
{
	(void)state;
	kill_everywhere(take_more);
}

static void test_killed_giving_back(void **state)
{
	(void)state;
	kill_everywhere(give_last);
}

static void test_killed_giving_one(void **state)
{
	(void)state;
	kill_everywhere(give_one);
}

/* One that stands still where it asks is waited for as long as is said, and counts. */
static void test_one_that_stands_still(void **state)
{
	unsigned held = 0;
	pid_t pid = start(take_new);

	(void)state;
	if (pid < 0)
		skip_for(NO_PTRACE);
	for (unsigned at = 0; step(pid, 1) == 1 && at < TOO_MANY_STEPS; at++) {
		if (at % 64 != 0)
			continue;
		switch (take(9, 1)) {
		case TALLY_COUNTED:
			give_back(9);
			break;
		default:
			held++;
			break;
		}
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	tally_clear_slot(tally, VICTIM);
	assert_true(held > 0);
	assert_int_equal(take(9, 1), TALLY_COUNTED);
}

static bool is_asked_for(uint64_t n)
{
	if (take(n, 1) == TALLY_OVER)
		return true;
	give_back(n);
	return false;
}

/* Milliseconds of the CPU: a wait takes that, and what others do meanwhile does not count. */
static uint64_t spent(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Who asks again and again meanwhile does not wait as long, 2 ms, each time. */
static void test_nobody_waits_again_and_again(void **state)
{
	enum { ASKS = 500 };
	pid_t pid = start(take_new);
	uint64_t began;

	(void)state;
	if (pid < 0)
		skip_for(NO_PTRACE);
#ifdef __SANITIZE_ADDRESS__
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	skip_for("not under AddressSanitizer: its own are most of the instructions to be stepped "
		 "through");
#endif
	for (unsigned at = 0; !is_asked_for(9); at++)
		assert_true(step(pid, 16) == 16 && at < TOO_MANY_STEPS);
	began = spent();
	for (int i = 0; i < ASKS; i++)
		assert_int_equal(take(9, 1), TALLY_OVER);
	assert_in_range(spent() - began, 0, ASKS);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_up_to_the_limit),
		TEST(test_without_a_limit),
		TEST(test_keys),
		TEST(test_marks),
		TEST(test_over_slots),
		TEST(test_full),
		TEST(test_lumps),
		TEST(test_no_memory),
		TEST(test_never_over),
		TEST(test_never_short),
		TEST(test_killed_taking),
		TEST(test_killed_taking_more),
		TEST(test_killed_giving_back),
		TEST(test_killed_giving_one),
		TEST(test_one_that_stands_still),
		TEST(test_nobody_waits_again_and_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
