/*
 * How often an address asks, and fails to say who it is: over workers and reloads, and what it is told.
 * Nothing comes back within a test, for rates are of an hour.
 */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>

#include <cmocka.h>

#include "session/attempts.h"
#include "session/known.h"
#include "session/worker.h"

static struct client k, kept[4];

#define GOOD ANN
#define BAD "Authorization: Bearer abcd\r\n\r\n"
#define NONE "\r\n"
#define A REQUEST("/a")
#define FREE REQUEST("/free")
#define OF_USERS REQUEST("/of/bea")

static const char *settings(const char *top)
{
	static char text[1024];
	static int fd = -1;

	file_with(&fd, LINE_OF_ANN);
	snprintf(text, sizeof(text),
		 "%s\nhealth = \"/health\"; access = { tokens = \"/proc/self/fd/%d\"; };\n"
		 "endpoints = ( { path = \"/a\"; behaviour = \"echo\"; },\n"
		 "{ path = \"/of/{user}\"; behaviour = \"echo\"; },\n"
		 "{ path = \"/free\"; behaviour = \"echo\"; access = { tokens = \"\"; }; } );\n",
		 top, fd);
	return text;
}

static int begin_rate(void **state)
{
	(void)state;
	worker_begin(settings("connection_rate_per_address = \"3/h\";"), NULL);
	return 0;
}

static int begin_failures(void **state)
{
	(void)state;
	worker_begin(settings("auth_failures = \"3/h\"; auth_penalty = \"1h\";"), NULL);
	return 0;
}

static void change(const char *top)
{
	reload_worker(settings(top), NULL);
	turn();
	assert_int_equal(reloaded.times, 1);
}

/* Of 192.0.2.n, or of a unix socket (0). */
static void ask_as(struct client *c, uint8_t n, const char *request)
{
	const uint8_t address[16] = { 192, 0, 2, n };
	const struct net_peer peer = n == 0 ? (struct net_peer){ .family = AF_UNIX }
					    : net_peer_of(AF_INET, address, 4711);
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	*c = (struct client){ .fd = fds[0] };
	session_accept(fds[1], &peer, worker.listener);
	say(c, request);
	hear(c);
	c->got[c->len] = '\0';
}

static void check(uint8_t n, const char *request, const char *with)
{
	ask_as(&k, n, request);
	if (!strstr((char *)k.got, with))
		fail_msg("%s is not in %s", with, (char *)k.got);
	disconnect(&k);
}

/* It is told to come back in so many seconds, or in the fewer that are left when it has taken a while. */
static void check_wait(uint8_t n, const char *request, int seconds)
{
	enum { A_WHILE = 240 };
	static const char name[] = "\r\nRetry-After: ";
	const char *at;

	ask_as(&k, n, request);
	at = strstr((char *)k.got, name);
	assert_non_null(at);
	assert_in_range(atoi(at + sizeof(name) - 1), seconds - A_WHILE, seconds);
	disconnect(&k);
}

#define LET_IN "HTTP/1.1 101 "
#define OFTEN "\nconnection-rate: "
#define FAILED "\ntoo-many-failures: "
#define BAD_TOKEN "\nbad-token: "

static void check_times(int times, uint8_t n, const char *request, const char *with)
{
	while (times-- > 0)
		check(n, request, with);
}

/* What is asked for does not matter, nor what becomes of it. */
static void test_rate(void **state)
{
	(void)state;
	check(1, FREE NONE, LET_IN);
	check(1, REQUEST("/nowhere") NONE, "\nnot-found: ");
	check(1, A BAD, BAD_TOKEN);
	check_times(20, 1, FREE NONE, OFTEN);
	check(1, REQUEST("/nowhere") NONE, OFTEN);
	check(1, A GOOD, "HTTP/1.1 429 Too Many Requests\r\n");
	/* of an hour's three there is one in 20 minutes */
	check_wait(1, FREE NONE, 1200);
	/* others, and who only wants to know whether we serve */
	check_times(3, 2, FREE NONE, LET_IN);
	check(2, FREE NONE, OFTEN);
	check_times(9, 0, FREE NONE, LET_IN);
	check(1, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 ");
}

static void test_rate_over_workers(void **state)
{
	const struct rate_size size = { .every = INT64_C(1200) * 1000000000,
					.depth = INT64_C(3600) * 1000000000 };
	const struct meters_key key = { { 0xffffffffc0000201, 1 } };

	(void)state;
	/* another one has let two in, whose turn began a moment later */
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			meters_take(worker.meters, &key, &size, turn_time() + METERS_APART), 0);
	check(1, FREE NONE, LET_IN);
	check(1, FREE NONE, OFTEN);
}

