/* Which sockets take much, how many of them there are, and whose place is another's. */
// links: base proto bus config net
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/account.h"
#include "net/socket.h"
#include "net/transport.h"
#include "net/wide.h"
#include "tcp_pair.h"

enum { COUNT = WIDE_MAX + 1, PLENTY = COUNT * WIDE_BYTES };

static struct event_base *base;
static struct transport t[COUNT];
static int peers[COUNT], begun;

static void never_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* A connection whose peer takes little. */
static void begin_tcp(int i)
{
	int fd = tcp_pair(&peers[i]);

	assert_int_equal(socket_set_unsent(fd, SOCKET_UNSENT_MAX), 0);
	assert_int_equal(transport_init(&t[i], base, fd, never_cb, NULL), 0);
	begun = i + 1;
}

static int begin(void **state)
{
	(void)state;
	base = event_base_new();
	return 0;
}

static int end(void **state)
{
	(void)state;
	while (begun-- > 0) {
		transport_fini(&t[begun]);
		close(peers[begun]);
	}
	begun = 0;
	event_base_free(base);
	/* whoever ends gives his place back */
	assert_int_equal(account_bytes, 0);
	return 0;
}

/* Writes until it takes no more; returns how much it took. */
static size_t fill(struct transport *x)
{
	static char bytes[64 * 1024];
	size_t sum = 0;
	ssize_t n;

	while ((n = send(x->fd, bytes, sizeof(bytes), MSG_NOSIGNAL)) > 0)
		sum += (size_t)n;
	return sum;
}

static void test_takes_more(void **state)
{
	size_t few, more;

	(void)state;
	begin_tcp(0);
	few = fill(&t[0]);
	assert_in_range(few, SOCKET_UNSENT_MAX / 2, 2 * SOCKET_UNSENT_MAX);
	assert_int_equal(wide_excess(&t[0]), 0);
	assert_true(wide_ask(&t[0], PLENTY));
	assert_int_equal(account_bytes, WIDE_BYTES);
	more = fill(&t[0]);
	assert_true(more > 2 * SOCKET_UNSENT_MAX);
	/* by the memory that it takes, which is more than the bytes */
	assert_in_range(wide_excess(&t[0]), more + few - SOCKET_UNSENT_MAX, 2 * (more + few));
	/* once */
	assert_false(wide_ask(&t[0], PLENTY));
	assert_int_equal(account_bytes, WIDE_BYTES);
}

static void test_no_tcp(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(transport_init(&t[0], base, fds[0], never_cb, NULL), 0);
	peers[0] = fds[1];
	begun = 1;
	assert_false(wide_ask(&t[0], PLENTY));
	assert_int_equal(account_bytes, 0);
}

/* Each of the two in turn gives its place, but not while it holds much. */
static void test_places(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		begin_tcp(i);
	assert_false(wide_ask(&t[0], WIDE_BYTES - 1));
	assert_true(wide_ask(&t[0], 2 * WIDE_BYTES));
	assert_true(wide_ask(&t[1], 2 * WIDE_BYTES));
	assert_true(wide_ask(&t[2], 2 * WIDE_BYTES));
	assert_false(t[0].wide);
	assert_true(t[1].wide && t[2].wide);
	assert_in_range(fill(&t[0]), SOCKET_UNSENT_MAX / 2, 2 * SOCKET_UNSENT_MAX);
	fill(&t[1]);
	assert_true(wide_excess(&t[1]) > 0);
	assert_false(wide_ask(&t[3], 2 * WIDE_BYTES));
	assert_true(wide_ask(&t[3], 2 * WIDE_BYTES));
	assert_true(t[1].wide && !t[2].wide && t[3].wide);
	/* both hold much */
	fill(&t[3]);
	for (int i = 0; i < 4; i++)
		assert_false(wide_ask(&t[4], 2 * WIDE_BYTES));
	assert_int_equal(account_bytes, 2 * WIDE_BYTES);
	/* less is to be spent by now, and then there are none */
	assert_false(wide_ask(&t[4], WIDE_BYTES));
	wide_forget(&t[1]);
	wide_forget(&t[1]);
	assert_int_equal(account_bytes, WIDE_BYTES);
	assert_true(wide_ask(&t[4], 2 * WIDE_BYTES));
}

static void test_many(void **state)
{
	(void)state;
	for (int i = 0; i < COUNT; i++) {
		begin_tcp(i);
		assert_true(wide_ask(&t[i], PLENTY));
	}
	assert_int_equal(account_bytes, (size_t)WIDE_MAX * WIDE_BYTES);
	assert_false(t[0].wide);
	for (int i = 1; i < COUNT; i++)
		assert_true(t[i].wide);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_takes_more),
		TEST(test_no_tcp),
		TEST(test_places),
		TEST(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
