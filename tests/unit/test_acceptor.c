/*
 * Taking connections off a listening socket: who they are, how many a second, and what happens when
 * it ends or descriptors run out.
 */
// links: base proto bus config net
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "failing.h"
#include "net/acceptor.h"

enum { MANY = 200 };

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
};

static struct event_base *base;
static struct acceptor *acceptor;
static int listening, copy; /* the acceptor's, and one of ours of the same socket */
static union address where;
static socklen_t where_len;
static int clients[MANY];
static size_t client_count;

static int accepted[MANY];
static size_t count;
static struct net_peer peers[MANY];
static void *last_arg;

static size_t places = MANY; /* how many more there are */
static size_t a_turn = MANY; /* for how many it has time */
static void *gone_arg;

static bool may(void)
{
	return places > 0;
}

static void gone(void *arg)
{
	gone_arg = arg;
	acceptor = NULL;
}

static bool take(int fd, const struct net_peer *peer, void *arg)
{
	places--;
	accepted[count] = fd;
	peers[count++] = *peer;
	last_arg = arg;
	return count % a_turn != 0;
}

/* For that family, on an address that the kernel chooses. */
static bool listen_on(int family)
{
	where = (union address){ .sa.sa_family = (sa_family_t)family };
	where_len = family == AF_INET ? sizeof(where.in) : sizeof(where.in6);
	if (family == AF_INET)
		where.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else if (family == AF_INET6)
		where.in6.sin6_addr = in6addr_loopback;
	else
		where_len = sizeof(sa_family_t);
	listening = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listening < 0 || bind(listening, &where.sa, where_len) < 0)
		return false;
	where_len = sizeof(where);
	assert_int_equal(getsockname(listening, &where.sa, &where_len), 0);
	assert_int_equal(listen(listening, MANY), 0);
	copy = dup(listening);
	return true;
}

static void start(int family)
{
	if (!listen_on(family))
		skip();
	acceptor = acceptor_new(base, listening, may, take, &base);
	assert_non_null(acceptor);
}

static int begin(void **state)
{
	(void)state;
	base = event_base_new();
	acceptor = NULL;
	copy = -1;
	count = client_count = 0;
	places = a_turn = MANY;
	gone_arg = NULL;
	return base ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	acceptor_finish_no_more();
	if (acceptor)
		acceptor_free(acceptor);
	while (count > 0)
		close(accepted[--count]);
	while (client_count > 0)
		close(clients[--client_count]);
	if (copy >= 0)
		close(copy);
	event_base_free(base);
	return 0;
}

