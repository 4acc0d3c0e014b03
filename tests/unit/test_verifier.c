/*
 * The thread that checks passwords. Nothing here goes by time: what is slow is only ever under way.
 */
// links: base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <crypt.h>
#include <dirent.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fair.h"
#include "base/verifier.h"

enum { HOUR = 3600 * 1000 };

/* It takes hours, and ends with this process. */
#define ENDLESS "$2b$31$0123456789012345678901"
#define QUICK "$2b$04$0123456789012345678901"

static struct verifier *v;

static int begin(void **state)
{
	(void)state;
	v = verifier_new();
	return v ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	verifier_free(v);
	v = NULL;
	return 0;
}

static const char *make(const char *password, const char *setting)
{
	static struct crypt_data data;

	return crypt_rn(password, setting, &data, sizeof(data));
}

static bool ask(uint64_t id, uint64_t from, const char *password, const char *hash)
{
	return verifier_ask(v, &(struct verifier_question){ id, from, password, hash });
}

static struct verifier_answer wait_for_one(void)
{
	struct pollfd p = { .fd = verifier_fd(v), .events = POLLIN };
	struct verifier_answer a;

	assert_int_equal(poll(&p, 1, HOUR), 1);
	assert_true(verifier_answer(v, &a));
	return a;
}

