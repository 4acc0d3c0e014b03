/*
 * What has happened, in rings that many processes write and that outlive them: what is read is
 * whole, whoever is ended or stands still in the midst of writing, and whatever lies about there.
 */
// links: base
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/chronicle.h"
#include "base/log.h"
#include "base/reason.h"
#include "step.h"

enum { WRITERS = 4, EACH = 20000, TOO_MANY_STEPS = 100000 };

static const enum chronicle_ring RING = CHRONICLE_DAEMON;

static struct segment segment;
static struct chronicle *all;

static int set_up(void **state)
{
	(void)state;
	all = chronicle_new(&segment);
	return all ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	segment_free(&segment);
	return 0;
}

/* All that it has follows from one number. */
static struct chronicle_entry entry_of(uint64_t number)
{
	struct chronicle_entry e = {
		.time = (int64_t)number * 7,
		.conn = number,
		.messages_in = number * 3,
		.bytes_out = ~number,
		.duration = (uint32_t)number,
		.code = (uint16_t)(number % 5000),
		.port = (uint16_t)number,
		.family = AF_INET,
		.event = LOG_EVENT_CONN_CLOSE,
		.reason = number % REASON_COUNT,
	};
	char text[CHRONICLE_TEXT_MAX + 1] = "";

	memcpy(e.address, &number, sizeof(number));
	memset(text, 'a' + (int)(number % 26), number % CHRONICLE_TEXT_MAX);
	chronicle_put_texts(&e, text, NULL);
	return e;
}

static void assert_is(const struct chronicle_entry *e, uint64_t number)
{
	const struct chronicle_entry wanted = entry_of(number);

	assert_memory_equal(e, &wanted, offsetof(struct chronicle_entry, text));
	assert_memory_equal(e->text, wanted.text, wanted.what);
}

static void write_one(uint64_t number)
{
	const struct chronicle_entry e = entry_of(number);

	chronicle_write(all, RING, &e);
}

static enum chronicle_found read_one(uint64_t n, struct chronicle_entry *e)
{
	return chronicle_read(all, RING, n, e);
}

static void test_nothing_yet(void **state)
{
	struct chronicle_entry e;
	uint64_t n;

	(void)state;
	for (int r = 0; r < CHRONICLE_RINGS; r++) {
		n = chronicle_next(all, r);
		assert_int_equal(n, 0);
		assert_int_equal(chronicle_span(all, r).oldest, 0);
		assert_false(
			chronicle_search(all, r, &(struct chronicle_key){ .conn = 1 }, &n, &e));
	}
	assert_int_equal(read_one(0, &e), CHRONICLE_TORN);
}

static void test_round_and_round(void **state)
{
	struct chronicle_entry e;
	const uint64_t count = 3 * CHRONICLE_DAEMON_SIZE + 5;

	(void)state;
	for (uint64_t i = 0; i < count; i++)
		write_one(i);
	assert_int_equal(chronicle_next(all, RING), count);
	assert_int_equal(chronicle_span(all, RING).oldest, count - CHRONICLE_DAEMON_SIZE);
	for (uint64_t n = 0; n < count; n++) {
		if (n < count - CHRONICLE_DAEMON_SIZE) {
			assert_int_equal(read_one(n, &e), CHRONICLE_GONE);
			continue;
		}
		assert_int_equal(read_one(n, &e), CHRONICLE_WHOLE);
		assert_is(&e, n);
	}
}

/* A flood in one ring takes nothing from another. */
static void test_rings_are_apart(void **state)
{
	const struct chronicle_entry e = entry_of(42);
	struct chronicle_entry found;

	(void)state;
	for (int r = 0; r < CHRONICLE_RINGS; r++)
		chronicle_write(all, r, &e);
	for (int i = 0; i < 2 * CHRONICLE_ENDS_SIZE; i++)
		for (int r = 0; r < CHRONICLE_RINGS; r++)
			if (r != CHRONICLE_REFUSALS)
				chronicle_write(all, r, &e);
	assert_int_equal(chronicle_next(all, CHRONICLE_REFUSALS), 1);
	assert_int_equal(chronicle_read(all, CHRONICLE_REFUSALS, 0, &found), CHRONICLE_WHOLE);
	assert_is(&found, 42);
	assert_int_equal(chronicle_read(all, CHRONICLE_ENDS, 0, &found), CHRONICLE_GONE);
}

