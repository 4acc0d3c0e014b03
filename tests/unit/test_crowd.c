/*
 * The openings of a worker: who has most of them makes way, young ones do not, and who waits to be
 * accepted is told when there is a place. Compared against a list that is looked through as a
 * whole.
 */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cmocka.h>

#include "failing.h"
#include "net/acceptor.h"
#include "session/worker.h"

enum { MOST = 8, MANY = 200, SECOND = 1100 };

static struct client clients[MANY];

static int begin(void **state)
{
	(void)state;
	worker_begin("max_handshakes = 8;\n"
		     "endpoints = ( { path = \"/\"; behaviour = \"echo\"; } );\n",
		     NULL);
	return 0;
}

static struct net_peer ipv4(uint8_t last)
{
	const uint8_t address[16] = { 192, 0, 2, last };

	return net_peer_of(AF_INET, address, 4711);
}

static struct net_peer ipv6(uint8_t network, uint8_t host)
{
	const uint8_t address[16] = { 0x20, 1, 0xd, 0xb8, 0, 0, 0, network, [15] = host };

	return net_peer_of(AF_INET6, address, 4711);
}

static void come_by(struct client *k, const struct net_peer *peer)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	k->fd = fds[0];
	k->len = 0;
	k->conn = NULL;
	session_accept(fds[1], peer, worker.listener);
	timer_each(find_conn, k);
	assert_non_null(k->conn);
}

static void come(struct client *k, uint8_t last)
{
	const struct net_peer peer = ipv4(last);

	come_by(k, &peer);
}

/* Not by its connection: the next one may be in the same place. */
static bool stays(struct client *k)
{
	return !hear(k);
}

static void go(struct client *k)
{
	close(k->fd);
	k->fd = -1;
	turn();
}

static void go_all(size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (clients[i].fd >= 0)
			go(&clients[i]);
}

/* Fills it, one each tick: three of one address, and five others. */
static void fill(void)
{
	static const uint8_t whose[MOST] = { 9, 1, 2, 1, 3, 4, 1, 5 };

	for (int i = 0; i < MOST; i++) {
		assert_true(session_may_accept());
		come(&clients[i], whose[i]);
		session_tick();
	}
}

static void test_young_ones_stay(void **state)
{
	(void)state;
	fill();
	/* the second one is of the address that has most, and was there for seven ticks */
	assert_false(session_may_accept());
	pass(300);
	assert_false(session_may_accept());
	pass(100);
	assert_true(session_may_accept());
	go_all(MOST);
	assert_true(session_may_accept());
}

/* The oldest one of the address that has most, though another is older; it is told so. */
static void test_most_makes_way(void **state)
{
	struct client next;

	(void)state;
	fill();
	say(&clients[1], "GET / HTTP/1.1\r\n");
	pass(SECOND);
	come(&next, 7);
	turn();
	assert_begins(&clients[1], "HTTP/1.1 503 ");
	assert_non_null(strstr((char *)clients[1].got, "too-many-handshakes"));
	for (int i = 0; i < MOST; i++)
		assert_int_equal(stays(&clients[i]), i != 1);
	assert_int_equal(session.row->refused[REASON_TOO_MANY_HANDSHAKES], 1);
	assert_int_equal(session.row->handshakes, MOST);
	/* now two of the first one: the older of them */
	come(&next, 8);
	turn();
	assert_false(stays(&clients[3]));
	assert_true(stays(&clients[6]));
	/* and now all have one: the oldest of all */
	come(&next, 10);
	turn();
	assert_false(stays(&clients[0]));
	for (int i = 0; i < MOST; i++)
		close(clients[i].fd);
	session_abort();
}

/* It is not to blame for what lies in its socket and was not looked at. */
static void test_who_was_not_heard_stays(void **state)
{
	struct client next;

	(void)state;
	fill();
	pass(SECOND);
	assert_int_equal(write(clients[1].fd, "GET", 3), 3);
	assert_false(session_may_accept());
	turn();
	assert_true(session_may_accept());
	/* nor is one heard that was refused */
	say(&clients[1], " / HTTP/1.1\r\nHost:\r\nHost:\r\n\r\n");
	assert_begins(&clients[1], "HTTP/1.1 400 ");
	assert_int_equal(write(clients[1].fd, "more", 4), 4);
	assert_true(session_may_accept());
	come(&next, 7);
	go(&next);
	go_all(MOST);
}