static bool is_readable(void)
{
	struct pollfd p = { .fd = verifier_fd(v), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void expect(uint64_t id, enum verifier_verdict verdict)
{
	const struct verifier_answer a = wait_for_one();

	assert_int_equal(a.id, id);
	assert_int_equal(a.verdict, verdict);
}

static void test_verdicts(void **state)
{
	static const char *const settings[] = { "$2b$04$0123456789012345678901",
						"$6$rounds=1000$salt$", "$5$rounds=1000$salt$",
						"$y$j75$saltsaltsalt$" };
	struct verifier_answer a;
	char hash[VERIFIER_HASH_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
		snprintf(hash, sizeof(hash), "%s", make("a:b\xc3\xa9", settings[i]));
		assert_true(ask(1, 1, "a:b\xc3\xa9", hash));
		expect(1, VERIFIER_RIGHT);
		assert_true(ask(2, 1, "a:b\xc3", hash));
		expect(2, VERIFIER_WRONG);
		assert_true(ask(3, 1, "", hash));
		expect(3, VERIFIER_WRONG);
		hash[strlen(hash) - 1] ^= 1;
		assert_true(ask(4, 1, "a:b\xc3\xa9", hash));
		expect(4, VERIFIER_WRONG);
	}
	assert_true(ask(5, 1, "x", "$9$none"));
	expect(5, VERIFIER_FAILED);
	assert_false(is_readable());
	assert_false(verifier_answer(v, &a));
}

static void test_too_long(void **state)
{
	char password[VERIFIER_PASSWORD_MAX + 2], hash[VERIFIER_HASH_MAX + 2];

	(void)state;
	memset(password, 'x', sizeof(password));
	memset(hash, '$', sizeof(hash));
	password[VERIFIER_PASSWORD_MAX] = hash[VERIFIER_HASH_MAX] = '\0';
	assert_true(ask(1, 1, password, hash));
	expect(1, VERIFIER_FAILED);
	password[VERIFIER_PASSWORD_MAX] = 'x';
	password[VERIFIER_PASSWORD_MAX + 1] = '\0';
	assert_false(ask(2, 1, password, hash));
	password[VERIFIER_PASSWORD_MAX] = '\0';
	hash[VERIFIER_HASH_MAX] = '$';
	hash[VERIFIER_HASH_MAX + 1] = '\0';
	assert_false(ask(3, 1, password, hash));
}

/* It has something to do that does not end. */
static void occupy(void)
{
	assert_true(ask(1, 1, "x", ENDLESS));
	while (verifier_waiting(v) > 0)
		usleep(1000);
}

static void test_cancel(void **state)
{
	const char *quick = make("x", QUICK);

	(void)state;
	occupy();
	for (uint64_t id = 2; id < 6; id++)
		assert_true(ask(id, 1, "x", quick));
	verifier_cancel(v, 3);
	assert_int_equal(verifier_waiting(v), 3);
	verifier_cancel(v, 3);
	/* what is under way goes on */
	verifier_cancel(v, 1);
	assert_int_equal(verifier_waiting(v), 3);
	assert_false(is_readable());
}

/* Each is answered that was not cancelled, in order, as they are of one address. */
static void test_many(void **state)
{
	const char *quick = make("x", QUICK);

	(void)state;
	for (uint64_t id = 1; id <= FAIR_MOST_OF_ONE; id++)
		assert_true(ask(id, 1, id % 3 ? "y" : "x", quick));
	for (uint64_t id = 1; id <= FAIR_MOST_OF_ONE; id++)
		expect(id, id % 3 ? VERIFIER_WRONG : VERIFIER_RIGHT);
	verifier_cancel(v, 5);
	assert_false(is_readable());
}

static void test_full(void **state)
{
	(void)state;
	occupy();
	for (uint64_t i = 0; i < FAIR_MOST; i++)
		assert_true(ask(100 + i, 1 + i / 2, "x", QUICK));
	assert_false(ask(2, 1, "x", QUICK));
	assert_false(is_readable());
	assert_true(ask(3, 1000, "x", QUICK));
	expect(100 + FAIR_MOST - 1, VERIFIER_DISPLACED);
	assert_int_equal(verifier_waiting(v), FAIR_MOST);
}

/* Questions that are there at the end go with it, and so does one that takes for ever. */
static void test_end(void **state)
{
	(void)state;
	occupy();
	for (uint64_t id = 2; id < 10; id++)
		assert_true(ask(id, id, "x", QUICK));
}

static void test_end_with_answers(void **state)
{
	(void)state;
	assert_true(ask(1, 1, "x", "$9$none"));
	while (!is_readable())
		usleep(1000);
}

static bool reads(const char *task, const char *file, const char *format, void *out)
{
	char path[64], line[128];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%.20s/%s", task, file);
	f = fopen(path, "r");
	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, format, out) == 1;
	if (f)
		fclose(f);
	return found;
}

static pid_t the_thread(void)
{
	pid_t found = 0;
	struct dirent *e;
	char name[32];
	DIR *d = opendir("/proc/self/task");

	while ((e = readdir(d)))
		if (reads(e->d_name, "comm", "%31s", name) && strcmp(name, "passwords") == 0)
			found = (pid_t)strtol(e->d_name, NULL, 10);
	closedir(d);
	assert_true(found > 0);
	return found;
}

/* Who is woken up does not interrupt the loop that asks, and has the same priority. */
static void test_it_is_a_batch(void **state)
{
	(void)state;
	assert_true(ask(1, 0, "x", make("y", QUICK)));
	wait_for_one();
	assert_int_equal(sched_getscheduler(the_thread()), SCHED_BATCH);
	assert_int_equal(getpriority(PRIO_PROCESS, (id_t)the_thread()),
			 getpriority(PRIO_PROCESS, 0));
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
}

/* It handles no signal: they come where they are expected. */
static void test_signals(void **state)
{
	unsigned long long blocked = 0;
	char task[16];

	(void)state;
	snprintf(task, sizeof(task), "%d", (int)the_thread());
	assert_true(reads(task, "status", "SigBlk: %llx", &blocked));
	assert_true(blocked & 1ULL << (SIGUSR1 - 1));
	assert_true(blocked & 1ULL << (SIGTERM - 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_verdicts, begin, end),
		cmocka_unit_test_setup_teardown(test_too_long, begin, end),
		cmocka_unit_test_setup_teardown(test_cancel, begin, end),
		cmocka_unit_test_setup_teardown(test_many, begin, end),
		cmocka_unit_test_setup_teardown(test_full, begin, end),
		cmocka_unit_test_setup_teardown(test_it_is_a_batch, begin, end),
		cmocka_unit_test_setup_teardown(test_signals, begin, end),
		cmocka_unit_test_setup_teardown(test_end_with_answers, begin, end),
		cmocka_unit_test_setup_teardown(test_end, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