/* Returns the one that has connected, or -1. */
static int call(void)
{
	int fd = socket(where.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (connect(fd, &where.sa, where_len) < 0) {
		close(fd);
		return -1;
	}
	clients[client_count++] = fd;
	return fd;
}

/* Until so many were accepted; the loop sleeps when there is nothing to do. */
static void wait_for(size_t n)
{
	while (count < n)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	assert_int_equal(count, n);
}

/* --- who they are --- */

static const char *text_of(const struct net_peer *p)
{
	static char text[NET_PEER_TEXT_MAX];

	return net_peer_format(p, text);
}

static void check_tcp(int family, const char *form)
{
	union address own;
	socklen_t len = sizeof(own);
	char expected[NET_PEER_TEXT_MAX];

	start(family);
	assert_int_equal(getsockname(call(), &own.sa, &len), 0);
	wait_for(1);
	snprintf(expected, sizeof(expected), form,
		 ntohs(family == AF_INET ? own.in.sin_port : own.in6.sin6_port));
	assert_string_equal(text_of(&peers[0]), expected);
	assert_ptr_equal(last_arg, &base);
	assert_true(fcntl(accepted[0], F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(accepted[0], F_GETFD) & FD_CLOEXEC);
}

static void test_ipv4(void **state)
{
	(void)state;
	check_tcp(AF_INET, "127.0.0.1:%u");
}

static void test_ipv6(void **state)
{
	(void)state;
	check_tcp(AF_INET6, "[::1]:%u");
}

static void test_unix(void **state)
{
	char expected[NET_PEER_TEXT_MAX];

	(void)state;
	start(AF_UNIX);
	call();
	wait_for(1);
	snprintf(expected, sizeof(expected), "unix:uid=%u,pid=%d", geteuid(), getpid());
	assert_string_equal(text_of(&peers[0]), expected);
}

static void check_peer(uint8_t family, const char *address, uint16_t port, const char *expected)
{
	uint8_t bytes[16] = { 0 };
	struct net_peer p;

	assert_int_equal(inet_pton(family, address, bytes), 1);
	p = net_peer_of(family, bytes, port);
	assert_string_equal(text_of(&p), expected);
}

static uint64_t network_of(const char *address)
{
	const uint8_t family = strchr(address, ':') ? AF_INET6 : AF_INET;
	uint8_t bytes[16] = { 0 };
	struct net_peer p;

	assert_int_equal(inet_pton(family, address, bytes), 1);
	p = net_peer_of(family, bytes, 80);
	return net_peer_network(&p);
}

static void test_peers(void **state)
{
	struct net_peer nobody = { .family = AF_UNIX };
	struct sockaddr_storage sa = { .ss_family = AF_UNIX };

	(void)state;
	check_peer(AF_INET, "192.0.2.1", 4711, "192.0.2.1:4711");
	check_peer(AF_INET, "192.0.2.1", 0, "192.0.2.1");
	check_peer(AF_INET6, "2001:db8::1", 65535, "[2001:db8::1]:65535");
	check_peer(AF_INET6, "2001:db8::1", 0, "2001:db8::1");
	check_peer(AF_INET6, "::ffff:192.0.2.1", 80, "192.0.2.1:80");
	assert_int_equal(network_of("192.0.2.1"), 0xffffffffc0000201);
	assert_int_equal(network_of("2001:db8:1:2:3:4:5:6"), 0x20010db800010002);
	assert_int_equal(network_of("2001:db8:1:2::"), 0x20010db800010002);
	assert_int_equal(network_of("::c000:201"), 0);
	assert_string_equal(text_of(&nobody), "unix");
	net_peer_set(&nobody, &sa, -1);
	assert_string_equal(text_of(&nobody), "unix");
}

/* --- how many --- */

/* What comes at once is more than one turn takes; the next ones take the rest. */
static void test_more_than_a_turn(void **state)
{
	(void)state;
	start(AF_INET);
	for (size_t i = 0; i < MANY; i++)
		assert_true(call() >= 0);
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_in_range(count, 1, MANY - 1);
	wait_for(MANY);
}

static void turn(void)
{
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

/* A turn may have no time for more, however few there were. */
static void test_no_more_time(void **state)
{
	(void)state;
	start(AF_INET);
	a_turn = 3;
	for (int i = 0; i < 8; i++)
		call();
	for (size_t n = 3; n <= 6; n += 3) {
		turn();
		assert_int_equal(count, n);
	}
	turn();
	assert_int_equal(count, 8);
}

static int64_t tenths(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (int64_t)t.tv_sec * 10 + t.tv_nsec / 100000000;
}

/* No more than the rate allows for the time that has passed, and all of them in the end. */
static void test_rate(void **state)
{
	int64_t began;
	size_t n = 12;

	(void)state;
	start(AF_UNIX);
	acceptor_set(acceptor, &count, 20);
	for (size_t i = 0; i < n; i++)
		call();
	began = tenths();
	while (count < n) {
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
		assert_true(count <= 2 * (size_t)(tenths() - began + 1));
	}
	assert_ptr_equal(last_arg, &count);
	/* and without one at once */
	acceptor_set(acceptor, &base, 0);
	for (size_t i = 0; i < n; i++)
		call();
	wait_for(2 * n);
	assert_ptr_equal(last_arg, &base);
}

/* What a tenth of a second cannot have whole goes to the first tenths of the second. */
static void test_rate_below_ten(void **state)
{
	int64_t began;

	(void)state;
	start(AF_UNIX);
	acceptor_set(acceptor, NULL, 3);
	for (size_t i = 0; i < 4; i++)
		call();
	began = tenths();
	/* each in another one, whenever we come to look */
	for (size_t i = 1; i <= 4; i++) {
		wait_for(i);
		assert_true(count <= (size_t)(tenths() - began + 1));
	}
}

/* Who has no place waits in the queue, and is taken when somebody has gone, not by the clock. */
static void test_places(void **state)
{
	(void)state;
	start(AF_INET);
	places = 3;
	for (int i = 0; i < 5; i++)
		call();
	wait_for(3);
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_int_equal(count, 3);
	/* one that asks in vain */
	acceptor_go_on();
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_int_equal(count, 3);
	places = 1;
	acceptor_go_on();
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_int_equal(count, 4);
	/* and by the clock, where nobody says so */
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	places = 1;
	wait_for(5);
}

/* A worker that has no place sleeps. */
static void test_without_a_place_it_sleeps(void **state)
{
	int turns = 0;

	(void)state;
	start(AF_INET);
	places = 0;
	call();
	for (int64_t until = tenths() + 3; tenths() < until; turns++)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	assert_in_range(turns, 1, 12);
	assert_int_equal(count, 0);
	/* and ends whatever it waits for */
	acceptor_free(acceptor);
	acceptor = NULL;
	acceptor_go_on();
}

/* --- the end --- */

static void finish(enum acceptor_end end)
{
	acceptor_finish(acceptor, end, gone);
}

static void test_who_waits_is_taken(void **state)
{
	(void)state;
	start(AF_INET);
	for (int i = 0; i < 5; i++)
		call();
	/* whatever the rate, and whether there is a place */
	acceptor_set(acceptor, &count, 1);
	places = 1;
	finish(ACCEPTOR_LEAVES);
	assert_int_equal(count, 5);
	assert_ptr_equal(gone_arg, &count);
	assert_int_equal(fcntl(listening, F_GETFD), -1);
	/* whoever has a copy goes on with it */
	assert_true(call() >= 0);
}

/* As many a turn as it has time for: nobody is reset, and then the socket is closed. */
static void test_who_waits_is_taken_in_portions(void **state)
{
	(void)state;
	start(AF_INET);
	a_turn = 2;
	for (int i = 0; i < 5; i++)
		call();
	finish(ACCEPTOR_SHUTS);
	assert_int_equal(count, 2);
	assert_true(acceptor_some_finish());
	turn();
	assert_int_equal(count, 4);
	assert_null(gone_arg);
	turn();
	assert_int_equal(count, 5);
	turn();
	assert_ptr_equal(gone_arg, &base);
	assert_false(acceptor_some_finish());
	assert_int_equal(call(), -1);
}

/* It went to sleep for want of a place, and does not wait for one any more. */
static void test_who_waits_for_a_place_is_taken(void **state)
{
	(void)state;
	start(AF_INET);
	places = 1;
	a_turn = 2;
	for (int i = 0; i < 4; i++)
		call();
	turn();
	assert_int_equal(count, 1);
	finish(ACCEPTOR_LEAVES);
	assert_int_equal(count, 2);
	turn();
	assert_int_equal(count, 4);
	turn();
	assert_ptr_equal(gone_arg, &base);
}

static void test_finishes_no_more(void **state)
{
	(void)state;
	start(AF_INET);
	a_turn = 1;
	for (int i = 0; i < 3; i++)
		call();
	finish(ACCEPTOR_SHUTS);
	acceptor_finish_no_more();
	assert_int_equal(count, 1);
	assert_ptr_equal(gone_arg, &base);
	assert_false(acceptor_some_finish());
	assert_int_equal(call(), -1);
}

/* Who comes all the time does not keep it from its end. */
static void test_finishes_in_any_case(void **state)
{
	enum { CROWD = 100, MOST = 65536 };
	size_t served = 0;

	(void)state;
	start(AF_UNIX);
	for (int i = 0; i < CROWD; i++)
		call();
	a_turn = 1;
	finish(ACCEPTOR_LEAVES);
	a_turn = MANY;
	while (!gone_arg) {
		size_t n = count;

		served += n;
		assert_in_range(served, 1, MOST);
		while (count > 0)
			close(accepted[--count]);
		for (size_t i = 0; i < n; i++)
			close(clients[i]);
		memmove(clients, clients + n, (CROWD - n) * sizeof(*clients));
		client_count -= n;
		while (client_count < CROWD)
			call();
		turn();
	}
	assert_int_equal(served + count, MOST);
}

static void test_shut(void **state)
{
	(void)state;
	start(AF_INET);
	call();
	finish(ACCEPTOR_SHUTS);
	assert_int_equal(count, 1);
	turn();
	assert_int_equal(call(), -1);
}

/* Who is about to connect has a while for it; there is an end to that. */
static void test_makes_way(void **state)
{
	int looks = 0;

	(void)state;
	start(AF_INET);
	call();
	finish(ACCEPTOR_MAKES_WAY);
	assert_int_equal(count, 1);
	turn();
	assert_null(gone_arg);
	assert_true(acceptor_some_finish());
	for (; !gone_arg; looks++)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	assert_in_range(looks, 4, 20);
	assert_int_equal(call(), -1);
}

/* Whoever begins to connect behind the last look is not reset, but comes to another socket. */
static void test_who_comes_last_comes_elsewhere(void **state)
{
	const struct timeval tries = { .tv_sec = 10 };
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct pollfd p = { .events = POLLOUT };
	int other, error = -1;

	(void)state;
	start(AF_INET);
	finish(ACCEPTOR_SHUTS);
	assert_int_equal(getsockname(listening, (struct sockaddr *)&sa, &len), 0);
	p.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_true(p.fd >= 0);
	assert_int_equal(connect(p.fd, (struct sockaddr *)&sa, len), -1);
	assert_int_equal(errno, EINPROGRESS);
	turn();
	assert_ptr_equal(gone_arg, &base);
	assert_int_equal(count, 0);
	other = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(setsockopt(other, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)), 0);
	assert_int_equal(bind(other, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(other, 1), 0);
	assert_int_equal(poll(&p, 1, (int)tries.tv_sec * 1000), 1);
	len = sizeof(error);
	assert_int_equal(getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	assert_int_equal(error, 0);
	close(p.fd);
	close(other);
}

static void test_free_takes_nobody(void **state)
{
	(void)state;
	start(AF_INET);
	call();
	acceptor_free(acceptor);
	acceptor = NULL;
	assert_int_equal(count, 0);
	assert_int_equal(fcntl(listening, F_GETFD), -1);
	assert_true(call() >= 0);
}

/* --- what runs out --- */

static void test_no_memory(void **state)
{
	(void)state;
	assert_true(listen_on(AF_INET));
	failing_nth(1);
	assert_null(acceptor_new(base, listening, may, take, NULL));
	assert_true(failing_end());
	assert_int_equal(fcntl(listening, F_GETFD), -1);
}

static int64_t milliseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* One turn of the loop in which no descriptor is left but the one that is kept for this. */
static void turn_without_files(void)
{
	struct rlimit before, none;
	int lowest = dup(copy);

	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){ (rlim_t)lowest, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* One is turned away, who then knows; the others are taken a quarter of a second later. */
static void test_no_files(void **state)
{
	int64_t began;
	char byte;

	(void)state;
	start(AF_INET);
	call();
	call();
	began = milliseconds();
	turn_without_files();
	assert_int_equal(count, 0);
	assert_int_equal(recv(clients[0], &byte, 1, 0), 0);
	wait_for(1);
	assert_true(milliseconds() - began >= 200);
	assert_int_equal(send(accepted[0], "x", 1, 0), 1);
	assert_int_equal(recv(clients[1], &byte, 1, 0), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ipv4),
		TEST(test_ipv6),
		TEST(test_unix),
		TEST(test_peers),
		TEST(test_more_than_a_turn),
		TEST(test_no_more_time),
		TEST(test_rate),
		TEST(test_rate_below_ten),
		TEST(test_places),
		TEST(test_without_a_place_it_sleeps),
		TEST(test_who_waits_is_taken),
		TEST(test_who_waits_is_taken_in_portions),
		TEST(test_who_waits_for_a_place_is_taken),
		TEST(test_finishes_no_more),
		TEST(test_who_comes_last_comes_elsewhere),
		TEST(test_finishes_in_any_case),
		TEST(test_shut),
		TEST(test_makes_way),
		TEST(test_free_takes_nobody),
		TEST(test_no_memory),
		TEST(test_no_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
