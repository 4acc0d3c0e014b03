/*
 * Keys of session tickets: the newest seals, it and the two before it open.
 */
// links: base proto bus config net
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/tickets.h"

static bool same(const struct ticket_key *a, const struct ticket_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static bool opens(const struct tickets *t, const struct ticket_key *k, bool *old)
{
	struct ticket_key found;

	return tickets_find(t, k->name, &found, old) && same(&found, k);
}

static void test_new(void **state)
{
	static const uint8_t zeros[TICKET_KEY_LEN];
	struct tickets *t = tickets_new(), *other = tickets_new();
	struct ticket_key k, theirs;
	bool old = true;

	(void)state;
	assert_non_null(t);
	assert_non_null(other);
	k = tickets_current(t);
	theirs = tickets_current(other);
	assert_memory_not_equal(k.name, zeros, sizeof(k.name));
	assert_memory_not_equal(k.aes, zeros, sizeof(k.aes));
	assert_memory_not_equal(k.hmac, zeros, sizeof(k.hmac));
	assert_memory_not_equal(k.aes, k.hmac, sizeof(k.aes));
	assert_true(opens(t, &k, &old));
	assert_false(old);
	/* another daemon's, and what nobody has made */
	assert_false(opens(t, &theirs, &old));
	assert_false(tickets_find(t, zeros, &k, &old));
	tickets_free(t);
	tickets_free(other);
}

static void test_rotation(void **state)
{
	enum { ROUNDS = 20 };
	struct tickets *t = tickets_new();
	struct ticket_key made[ROUNDS], now;
	bool old;

	(void)state;
	assert_non_null(t);
	for (int i = 0; i < ROUNDS; i++) {
		made[i] = tickets_current(t);
		for (int k = 0; k <= i; k++) {
			assert_int_equal(opens(t, &made[k], &old), i - k < 3);
			if (i - k < 3)
				assert_int_equal(old, k < i);
		}
		assert_int_equal(tickets_rotate(t), 0);
		now = tickets_current(t);
		assert_false(same(&made[i], &now));
	}
	tickets_free(t);
}

/* Every eight hours, to the tick, and not twice for those that were missed. */
static void test_eight_hours(void **state)
{
	const uint64_t period = 8ull * 60 * 60 * 1000;
	struct tickets *t = tickets_new();
	struct ticket_key first = tickets_current(t), second, now;
	bool old;

	(void)state;
	for (uint64_t ms = 0; ms < period; ms += 1000)
		assert_int_equal(tickets_tick(t, ms), 0);
	assert_int_equal(tickets_tick(t, period - 1), 0);
	now = tickets_current(t);
	assert_true(same(&first, &now));
	assert_int_equal(tickets_tick(t, period), 0);
	second = tickets_current(t);
	assert_false(same(&first, &second));
	assert_int_equal(tickets_tick(t, 2 * period - 1), 0);
	now = tickets_current(t);
	assert_true(same(&second, &now));
	assert_int_equal(tickets_tick(t, 9 * period), 0);
	assert_int_equal(tickets_tick(t, 9 * period + 1), 0);
	assert_true(opens(t, &first, &old) && old);
	tickets_free(t);
}

/* A process that was forked before sees the rotation. */
static void test_shared(void **state)
{
	struct tickets *t = tickets_new();
	struct ticket_key seen, now;
	int back[2], go[2], status;
	char byte;
	pid_t pid;

	(void)state;
	assert_non_null(t);
	assert_int_equal(pipe(back), 0);
	assert_int_equal(pipe(go), 0);
	pid = fork();
	if (pid == 0) {
		struct ticket_key k;

		if (read(go[0], &byte, 1) != 1)
			_exit(1);
		k = tickets_current(t);
		_exit(write(back[1], &k, sizeof(k)) == (ssize_t)sizeof(k) ? 0 : 1);
	}
	assert_true(pid > 0);
	assert_int_equal(tickets_rotate(t), 0);
	now = tickets_current(t);
	assert_int_equal(write(go[1], "x", 1), 1);
	assert_int_equal(read(back[0], &seen, sizeof(seen)), sizeof(seen));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(same(&seen, &now));
	tickets_free(t);
}

/* Whether a child of this process survives a rotation of its own. */
static bool can_write(struct tickets *t)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGSEGV, SIG_DFL);
		_exit(tickets_rotate(t) == 0 ? 0 : 1);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The pages of a table that is only for reading, by the name of the memory. NULL: there are none. */
static void *find_table(size_t *len)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long begin, end;
	char line[512];
	void *found = NULL;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		if (strstr(line, "ignyx-tickets") && strstr(line, " r--s ") &&
		    sscanf(line, "%lx-%lx", &begin, &end) == 2) {
			found = (void *)begin;
			*len = end - begin;
		}
	fclose(maps);
	return found;
}

/* A worker reads the keys, but can neither write them nor make their memory writable. */
static void test_only_read(void **state)
{
	struct tickets *t = tickets_new();
	struct ticket_key before, now;
	int status;
	pid_t pid;

	(void)state;
	assert_non_null(t);
	before = tickets_current(t);
	pid = fork();
	if (pid == 0) {
		size_t len = 0;
		bool old, ok = tickets_only_read(t) == 0 && opens(t, &before, &old);
		void *table = find_table(&len);

		ok = ok && table && !can_write(t) &&
		     mprotect(table, len, PROT_READ | PROT_WRITE) < 0;
		_exit(ok && errno == EACCES ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(tickets_rotate(t), 0);
	now = tickets_current(t);
	assert_false(same(&before, &now));
	tickets_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),         cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_eight_hours), cmocka_unit_test(test_shared),
		cmocka_unit_test(test_only_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
