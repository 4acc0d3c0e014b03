/* Whether it is seen that a peer takes what waits for it. */
// links: base net
#include <linux/filter.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/uptake.h"
#include "tcp_pair.h"

static int fd, peer;

static int end(void **state)
{
	(void)state;
	close(fd);
	close(peer);
	return 0;
}

/* A connection whose peer has room for little. */
static int begin_tcp(void **state)
{
	(void)state;
	fd = tcp_pair(&peer);
	return 0;
}

static int begin_unix(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	fd = fds[0];
	peer = fds[1];
	return 0;
}

static void say(size_t count)
{
	static const char bytes[1000];

	for (size_t i = 0; i < count; i++)
		assert_int_equal(send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL), sizeof(bytes));
}

/* Returns how much the peer had of it. */
static size_t hear_some(size_t most)
{
	static char bytes[100000];
	const ssize_t n = recv(peer, bytes, most, 0);

	assert_true(n > 0);
	return (size_t)n;
}

/* All that the peer has read it has, as soon as its kernel has said so. */
static void assert_all_taken(void)
{
	struct uptake u;
	int ms = 0;

	for (; uptake_look(fd, &u) && ms < 10000; ms++)
		poll(NULL, 0, 1);
	assert_true(ms < 10000);
}

static void test_nothing_waits(void **state)
{
	struct uptake u;

	(void)state;
	assert_false(uptake_look(fd, &u));
	say(1);
	hear_some(1000);
	assert_all_taken();
}

/* False: all is taken. */
static bool look_until_more(struct uptake *u, uint64_t before)
{
	bool waits = uptake_look(fd, u);
	int ms = 0;

	for (; waits && u->taken <= before && ms < 10000; ms++) {
		poll(NULL, 0, 1);
		waits = uptake_look(fd, u);
	}
	assert_true(ms < 10000);
	return waits;
}

/* Until all has come it is seen whenever something more has. */
static void test_more_is_taken(void **state)
{
	enum { COUNT = 60 };
	struct uptake before, u;
	size_t heard = 0, steps = 0;

	(void)state;
	say(COUNT);
	assert_true(uptake_look(fd, &u));
	while (heard < COUNT * 1000) {
		before = u;
		/* the kernel tells of new room when there is enough of it */
		for (int i = 0; i < 10 && heard < COUNT * 1000; i++)
			heard += hear_some(1000);
		if (!look_until_more(&u, before.taken))
			break;
		steps++;
	}
	assert_true(steps > 3);
	while (heard < COUNT * 1000)
		heard += hear_some(100000);
	assert_all_taken();
}

static void test_nothing_is_taken(void **state)
{
	struct uptake before, u;

	(void)state;
	say(60);
	assert_true(uptake_look(fd, &before));
	say(1);
	assert_true(uptake_look(fd, &u));
	assert_true(u.taken <= before.taken);
}

/* A kernel that nothing comes to any more does not say anything either. */
static void test_silence(void **state)
{
	enum { MS = 100 };
	struct sock_filter nothing[] = { { BPF_RET | BPF_K, 0, 0, 0 } };
	struct sock_fprog filter = { 1, nothing };
	struct uptake u;

	(void)state;
	say(1);
	hear_some(1000);
	assert_int_equal(setsockopt(peer, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)),
			 0);
	say(1);
	poll(NULL, 0, MS);
	assert_true(uptake_look(fd, &u));
	assert_true(u.silent > MS / 2);
	assert_int_equal(setsockopt(peer, SOL_SOCKET, SO_DETACH_FILTER, &filter, sizeof(filter)),
			 0);
	/* it is sent again, and acknowledged */
	hear_some(1000);
	assert_all_taken();
}

#define TCP(t) cmocka_unit_test_setup_teardown(t, begin_tcp, end)
#define UNIX(t) cmocka_unit_test_setup_teardown(t, begin_unix, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TCP(test_nothing_waits),     TCP(test_more_is_taken),  TCP(test_nothing_is_taken),
		TCP(test_silence),           UNIX(test_nothing_waits), UNIX(test_more_is_taken),
		UNIX(test_nothing_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