static void test_search(void **state)
{
	struct chronicle_key k = { .family = AF_INET };
	struct chronicle_entry e, six = entry_of(5);
	uint64_t five = 5, n;

	(void)state;
	for (int i = 0; i < 100; i++)
		write_one((uint64_t)i % 10);
	/* the same bytes, and another kind of address */
	six.family = AF_INET6;
	chronicle_write(all, RING, &six);
	memcpy(k.address, &five, sizeof(five));
	n = chronicle_next(all, RING);
	for (uint64_t i = 95; i < 100; i -= 10) {
		assert_true(chronicle_search(all, RING, &k, &n, &e));
		assert_int_equal(n, i);
		assert_is(&e, 5);
	}
	assert_false(chronicle_search(all, RING, &k, &n, &e));
	k.port = 6;
	n = chronicle_next(all, RING);
	assert_false(chronicle_search(all, RING, &k, &n, &e));
	n = chronicle_next(all, RING);
	assert_true(chronicle_search(all, RING, &(struct chronicle_key){ .conn = 7 }, &n, &e));
	assert_int_equal(n, 97);
	k = (struct chronicle_key){ .family = AF_INET6, .any_address = true };
	n = chronicle_next(all, RING);
	assert_true(chronicle_search(all, RING, &k, &n, &e));
	assert_int_equal(n, 100);
}

/* Where that a ring has come to is what some process says, and may be anything. */
static void test_search_from_anywhere(void **state)
{
	const struct chronicle_key k = { .conn = 1000 };
	struct chronicle_entry e;
	uint64_t far = 1 << 20, n = far;

	(void)state;
	write_one(0);
	assert_false(chronicle_search(all, RING, &k, &n, &e));
	assert_int_equal(far - n, CHRONICLE_DAEMON_SIZE);
}

/* Where the rings of the memory are: the number of the next entry of ours. */
static _Atomic uint64_t *next_of_ring(void)
{
	uint64_t *words = segment.at;

	for (size_t i = 0; i < 4096 / sizeof(*words); i++)
		if (words[i] == chronicle_next(all, RING))
			return (_Atomic uint64_t *)&words[i];
	return NULL;
}