static void test_rate_and_reloads(void **state)
{
	(void)state;
	check_times(3, 1, FREE NONE, LET_IN);
	check(1, FREE NONE, OFTEN);
	change("connection_rate_per_address = \"6/h\";");
	check_wait(1, FREE NONE, 600);
	check_times(6, 2, FREE NONE, LET_IN);
	check(2, FREE NONE, OFTEN);
	change("");
	check_times(20, 1, FREE NONE, LET_IN);
	/* who has asked too often by then is not let in sooner than a full hour of the new ones */
	change("connection_rate_per_address = \"1/h\";");
	check(1, FREE NONE, OFTEN);
	check(3, FREE NONE, LET_IN);
	check(3, FREE NONE, OFTEN);
}

static void test_failures(void **state)
{
	(void)state;
	check_times(2, 1, A BAD, BAD_TOKEN);
	check_times(2, 1, A GOOD, LET_IN);
	check(1, A BAD, BAD_TOKEN);
	/* whatever it shows now, and wherever that is asked for */
	check_times(5, 1, A GOOD, FAILED);
	check(1, A BAD, FAILED);
	check(1, A NONE, FAILED);
	check(1, OF_USERS GOOD, FAILED);
	check_wait(1, A GOOD, 3600);
	check(1, A GOOD, "HTTP/1.1 429 Too Many Requests\r\n");
	/* where nobody is asked nothing is tried */
	check(1, FREE NONE, LET_IN);
	check(2, A GOOD, LET_IN);
}

/* Who shows nothing has not guessed, nor who comes by another one's path. */
static void test_what_is_a_failure(void **state)
{
	(void)state;
	check_times(9, 1, A NONE, "\nno-credentials: ");
	check_times(9, 1, REQUEST("/nowhere") BAD, "\nnot-found: ");
	check(1, A GOOD, LET_IN);
	check_times(9, 1, OF_USERS GOOD, "\nnot-allowed: ");
	check(1, A GOOD, LET_IN);
	check_times(9, 0, A BAD, BAD_TOKEN);
}

static void test_penalty_over_workers(void **state)
{
	const struct meters_key key = { { 0xffffffffc0000201, 3 } };

	(void)state;
	meters_hold(worker.meters, &key, INT64_C(3600) * 1000000000, turn_time() + RATE_APART / 2);
	check(1, A GOOD, FAILED);
	check(2, A GOOD, LET_IN);
}

static void test_failures_and_reloads(void **state)
{
	(void)state;
	check_times(3, 1, A BAD, BAD_TOKEN);
	check(1, A GOOD, FAILED);
	/* a shorter penalty is over for whom it has begun, and so is none at all */
	change("auth_failures = \"3/h\"; auth_penalty = \"30m\";");
	check(1, A GOOD, LET_IN);
	check(1, A BAD, BAD_TOKEN);
	check(1, A GOOD, FAILED);
	change("");
	check(1, A GOOD, LET_IN);
	check_times(9, 1, A BAD, BAD_TOKEN);
	change("auth_failures = \"1/h\"; auth_penalty = \"1h\";");
	check(2, A BAD, BAD_TOKEN);
	check(2, A GOOD, FAILED);
}

/* Connections that are open are let be. */
static void test_who_is_in_stays(void **state)
{
	(void)state;
	ask_as(&kept[0], 1, A GOOD);
	check_times(3, 1, A BAD, BAD_TOKEN);
	check(1, A GOOD, FAILED);
	kept[0].len = 0;
	say_frame(&kept[0], 0x81, "hi");
	ASSERT_HEARD(&kept[0], "\x81\x02hi");
	disconnect(&kept[0]);
}

/* What others were refused for can be told of still when one address has asked a thousand times. */
static void test_a_flood_is_kept_in_part(void **state)
{
	unsigned before = 0, after = 0;

	(void)state;
	for (int i = 0; i < 2000; i++)
		before += attempts_are_kept(REASON_CONNECTION_RATE);
	for (int i = 0; i < 2000; i++)
		after += attempts_are_kept(REASON_BAD_TOKEN);
	/* 100, and those of the seconds that this took */
	assert_in_range(before, 100, 200);
	assert_int_equal(after, 2000);
}

#define TEST(begin, t) cmocka_unit_test_setup_teardown(t, begin, worker_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* ahead of those that cause a flood themselves */
		TEST(begin_rate, test_a_flood_is_kept_in_part),
		TEST(begin_rate, test_rate),
		TEST(begin_rate, test_rate_over_workers),
		TEST(begin_rate, test_rate_and_reloads),
		TEST(begin_failures, test_failures),
		TEST(begin_failures, test_what_is_a_failure),
		TEST(begin_failures, test_penalty_over_workers),
		TEST(begin_failures, test_failures_and_reloads),
		TEST(begin_failures, test_who_is_in_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
