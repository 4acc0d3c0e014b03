/* When a transport calls: for what it was asked, and for what has come already. */
// links: base proto bus config net
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/transport.h"

static struct event_base *base;
static struct transport t;
static int peer;
static unsigned reads, writes;

static void count_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	assert_ptr_equal(arg, &t);
	reads += (what & EV_READ) != 0;
	writes += (what & EV_WRITE) != 0;
}

static int begin(void **state)
{
	int fds[2];

	(void)state;
	base = event_base_new();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(transport_init(&t, base, fds[0], count_cb, &t), 0);
	peer = fds[1];
	reads = writes = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	transport_fini(&t);
	assert_int_equal(transport_blocked, 0);
	close(peer);
	event_base_free(base);
	return 0;
}

/* One turn of the loop: how often it was called to read, and to write. */
static void assert_calls(unsigned to_read, unsigned to_write)
{
	event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	assert_int_equal(reads, to_read);
	assert_int_equal(writes, to_write);
	reads = writes = 0;
}

static void test_what_it_was_asked_for(void **state)
{
	(void)state;
	assert_calls(0, 0);
	assert_int_equal(write(peer, "x", 1), 1);
	assert_calls(1, 0);
	assert_int_equal(transport_want(&t, true, true), 0);
	assert_calls(1, 1);
	assert_int_equal(transport_blocked, 1);
	assert_int_equal(transport_want(&t, false, true), 0);
	assert_int_equal(transport_blocked, 1);
	assert_calls(0, 1);
	/* who is not to be read from does not keep the worker busy */
	assert_int_equal(transport_want(&t, false, false), 0);
	assert_calls(0, 0);
	assert_int_equal(transport_blocked, 0);
	assert_int_equal(transport_want(&t, true, false), 0);
	assert_calls(1, 0);
	/* it ends while it is one */
	assert_int_equal(transport_want(&t, true, true), 0);
}

/* No event tells of what was taken in already; that call waits until it is read from again. */
static void test_what_has_come_already(void **state)
{
	(void)state;
	transport_read_again(&t);
	assert_calls(1, 0);
	assert_int_equal(transport_want(&t, false, false), 0);
	transport_read_again(&t);
	assert_calls(0, 0);
	assert_int_equal(transport_want(&t, true, false), 0);
	assert_calls(1, 0);
}

/* It is not lost either when something else is asked for ahead of it. */
static void test_call_that_is_due(void **state)
{
	(void)state;
	transport_read_again(&t);
	assert_int_equal(transport_want(&t, true, true), 0);
	event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	assert_true(reads >= 1);
}

static void test_peek_and_skip(void **state)
{
	char bytes[10000], got[10];

	(void)state;
	memset(bytes, 'a', sizeof(bytes));
	memcpy(bytes + 9000, "rest", 4);
	assert_int_equal(write(peer, bytes, 9004), 9004);
	assert_int_equal(transport_peek(&t, got, sizeof(got)), sizeof(got));
	assert_memory_equal(got, bytes, sizeof(got));
	assert_true(transport_skip(&t, 0));
	assert_true(transport_skip(&t, 9000));
	assert_int_equal(transport_peek(&t, got, sizeof(got)), 4);
	assert_memory_equal(got, "rest", 4);
	/* more than there is */
	assert_false(transport_skip(&t, 5));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_it_was_asked_for),
		TEST(test_what_has_come_already),
		TEST(test_call_that_is_due),
		TEST(test_peek_and_skip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