/* A process that is out of its mind sets a ring back and forth: nobody goes through what it has not. */
static void test_a_span_is_of_one_moment(void **state)
{
	_Atomic uint64_t *next;
	pid_t pid;

	(void)state;
	for (int i = 0; i < 12345; i++)
		write_one((uint64_t)i);
	next = next_of_ring();
	assert_non_null(next);
	pid = fork();
	assert_true(pid >= 0);
	while (pid == 0)
		for (uint64_t n = 0; n < 64; n++)
			atomic_store(next, (uint64_t)1 << n);
	while (chronicle_next(all, RING) == 12345)
		;
	for (int i = 0; i < 2000000; i++) {
		struct chronicle_span s = chronicle_span(all, RING);

		if (s.next - s.oldest > CHRONICLE_DAEMON_SIZE)
			fail_msg("from %#jx to %#jx", (uintmax_t)s.oldest, (uintmax_t)s.next);
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_texts(void **state)
{
	char path[300], name[300];
	struct chronicle_entry e = { .event = LOG_EVENT_CONN_OPEN }, found;

	(void)state;
	memset(path, 'p', sizeof(path) - 1);
	memset(name, 'n', sizeof(name) - 1);
	path[sizeof(path) - 1] = name[sizeof(name) - 1] = '\0';
	chronicle_put_texts(&e, path, name);
	assert_int_equal(e.name, CHRONICLE_NAME_MAX);
	assert_int_equal(e.what + e.name, CHRONICLE_TEXT_MAX);
	assert_int_equal(e.text[e.what - 1], 'p');
	assert_int_equal(e.text[e.what], 'n');
	chronicle_write(all, RING, &e);
	assert_int_equal(read_one(0, &found), CHRONICLE_WHOLE);
	assert_memory_equal(&found, &e, sizeof(e));
	/* no half of a character */
	memcpy(path + CHRONICLE_TEXT_MAX - 1, "\xc3\xa9", 2);
	chronicle_put_texts(&e, path, NULL);
	assert_int_equal(e.what, CHRONICLE_TEXT_MAX - 1);
	chronicle_put_texts(&e, NULL, NULL);
	assert_int_equal(e.what + e.name, 0);
}

/* Of a user and a room it is what the others leave space for. */
static void test_room(void **state)
{
	struct chronicle_entry e = { .event = LOG_EVENT_CONN_OPEN }, found;
	char room[300];

	(void)state;
	memset(room, 'r', sizeof(room) - 1);
	room[sizeof(room) - 1] = '\0';
	chronicle_put_texts(&e, "/{x}", "name");
	chronicle_put_room(&e, "/room");
	assert_int_equal(e.room, 5);
	chronicle_write(all, RING, &e);
	assert_int_equal(read_one(0, &found), CHRONICLE_WHOLE);
	assert_memory_equal(&found, &e, sizeof(e));
	assert_memory_equal(found.text, "/{x}name/room", 13);
	chronicle_put_user(&e, "ann");
	chronicle_put_room(&e, "/room");
	assert_memory_equal(e.text, "/{x}nameann/room", 16);
	chronicle_put_user(&e, room);
	assert_int_equal(e.user, CHRONICLE_NAME_MAX);
	chronicle_put_room(&e, room);
	assert_int_equal(e.room, CHRONICLE_TEXT_MAX - 8 - CHRONICLE_NAME_MAX);
	chronicle_write(all, RING, &e);
	assert_int_equal(read_one(1, &found), CHRONICLE_WHOLE);
	assert_memory_equal(&found, &e, sizeof(e));
	chronicle_put_texts(&e, room, NULL);
	chronicle_put_user(&e, "ann");
	chronicle_put_room(&e, NULL);
	assert_int_equal(e.user + e.room, 0);
}

/* What no process of ours writes, with the sum that it ought to have. */
static void test_lies(void **state)
{
	struct chronicle_entry e, lies[6];

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++)
		lies[i] = entry_of(1);
	lies[0].event = LOG_EVENT_COUNT;
	lies[1].event = LOG_EVENT_NONE;
	lies[2].reason = REASON_COUNT;
	lies[3].name = CHRONICLE_TEXT_MAX - lies[3].what + 1;
	lies[4].room = CHRONICLE_TEXT_MAX - lies[4].what + 1;
	lies[5].user = CHRONICLE_TEXT_MAX - lies[5].what + 1;
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		chronicle_write(all, RING, &lies[i]);
		assert_int_equal(read_one(i, &e), CHRONICLE_TORN);
	}
}