/* Where clients get through there will be a place, whoever is slow among so many. */
static void test_nobody_makes_way_while_it_moves(void **state)
{
	struct client next[2];

	(void)state;
	fill();
	pass(SECOND);
	for (int i = 0; i < 2; i++) {
		assert_true(session_may_accept());
		conn_kill(clients[i].conn, REASON_RESET);
		conn_reap();
		come(&next[i], 10);
		say(&next[i], REQUEST("/") "\r\n");
		assert_int_equal(session.row->handshakes, MOST - 1);
		come(&clients[i], 20);
	}
	/* a quarter of them, within a second */
	assert_false(session_may_accept());
	pass(200);
	assert_false(session_may_accept());
	/* that was long ago now */
	pass(100);
	assert_true(session_may_accept());
	for (int i = 0; i < 2; i++)
		go(&next[i]);
	go_all(MOST);
}

/* Not by the newcomer: what makes way is chosen among those who are there. */
static void test_own_makes_way_for_own(void **state)
{
	struct client next;

	(void)state;
	for (int i = 0; i < MOST; i++)
		come(&clients[i], 1);
	pass(SECOND);
	come(&next, 1);
	turn();
	assert_true(stays(&next));
	assert_false(stays(&clients[0]));
	go(&next);
	go_all(MOST);
}

/* One that was refused keeps its descriptor until its peer is gone: it is in the crowd still. */
static void test_refused_counts(void **state)
{
	struct client next;

	(void)state;
	fill();
	say(&clients[1], "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_begins(&clients[1], "HTTP/1.1 404 ");
	assert_int_equal(clients[1].conn->state_now, CONN_ENDING);
	assert_false(session_may_accept());
	pass(SECOND);
	clients[1].len = 0;
	come(&next, 7);
	turn();
	assert_false(stays(&clients[1]));
	assert_int_equal(clients[1].len, 0);
	go(&next);
	go_all(MOST);
}

static void test_open_ones_do_not_count(void **state)
{
	(void)state;
	fill();
	say(&clients[2], REQUEST("/") "\r\n");
	assert_int_equal(clients[2].conn->state_now, CONN_OPEN);
	assert_true(session_may_accept());
	go_all(MOST);
}

static void test_networks(void **state)
{
	struct client next;
	struct net_peer peer = ipv6(0, 0);

	(void)state;
	for (uint8_t i = 0; i < MOST; i++) {
		peer = i < 6 ? ipv6(i, 1) : ipv6(7, i);
		come_by(&clients[i], &peer);
	}
	pass(SECOND);
	come(&next, 1);
	turn();
	assert_false(stays(&clients[6]));
	assert_true(stays(&clients[0]));
	go(&next);
	go_all(MOST);
}

static void trust(uint8_t last, uint8_t bits)
{
	worker.listener->trusted[0] =
		(struct cidr){ .address = { 192, 0, 2, last }, .family = AF_INET, .bits = bits };
}

/* What a trusted proxy has at once is not one client's; what it has named is. */
static void test_proxies(void **state)
{
	struct client next;

	(void)state;
	trust(1, 32);
	worker.listener->proxy_protocol = true;
	for (int i = 0; i < 5; i++)
		come(&clients[i], 1);
	session_tick();
	for (int i = 5; i < MOST; i++) {
		come(&clients[i], 1);
		session_tick();
		say(&clients[i], "PROXY TCP4 198.51.100.1 192.0.2.1 1 2\r\n");
	}
	pass(SECOND);
	come(&next, 1);
	turn();
	assert_false(stays(&clients[5]));
	assert_true(stays(&clients[0]));
	come(&next, 1);
	turn();
	assert_false(stays(&clients[6]));
	/* and nobody has more than one: any of the oldest */
	come(&next, 1);
	turn();
	assert_int_equal(stays(&clients[0]) + stays(&clients[1]) + stays(&clients[2]) +
				 stays(&clients[3]) + stays(&clients[4]),
			 4);
	assert_true(stays(&clients[7]));
	/* who is not to be believed has all of his */
	come(&clients[100], 2);
	come(&clients[101], 2);
	pass(SECOND);
	come(&next, 1);
	turn();
	assert_false(stays(&clients[100]));
	session_abort();
	for (int i = 0; i < MOST; i++)
		close(clients[i].fd);
}

/* A reload with another number: who is there stays, and nobody comes until there are fewer. */
static void test_reload(void **state)
{
	(void)state;
	fill();
	reload_worker("max_handshakes = 4;\n"
		      "endpoints = ( { path = \"/\"; behaviour = \"echo\"; } );\n",
		      NULL);
	assert_reloaded(0, 0);
	for (int i = 0; i < 5; i++) {
		assert_false(session_may_accept());
		go(&clients[i]);
	}
	assert_true(session_may_accept());
	go_all(MOST);
}

/* Of all who are there when it is full none has been forgotten, down to those who came last. */
static void test_all_are_sorted(void **state)
{
	enum { ONES = MANY - 30 };

	(void)state;
	session.config->max_handshakes = MANY;
	for (int i = 0; i < MANY; i++)
		come(&clients[i], (uint8_t)(i < ONES ? 1 + i : 250));
	pass(SECOND);
	assert_ptr_equal(crowd_in_the_way(), clients[ONES].conn);
	session_abort();
	for (int i = 0; i < MANY; i++)
		close(clients[i].fd);
}

/* Who waits to be accepted is told at once that somebody has gone. */
static void test_place_for_who_waits(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(a);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), waits;
	struct acceptor *acceptor;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(sa_family_t)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(listen(fd, 5), 0);
	acceptor =
		acceptor_new(worker.base, fd, session_may_accept, session_accept, worker.listener);
	fill();
	waits = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(waits, (struct sockaddr *)&a, len), 0);
	event_base_loop(worker.base, EVLOOP_NONBLOCK);
	assert_int_equal(session.conns, MOST);
	conn_kill(clients[3].conn, REASON_RESET);
	event_base_loop(worker.base, EVLOOP_NONBLOCK);
	assert_int_equal(session.conns, MOST + 1);
	conn_reap();
	close(waits);
	turn();
	acceptor_free(acceptor);
	go_all(MOST);
}