/* Whatever one bit of an entry is turned to, nobody takes it for what was written. */
static void test_a_bit_turned(void **state)
{
	uint8_t *bytes = segment.at, *at = NULL;
	const size_t used = offsetof(struct chronicle_entry, text) + 9;
	struct chronicle_entry e;

	(void)state;
	write_one(9);
	for (size_t i = 0; i + sizeof(e) < segment.mapped && !at; i += 8)
		if (memcmp(bytes + i, (uint64_t[]){ 63, 9, 27, 0 }, 32) == 0)
			at = bytes + i;
	assert_non_null(at);
	for (size_t bit = 0; bit < used * 8; bit++) {
		/* all but the lowest one of what is a bool are put right */
		if (bit / 8 == offsetof(struct chronicle_entry, asked) && bit % 8 != 0)
			continue;
		at[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(read_one(0, &e), CHRONICLE_TORN);
		at[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(read_one(0, &e), CHRONICLE_WHOLE);
}

/* --- several processes --- */

static void write_many(int writer)
{
	for (uint64_t i = 0; i < EACH; i++)
		write_one(i * WRITERS + (uint64_t)writer);
	_exit(0);
}

/* What is whole is what one of them wrote. Returns how many are, of the last round. */
static size_t read_all(void)
{
	struct chronicle_entry e;
	uint64_t next = chronicle_next(all, RING);
	size_t whole = 0;

	for (uint64_t n = chronicle_span(all, RING).oldest; n < next; n++)
		if (read_one(n, &e) == CHRONICLE_WHOLE) {
			assert_is(&e, e.conn);
			whole++;
		}
	return whole;
}

/* They write over each other's entries all the time, and two of them are killed meanwhile. */
static void test_many_at_once(void **state)
{
	pid_t pids[WRITERS];
	size_t seen = 0;
	int status;

	(void)state;
	for (int i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			write_many(i);
	}
	while (waitpid(pids[0], &status, WNOHANG) == 0) {
		seen += read_all();
		if (seen > 100) {
			kill(pids[1], SIGKILL);
			kill(pids[2], SIGKILL);
		}
	}
	for (int i = 1; i < WRITERS; i++)
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
	assert_in_range(chronicle_next(all, RING), 2 * EACH, WRITERS * EACH);
	/* all but those in the midst of which somebody was ended */
	assert_in_range(read_all(), CHRONICLE_DAEMON_SIZE - 2, CHRONICLE_DAEMON_SIZE);
}

/* Starts a process that is traced through the writing of one entry. -1: it cannot be. */
static pid_t start(uint64_t number)
{
	pid_t pid = fork();

	if (pid == 0) {
		const struct chronicle_entry e = entry_of(number);

		step_begin();
		chronicle_write(all, RING, &e);
		raise(SIGSTOP);
		_exit(0);
	}
	return step_ready(pid) ? pid : -1;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/*
 * Killed after each instruction: the entry is there, or a number has none; who comes behind it is
 * heard, and nobody before it is lost.
 */
static void test_killed_anywhere(void **state)
{
	unsigned whole = 0, torn = 0, none = 0;
	struct chronicle_entry e;

	(void)state;
	write_one(1);
	for (unsigned at = 0, more = 1; more && at < TOO_MANY_STEPS; at++) {
		uint64_t before = chronicle_next(all, RING), n;
		pid_t pid = start(1000 + at);

		if (pid < 0)
			skip();
		more = step(pid, at) == at;
		end(pid);
		n = chronicle_next(all, RING);
		assert_in_range(n - before, 0, 1);
		if (n == before)
			none++;
		else if (read_one(before, &e) == CHRONICLE_WHOLE)
			whole++, assert_is(&e, 1000 + at);
		else
			torn++;
		write_one(at);
		assert_int_equal(read_one(n, &e), CHRONICLE_WHOLE);
		assert_is(&e, at);
		assert_int_equal(read_one(before - 1, &e), CHRONICLE_WHOLE);
	}
	assert_true(none > 0);
	assert_true(whole > 0);
	assert_true(torn > 10);
}

/*
 * Stopped after each instruction for a whole round of the ring, and then gone on with: it writes over
 * what came a round behind it. Both are gone then, or one of them is there, but never a mixture.
 */
static void test_slept_for_a_round(void **state)
{
	unsigned mixed = 0;
	struct chronicle_entry e;

	(void)state;
	for (unsigned at = 0, more = 1; more && at < TOO_MANY_STEPS; at++) {
		uint64_t before = chronicle_next(all, RING);
		pid_t pid = start(500000 + at);

		if (pid < 0)
			skip();
		more = step(pid, at) == at;
		for (uint64_t i = 0; i < CHRONICLE_DAEMON_SIZE; i++)
			write_one(i);
		if (more)
			step(pid, TOO_MANY_STEPS);
		end(pid);
		/* one of them is asked for by a number that the place may have had from the other */
		for (uint64_t n = before; n < chronicle_next(all, RING); n++)
			if (read_one(n, &e) == CHRONICLE_WHOLE)
				assert_is(&e, e.conn);
			else if (n >= chronicle_span(all, RING).oldest)
				mixed++;
	}
	assert_true(mixed > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_yet, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_round_and_round, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rings_are_apart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_search, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_search_from_anywhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_span_is_of_one_moment, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_texts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lies, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_bit_turned, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_killed_anywhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_slept_for_a_round, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