/* Without memory for its address an opening is counted, and does not make way. */
static void test_no_memory(void **state)
{
	const struct net_peer peer = ipv4(1);
	int fds[2];
	unsigned n = 0;
	bool failed;

	(void)state;
	/* where whose they are is asked from the first one on */
	session.config->max_handshakes = 1;
	do {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
		failing_nth(++n);
		session_accept(fds[1], &peer, worker.listener);
		failed = failing_end();
		pass(SECOND);
		/* it is sorted later where that failed */
		assert_true(session_may_accept());
		close(fds[0]);
		turn();
		assert_int_equal(session.conns, 0);
		/* for the next one to need it anew */
		crowd_fini();
	} while (failed);
	assert_in_range(n, 4, 12);
	session.config->max_handshakes = MOST;
	fill();
	assert_false(session_may_accept());
	go_all(MOST);
}

/* --- against a list --- */

struct seen {
	uint8_t whose; /* 0: it is free */
	uint32_t since, number;
};

/* Looks through all: the oldest of who has most, and of those with as many the one with the oldest. */
static bool is_right(const struct seen *all, const struct conn *found)
{
	unsigned count[256] = { 0 }, most = 0;
	uint32_t oldest = UINT32_MAX;
	const struct seen *f = NULL;

	for (int i = 0; i < MANY; i++)
		if (all[i].whose && ++count[all[i].whose] > most)
			most = count[all[i].whose];
	for (int i = 0; i < MANY; i++) {
		if (all[i].whose && clients[i].conn == found)
			f = &all[i];
		if (all[i].whose && count[all[i].whose] == most && all[i].since < oldest)
			oldest = all[i].since;
	}
	if (!f)
		return session.now - oldest <= 10;
	for (int i = 0; i < MANY; i++)
		if (all[i].whose == f->whose && all[i].number < f->number)
			return false;
	return count[f->whose] == most && f->since == oldest;
}

static void test_against_a_list(void **state)
{
	static struct seen all[MANY];
	unsigned seed = 4711, number = 0;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		int i = rand_r(&seed) % MANY;

		if (round % 50 == 0)
			session_tick();
		if (all[i].whose) {
			conn_kill(clients[i].conn, REASON_RESET);
			conn_reap();
			close(clients[i].fd);
			all[i].whose = 0;
		} else if (round % 4096 < 3000 || rand_r(&seed) % 8 == 0) {
			struct net_peer peer;

			/* some have many, and there are more addresses than the tables begin with */
			unsigned of = rand_r(&seed) % 3 ? 200 : 10;

			all[i] = (struct seen){ (uint8_t)(1 + rand_r(&seed) % of), session.now,
						++number };
			peer = ipv4(all[i].whose);
			/* its place alone, or others would make way */
			session.config->max_handshakes = MANY + 1;
			come_by(&clients[i], &peer);
		}
		session.config->max_handshakes = 1;
		if (session.row->handshakes > 0)
			assert_true(is_right(all, crowd_in_the_way()));
	}
	session.config->max_handshakes = MANY + 1;
	session_abort();
	for (int i = 0; i < MANY; i++)
		if (all[i].whose)
			close(clients[i].fd);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, worker_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_young_ones_stay),
		TEST(test_most_makes_way),
		TEST(test_who_was_not_heard_stays),
		TEST(test_nobody_makes_way_while_it_moves),
		TEST(test_own_makes_way_for_own),
		TEST(test_refused_counts),
		TEST(test_open_ones_do_not_count),
		TEST(test_networks),
		TEST(test_proxies),
		TEST(test_reload),
		TEST(test_all_are_sorted),
		TEST(test_place_for_who_waits),
		TEST(test_no_memory),
		TEST(test_against_a_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
